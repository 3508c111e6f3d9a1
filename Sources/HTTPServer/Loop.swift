internal import CMicroHTTPD
internal import Glibc
internal import Platform

/// Everything that belongs to the server's thread: the library's daemons, connections and what they cost.
final class Loop {
  /// A connection as the loop sees it.
  private struct Connection {
    let peer: Peer
    /// When it began to be the client's turn to send or take; nil while the program works for it.
    var waitingSince: Int64?
    var exchange: Exchange?
  }

  private let handler: any RequestHandler
  private let limits: Limits
  private let wake: WakeSignal
  private var doors: [Door] = []
  private var connections: [OpaquePointer: Connection] = [:]
  private var allBodyBytes = 0

  /// `wake` ends the wait between two turns.
  init(handler: any RequestHandler, limits: Limits, wake: WakeSignal) {
    self.handler = handler
    self.limits = limits
    self.wake = wake
  }

  var descriptors: [Int32] { doors.compactMap(\.epoll) }

  /// How long the thread may sleep: until the library's next deadline, at most a second, since the loop has its own.
  var timeoutMilliseconds: Int32 {
    doors.reduce(1000) { least, door in
      var milliseconds: UInt64 = 1000
      guard let daemon = door.daemon, MHD_get_timeout(daemon, &milliseconds) == .YES else { return least }
      return min(least, Int32(clamping: milliseconds))
    }
  }

  /// Opens and closes doors until exactly these listeners are served.
  func serve(_ listeners: [Listener]) {
    for door in doors where !listeners.contains(where: { $0 === door.listener }) { door.quiesce() }
    for listener in listeners where !doors.contains(where: { $0.listener === listener }) {
      let door = Door(listener, limits: limits, loop: self)
      if door.daemon == nil {
        Journal.log(.error, "\(HTTPServerError.library(address: "\(listener.address)"))", id: .httpFailed)
      }
      doors.append(door)
    }
  }

  /// One round: what the library has to do, then the deadlines.
  func turn() {
    for door in doors { door.run() }
    let now = Clock.monotonicNanoseconds()
    let limit = Int64(limits.transferSeconds) * 1_000_000_000
    for (key, connection) in connections {
      guard let since = connection.waitingSince, now - since > limit else { continue }
      // The library sees the end and lets the connection go.
      shutdown(lookout_mhd_socket(key), Int32(SHUT_RDWR))
      connections[key]?.waitingSince = now
    }
    for door in doors where door.isQuiesced && !connections.keys.contains(where: { door.holds($0) }) { door.stop() }
    doors.removeAll { $0.isStopped }
  }

  /// Answers what is open with 503 and closes everything; takes two seconds at most.
  func finish() {
    for door in doors { door.quiesce() }
    for connection in connections.values {
      connection.exchange?.reply.send(
        handler.response(status: 503, reason: "the service stops", retryAfterSeconds: 5))
    }
    let end = Clock.monotonicNanoseconds() + 2_000_000_000
    while connections.values.contains(where: { $0.exchange != nil }), Clock.monotonicNanoseconds() < end {
      for door in doors { door.run() }
      Clock.pause(milliseconds: 1)
    }
    for door in doors { door.stop() }
    doors = []
  }

  // MARK: What the library calls

  func connectionBegan(_ connection: OpaquePointer, isLocal: Bool) {
    var peer = Peer.network
    if isLocal, let credentials = try? Credentials.ofPeer(ofSocket: lookout_mhd_socket(connection)) {
      peer = .local(credentials)
    }
    connections[connection] = Connection(peer: peer, waitingSince: Clock.monotonicNanoseconds())
  }

  func connectionEnded(_ connection: OpaquePointer) { connections[connection] = nil }

  func requestEnded(_ connection: OpaquePointer) {
    guard let exchange = connections[connection]?.exchange else { return }
    allBodyBytes -= exchange.held
    exchange.reply.end()
    connections[connection]?.exchange = nil
    connections[connection]?.waitingSince = Clock.monotonicNanoseconds()
  }

