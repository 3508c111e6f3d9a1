// The service as HTTP shows it: which path means what, who may use it, and on which thread it is answered. What changes
// something goes over the Unix socket, to root, the service's own user and its group; a port is for reading and asking.

internal import HTTPServer
internal import Platform

/// Sorts requests to routes.
final class Front: RequestHandler {
  private let routes: [Route]
  private let aside = Crew(name: "control", count: 2, capacity: 64)
  private let patient = Crew(name: "operate", count: 4, capacity: 16)
  private let tally: HTTPTally

  init(routes: [Route], tally: HTTPTally) {
    self.routes = routes
    self.tally = tally
  }

  /// Starts the threads for routes that may wait.
  func start() {
    aside.start()
    patient.start()
  }

  /// Ends those threads after what they have in hand.
  func stop() {
    aside.stop()
    patient.stop()
  }

  func refusal(of head: Request) -> Response? {
    if let response = strangeHost(head) { return response }
    switch find(head) {
    case .success(let (route, _)):
      return route.audience == .operators ? refusalOfOperator(head) : nil
    case .failure(let missing): return missing.response
    }
  }

  func answer(_ request: Request, _ reply: Reply) {
    guard case .success((let route, let parameters)) = find(request) else { return }
    let call = Call(request: request, parameters: parameters, reply: reply)
    let isTaken: Bool
    switch route.place {
    case .atOnce:
      route.run(call)
      isTaken = true
    case .aside: isTaken = aside.take { route.run(call) }
    case .patiently: isTaken = patient.take { route.run(call) }
    }
    if !isTaken { reply.send(.busy("too many requests wait for an answer")) }
  }

  func response(status: Int, reason: String, retryAfterSeconds: Int?) -> Response {
    .problem(status, reason, headers: retryAfterSeconds.map { [("Retry-After", "\($0)")] } ?? [])
  }

  func answered(status: Int, after nanoseconds: Int64) { tally.answered(status, after: nanoseconds) }

  private struct Missing: Error {
    let response: Response
  }

  private func find(_ request: Request) -> Result<(Route, [String]), Missing> {
    let path = Route.pieces(request.path)
    var allowed: [String] = []
    for route in routes {
      guard let parameters = route.parameters(in: path) else { continue }
      if route.method == request.method { return .success((route, parameters)) }
      allowed.append(route.method)
    }
    if allowed.isEmpty {
      return .failure(Missing(response: .problem(404, "there is nothing at \(request.path)")))
    }
    return .failure(
      Missing(
        response: .problem(
          405, "\(request.path) takes \(allowed.joined(separator: ", ")), not \(request.method)",
          headers: [("Allow", allowed.joined(separator: ", "))])))
  }

  /// A page of some site must not reach the port under its own name, nor send anything to it.
  private func strangeHost(_ head: Request) -> Response? {
    guard case .network = head.peer else { return nil }
    guard let host = head.headers["host"], Self.isOfThisMachine(host) else {
      return .problem(403, "the Host header must name this machine: localhost, 127.0.0.1 or [::1]")
    }
    if head.method != "GET", let origin = head.headers["origin"],
      !["http://\(host)", "https://\(host)"].contains(origin)
    {
      return .problem(403, "requests from pages of \(origin) are not taken")
    }
    return nil
  }

  static func isOfThisMachine(_ host: String) -> Bool {
    var name = host[...]
    if !host.hasSuffix("]"), let colon = host.lastIndex(of: ":") {
      guard UInt16(host[host.index(after: colon)...]) != nil else { return false }
      name = host[..<colon]
    }
    if name.lowercased() == "localhost" || name == "[::1]" { return true }
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
  }

  private func refusalOfOperator(_ head: Request) -> Response? {
    guard case .local(let credentials) = head.peer else {
      return .problem(403, "\(head.path) is for the Unix socket, not for a port")
    }
    if head.peer.mayOperate { return nil }
    return .problem(
      403, "user \(credentials.userID) may not: only root, the service's user and the members of its group")
  }
}

extension Peer {
  /// Whether it is root, the service's own user or a member of its group, as only a Unix socket can tell.
  var mayOperate: Bool {
    guard case .local(let credentials) = self else { return false }
    let own = Credentials.effective
    return credentials.mayOperate(userID: own.userID, groupID: own.groupID)
  }
}
