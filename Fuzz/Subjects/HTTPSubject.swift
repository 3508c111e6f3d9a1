internal import Glibc
internal import HTTPServer
internal import Imaging
internal import Platform
internal import Service
internal import TestSupport

/// What a client sends over one connection: heads, framings, forms, and bodies of the KServe V2 protocol.
///
/// An input is the bytes of the connection, several requests one after another if it says so.
package final class HTTPSubject: Subject {
  private let folder = MemoryFolder()
  private let server: HTTPServer
  private let answering: Answering
  private let socket: String

  package init() {
    socket = "\(folder.path)/http.sock"
    var limits = Limits()
    // Small, so that inputs reach them.
    limits.bodyBytes = 4096
    limits.allBodyBytes = 8192
    limits.parts = 4
    limits.headBytes = 4096
    limits.transferSeconds = 2
    answering = Answering(limits)
    do {
      server = try HTTPServer(handler: answering, limits: limits)
      server.serve(try server.prepare([ListenAddress("unix:\(socket)")]))
    } catch {
      preconditionFailure("the server does not start: \(error)")
    }
    server.start()
  }

  deinit {
    server.stop()
    answering.stop()
  }

  package func take(_ bytes: UnsafeRawBufferPointer) -> String? {
    guard let client = RawHTTP(unix: socket) else { preconditionFailure("nobody listens any more") }
    let bytes = Array(bytes)
    // In two pieces somewhere, as the length says.
    let cut = bytes.count & 1 == 0 ? 0 : bytes.count / 3
    if client.send(Array(bytes[..<cut])) { client.send(Array(bytes[cut...])) }
    // libmicrohttpd misses an end that comes with the bytes before it, and then waits for the time limit.
    _ = client.hears(withinMilliseconds: 4)
    client.endSending()
    guard let said = client.everything(within: 15) else {
      preconditionFailure("a connection is neither answered nor closed")
    }
    let statuses = Self.statuses(said)
    precondition(statuses.allSatisfy { $0 != 500 }, "a request was answered with 500")
    if said.isEmpty { return "the connection is closed without an answer" }
    precondition(!statuses.isEmpty, "what was answered is no HTTP")
    let refusals = statuses.filter { $0 >= 400 }
    return refusals.isEmpty ? nil : "statuses \(statuses)"
  }

  /// The bodies hold no line that begins like a response.
  private static func statuses(_ said: [UInt8]) -> [Int] {
    String(decoding: said, as: UTF8.self).split(separator: "\r\n").compactMap { line in
      guard let mark = line.firstRange(of: "HTTP/1.") else { return nil }
      return Int(line[mark.upperBound...].dropFirst(2).prefix(3))
    }
  }
}

/// Reads what a request holds as the routes do, at once or on another thread.
private final class Answering: RequestHandler {
  private let limits: Limits
  private let work = BoundedQueue<@Sendable () -> Void>(capacity: 64)
  private let thread: OwnedThread

  init(_ limits: Limits) {
    self.limits = limits
    thread = OwnedThread(name: "answer") { [work] in
      while let piece = work.take() { piece() }
    }
  }

  func stop() {
    work.close()
    thread.join()
  }

  func refusal(of head: Request) -> Response? {
    head.path == "/refused" ? response(status: 403, reason: "refused", retryAfterSeconds: nil) : nil
  }

  func answer(_ request: Request, _ reply: Reply) {
    let kept = request.body.count + request.parts.reduce(0) { $0 + $1.bytes.count }
    precondition(kept <= limits.bodyBytes && request.parts.count <= limits.parts, "more was kept than may be")
    if request.method == "GET" {
      reply.send(Self.response(to: request))
    } else if !work.tryPut({ reply.send(Self.response(to: request)) }) {
      reply.send(response(status: 503, reason: "busy", retryAfterSeconds: 1))
    }
  }

  private static func response(to request: Request) -> Response {
    let isGood: Bool
    if request.path.hasSuffix("/infer") {
      isGood = infers(request)
    } else {
      let pictures = request.mediaType == "multipart/form-data" ? request.parts.map(\.bytes) : [request.body]
      isGood = pictures.allSatisfy { picture in picture.withUnsafeBytes { ImageFormat.sniff($0) != nil } }
    }
    return Response(status: isGood ? 200 : 400, contentType: "text/plain", body: Array("answered\r\n".utf8))
  }

  private static func infers(_ request: Request) -> Bool {
    do throws(InferenceRequest.Fault) {
      let wanted = try InferenceRequest(
        body: request.body, headLength: request.headers["inference-header-content-length"], shape: [3, 2, 2])
      precondition(wanted.images.allSatisfy { $0.count == 12 }, "a tensor has another shape than the model")
      return true
    } catch {
      precondition(!error.reason.isEmpty, "a refusal without a reason")
      return false
    }
  }

  func answered(status: Int, after nanoseconds: Int64) {}

  func response(status: Int, reason: String, retryAfterSeconds: Int?) -> Response {
    Response(status: status, contentType: "text/plain", body: Array("refused\r\n".utf8))
  }
}
