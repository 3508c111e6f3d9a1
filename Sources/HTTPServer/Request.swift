package import Platform

/// Who sent a request.
package enum Peer: Equatable, Sendable {
  /// A process of this machine, as the kernel names it (`SO_PEERCRED`, `SO_PEERGROUPS`).
  case local(Credentials)
  /// Anybody who reaches the port.
  case network
}

/// A request, complete; a value that any thread may hold.
package struct Request: Sendable {
  /// One file of a form (`multipart/form-data`).
  package struct Part: Equatable, Sendable {
    package var name: String
    package var fileName: String?
    package var contentType: String?
    package var bytes: [UInt8]

    /// A plain value.
    package init(name: String, fileName: String?, contentType: String?, bytes: [UInt8]) {
      self.name = name
      self.fileName = fileName
      self.contentType = contentType
      self.bytes = bytes
    }
  }

  /// `GET`, `POST`, …; a `HEAD` reads as `GET`, its body is left out by the library.
  package var method: String
  /// Decoded, without query.
  package var path: String
  /// The last of several values of one name counts.
  package var query: [String: String]
  /// Names in lower case; the last of several values counts.
  package var headers: [String: String]
  package var peer: Peer
  /// Empty when the request is a form.
  package var body: [UInt8] = []
  package var parts: [Part] = []

  /// The media type in lower case without parameters, if one is named.
  package var mediaType: String? {
    headers["content-type"].map { type in
      String(type.prefix { $0 != ";" }).lowercased().filter { $0 != " " && $0 != "\t" }
    }
  }
}

/// What is sent back.
package struct Response: Sendable {
  package var status: Int
  package var headers: [(name: String, value: String)]
  package var body: [UInt8]

  /// `status` as in RFC 9110; `body` goes as it is, with its length.
  package init(status: Int, contentType: String, body: [UInt8], headers: [(name: String, value: String)] = []) {
    self.status = status
    self.headers = [("Content-Type", contentType)] + headers
    self.body = body
  }
}

/// What the server asks of the program behind it; called on the server's thread, which it must not block.
package protocol RequestHandler: Sendable {
  /// Looks at a head before any body is read.
  ///
  /// - Returns: a response to refuse it with, or nil to go on.
  func refusal(of head: Request) -> Response?

  /// Answers now, or later from any thread.
  func answer(_ request: Request, _ reply: Reply)

  /// Told when a response goes out, with the nanoseconds since its request's head had come.
  func answered(status: Int, after nanoseconds: Int64)

  /// The response for what the server itself refuses: too large, too many, malformed.
  func response(status: Int, reason: String, retryAfterSeconds: Int?) -> Response
}