  /// One call of the library's access handler: the head, a piece of the body, or the end of the request.
  func access(
    _ connection: OpaquePointer, method: String, path: String, _ bytes: UnsafeRawBufferPointer
  ) -> Bool {
    guard let state = connections[connection] else { return false }
    guard let exchange = state.exchange else {
      return begin(connection, method: method, path: path, peer: state.peer)
    }
    if !bytes.isEmpty {
      let before = exchange.held
      let isKept = exchange.refusal == nil && mayKeep(bytes.count, of: exchange)
      exchange.take(bytes, isKept: isKept)
      allBodyBytes += exchange.held - before
      // A client that goes on sending far beyond what is allowed is cut off.
      return exchange.received <= 4 * limits.bodyBytes
    }
    if let response = exchange.refusal { return queue(response, on: connection) }
    if !exchange.isHandedOver {
      exchange.isHandedOver = true
      exchange.finishBody()
      if exchange.isMalformed {
        return queue(
          handler.response(
            status: 400, reason: "the form is malformed, or has more than \(limits.parts) files",
            retryAfterSeconds: nil), on: connection)
      }
      connections[connection]?.waitingSince = nil
      let request = exchange.request
      exchange.release()
      allBodyBytes -= request.body.count + request.parts.reduce(0) { $0 + $1.bytes.count }
      handler.answer(request, exchange.reply)
    }
    guard let response = exchange.reply.responseOrSleep(connection) else { return true }
    return queue(response, on: connection)
  }

  private func begin(_ connection: OpaquePointer, method: String, path: String, peer: Peer) -> Bool {
    let head = Request(
      method: method == "HEAD" ? "GET" : method, path: path, query: values(of: connection, .GET_ARGUMENT_KIND),
      headers: values(of: connection, .HEADER_KIND), peer: peer)
    let exchange = Exchange(request: head, reply: Reply(waking: wake), limits: limits)
    connections[connection]?.exchange = exchange
    let length = head.headers["content-length"].flatMap { Int($0) } ?? 0
    exchange.refusal = handler.refusal(of: head)
    if exchange.refusal == nil, length > limits.bodyBytes { exchange.refusal = tooLarge }
    if let refusal = exchange.refusal, length > 4 * limits.bodyBytes || head.headers["expect"] != nil {
      return queue(refusal, on: connection)
    }
    if exchange.refusal == nil { exchange.expectForm(connection) }
    return true
  }

  private var tooLarge: Response {
    handler.response(
      status: 413, reason: "the request is larger than \(limits.bodyBytes) bytes", retryAfterSeconds: nil)
  }

  private func mayKeep(_ count: Int, of exchange: Exchange) -> Bool {
    if exchange.held + count > limits.bodyBytes {
      exchange.refusal = tooLarge
    } else if allBodyBytes + count > limits.allBodyBytes {
      exchange.refusal = handler.response(
        status: 503, reason: "too many requests are being received at once", retryAfterSeconds: 1)
    } else {
      return true
    }
    return false
  }

  private func queue(_ response: Response, on connection: OpaquePointer) -> Bool {
    let now = Clock.monotonicNanoseconds()
    connections[connection]?.waitingSince = now
    handler.answered(
      status: response.status, after: now - (connections[connection]?.exchange?.began ?? now))
    let made = response.body.withUnsafeBytes { bytes in
      MHD_create_response_from_buffer(
        bytes.count, UnsafeMutableRawPointer(mutating: bytes.baseAddress), .RESPMEM_MUST_COPY)
    }
    guard let made else { return false }
    defer { MHD_destroy_response(made) }
    for header in response.headers { MHD_add_response_header(made, header.name, header.value) }
    return MHD_queue_response(connection, UInt32(response.status), made) == .YES
  }

  private func values(of connection: OpaquePointer, _ kind: MHD_ValueKind) -> [String: String] {
    var found = Values()
    withUnsafeMutablePointer(to: &found) { pointer in
      _ = MHD_get_connection_values(
        connection, kind,
        { context, kind, key, value in
          guard let context, let key else { return .YES }
          let name = String(cString: key)
          context.assumingMemoryBound(to: Values.self).pointee.texts[
            kind == .HEADER_KIND ? name.lowercased() : name] = value.map { String(cString: $0) } ?? ""
          return .YES
        }, pointer)
    }
    return found.texts
  }

  private struct Values {
    var texts: [String: String] = [:]
  }
}
