internal import Glibc

/// Where the server can be reached: a Unix socket, or a port of this machine alone.
package enum ListenAddress: Hashable, Sendable {
  case unix(path: String)
  /// A loopback address and a port.
  case loopback(host: String, port: UInt16)

  /// What an address may look like, for error messages.
  package static let forms = "\"unix:/ABSOLUTE/PATH\", \"127.0.0.1:PORT\" or \"[::1]:PORT\""

  /// The longest path of a Unix socket in bytes (`sun_path` without its NUL).
  package static let pathLimit = 107

  /// Reads an address as the configuration spells it.
  ///
  /// - Throws: `ListenAddressError` saying what is wrong with it and what would be right.
  package init(_ text: String) throws(ListenAddressError) {
    if text.hasPrefix("unix:") {
      let path = String(text.dropFirst("unix:".count))
      guard path.hasPrefix("/"), !path.utf8.contains(0) else {
        throw ListenAddressError(reason: "\"\(text)\" needs an absolute path behind unix:")
      }
      guard path.utf8.count <= Self.pathLimit else {
        throw ListenAddressError(
          reason: "\"\(text)\" is too long: a Unix socket's path has at most \(Self.pathLimit) bytes, this one has "
            + "\(path.utf8.count)")
      }
      self = .unix(path: path)
      return
    }
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0,
      text[text.index(after: colon)...].utf8.allSatisfy({ (0x30...0x39).contains($0) })
    else { throw ListenAddressError(reason: "\"\(text)\" is no address; allowed are \(Self.forms)") }
    let host = String(text[..<colon])
    switch host {
    case "localhost": self = .loopback(host: "127.0.0.1", port: port)
    case "[::1]": self = .loopback(host: "::1", port: port)
    case _ where Self.isLoopback(host): self = .loopback(host: host, port: port)
    default:
      throw ListenAddressError(
        reason: "\"\(text)\" is no address of this machine alone; allowed are \(Self.forms). To be reached from "
          + "elsewhere, put a proxy with its own access control before it")
    }
  }

  private static func isLoopback(_ host: String) -> Bool {
    var address = in_addr()
    return inet_pton(AF_INET, host, &address) == 1 && UInt32(bigEndian: address.s_addr) >> 24 == 127
  }
}

extension ListenAddress: CustomStringConvertible {
  package var description: String {
    switch self {
    case .unix(let path): "unix:\(path)"
    case .loopback("::1", let port): "[::1]:\(port)"
    case .loopback(let host, let port): "\(host):\(port)"
    }
  }
}

/// Why a text is no address to listen on.
package struct ListenAddressError: Error, Equatable {
  package let reason: String
}
