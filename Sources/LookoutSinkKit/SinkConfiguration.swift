// The sink's table of the configuration, decoded strictly: every error names its key.

internal import CSinkABI

/// Writes journal lines from a plugin; usable until the sink is closed.
public struct SinkLog {
  /// Severity of a line.
  public enum Level: Int32, Sendable {
    /// Something was lost or stands still.
    case error = 3
    /// Something is odd, and the sink copes.
    case warning = 4
    /// Worth knowing.
    case info = 6
    /// For the plugin's author.
    case debug = 7
  }

  private let host: UnsafePointer<lookout_host>?

  init(_ host: UnsafePointer<lookout_host>?) { self.host = host }

  /// Writes one line.
  public func callAsFunction(_ level: Level, _ message: String) {
    guard let host, let log = host.pointee.log else { return }
    var message = message
    message.withUTF8 { text in
      text.withMemoryRebound(to: CChar.self) {
        log(host.pointee.context, level.rawValue, lookout_str(ptr: $0.baseAddress, len: $0.count))
      }
    }
  }
}

/// Typed, strict access to the sink's keys.
public struct SinkConfiguration {
  /// The journal.
  public let log: SinkLog
  private let members: [String: JSONValue]

  init(json: [UInt8], log: SinkLog) throws(SinkError) {
    self.log = log
    guard case .object(let members) = try JSONValue(parsing: json) else {
      throw .fatal("the configuration is no JSON object")
    }
    self.members = members
  }

  func refuseKeys(otherThan known: [String]) throws(SinkError) {
    for key in members.keys.sorted() where !known.contains(key) {
      throw .fatal("unknown key '\(key)'; allowed: \(known.joined(separator: ", "))")
    }
  }

  /// The text of a key that must be there.
  public func string(_ key: String) throws(SinkError) -> String {
    guard let value = try optionalString(key) else { throw .fatal("key '\(key)' is missing") }
    return value
  }

  /// The text of a key, nil when it is absent.
  public func optionalString(_ key: String) throws(SinkError) -> String? {
    switch members[key] {
    case nil: return nil
    case .string(let value): return value
    case let other?: throw wrong(key, "a string", other)
    }
  }

  /// The text of a key, or its default.
  public func string(_ key: String, default value: String) throws(SinkError) -> String {
    try optionalString(key) ?? value
  }

  /// The whole number of a key within a range, or its default.
  public func int(_ key: String, default value: Int, in range: ClosedRange<Int>) throws(SinkError) -> Int {
    switch members[key] {
    case nil: return value
    case .number(let text):
      guard let number = Int(text), range.contains(number) else {
        throw .fatal("key '\(key)' is \(text); allowed: \(range.lowerBound) to \(range.upperBound)")
      }
      return number
    case let other?: throw wrong(key, "a whole number", other)
    }
  }

  /// The truth value of a key, or its default.
  public func bool(_ key: String, default value: Bool) throws(SinkError) -> Bool {
    switch members[key] {
    case nil: return value
    case .bool(let value): return value
    case let other?: throw wrong(key, "true or false", other)
    }
  }

  private func wrong(_ key: String, _ expected: String, _ found: JSONValue) -> SinkError {
    .fatal("key '\(key)' must be \(expected), found \(found.kind)")
  }
}
