internal import Engine
internal import HTTPServer

/// One request with what its path said and the way back.
struct Call: Sendable {
  let request: Request
  /// What stood in the places of the pattern's parameters.
  let parameters: [String]
  let reply: Reply
}

/// A method and a path with what they mean and who may use them.
struct Route: Sendable {
  enum Audience: Sendable {
    /// Whoever reaches an address.
    case everybody
    /// Root, the service's own user and the members of its group, over the Unix socket.
    case operators
  }

  enum Place: Sendable {
    /// On the server's thread: answers at once, or hands on without blocking.
    case atOnce
    /// On a thread that may wait for the ledger and the disk.
    case aside
    /// On a thread that may wait for minutes.
    case patiently
  }

  let method: String
  /// Pieces between slashes; `*` stands for a parameter.
  let pattern: [String]
  let audience: Audience
  let place: Place
  let run: @Sendable (Call) -> Void

  init(
    _ method: String, _ path: String, for audience: Audience = .everybody, _ place: Place = .atOnce,
    run: @escaping @Sendable (Call) -> Void
  ) {
    self.method = method
    pattern = Self.pieces(path)
    self.audience = audience
    self.place = place
    self.run = run
  }

  /// The parameters, if the pattern fits the path.
  func parameters(in path: [String]) -> [String]? {
    guard path.count == pattern.count else { return nil }
    var found: [String] = []
    for (piece, wanted) in zip(path, pattern) {
      if wanted == "*" {
        found.append(piece)
      } else if piece != wanted {
        return nil
      }
    }
    return found
  }

  static func pieces(_ path: String) -> [String] {
    path.split(separator: "/", omittingEmptySubsequences: true).map(String.init)
  }
}

extension Response {
  /// A JSON value with a line end behind it.
  static func json(_ value: JSON, status: Int = 200, headers: [(name: String, value: String)] = []) -> Response {
    Response(
      status: status, contentType: "application/json", body: Array(value.text.utf8) + [0x0A], headers: headers)
  }

  /// JSON text with a line end behind it.
  static func text(json: [UInt8]) -> Response {
    Response(status: 200, contentType: "application/json", body: json + [0x0A])
  }

  /// `{"error": REASON}`.
  static func problem(_ status: Int, _ reason: String, headers: [(name: String, value: String)] = []) -> Response {
    json(.object(["error": .string(reason)]), status: status, headers: headers)
  }

  /// 503, to be tried again.
  static func busy(_ reason: String, retryAfterSeconds: Int = 1) -> Response {
    problem(503, reason, headers: [("Retry-After", "\(retryAfterSeconds)")])
  }
}
