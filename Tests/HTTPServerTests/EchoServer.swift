import HTTPServer
import Platform
import Synchronization
import TestSupport

/// A server whose handler tells what it was asked, or keeps the reply for the test.
final class EchoServer: RequestHandler {
  let scratch = Scratch()
  private let kept = Mutex<[Reply]>([])
  private let server = Mutex<HTTPServer?>(nil)

  /// What is asked of `/later` and not answered.
  var replies: [Reply] { kept.withLock { $0 } }

  var socket: String { scratch("http.sock") }

  static func started(_ limits: Limits = Limits()) throws -> EchoServer {
    let echo = EchoServer()
    let server = try HTTPServer(handler: echo, limits: limits)
    server.serve(try server.prepare([.unix(path: echo.socket)]))
    server.start()
    echo.server.withLock { $0 = server }
    return echo
  }

  var running: HTTPServer {
    guard let server = server.withLock({ $0 }) else { preconditionFailure("the server of a test is started") }
    return server
  }

  func connect() -> RawHTTP? { RawHTTP(unix: socket) }

  func refusal(of head: Request) -> Response? {
    head.path == "/forbidden" ? response(status: 403, reason: "no", retryAfterSeconds: nil) : nil
  }

  func answer(_ request: Request, _ reply: Reply) {
    if request.path == "/later" {
      kept.withLock { $0.append(reply) }
      return
    }
    var lines = ["\(request.method) \(request.path)"]
    lines += request.query.map { "query \($0.key)=\($0.value)" }.sorted()
    lines.append("body \(request.body.count) \(String(decoding: request.body.prefix(20), as: UTF8.self))")
    for part in request.parts {
      lines.append("part \(part.name) \(part.fileName ?? "-") \(part.contentType ?? "-") \(part.bytes.count)")
    }
    if case .local(let credentials) = request.peer { lines.append("user \(credentials.userID)") }
    reply.send(Response(status: 200, contentType: "text/plain", body: Array(lines.joined(separator: "\n").utf8)))
  }

  func answered(status: Int, after nanoseconds: Int64) {}

  func response(status: Int, reason: String, retryAfterSeconds: Int?) -> Response {
    Response(status: status, contentType: "text/plain", body: Array(reason.utf8))
  }
}

/// Polls a condition; false when it did not come in time.
func eventually(seconds: Int64 = 30, _ condition: () -> Bool) -> Bool {
  let end = Clock.monotonicNanoseconds() + seconds * 1_000_000_000
  while Clock.monotonicNanoseconds() < end {
    if condition() { return true }
    Clock.pause(milliseconds: 5)
  }
  return condition()
}
