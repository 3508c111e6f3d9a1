internal import Glibc

/// The journal's datagram socket, spoken to in its native protocol (systemd's JOURNAL_NATIVE_PROTOCOL) without waiting.
///
/// `sd_journal_sendv` waits while the queue of a journal that does not read is full, and who waits might be the thread that
/// feeds the watchdog. Any thread.
package struct JournalSocket: Sendable {
  private let descriptor: Int32
  private let path: String

  /// A socket that sends to `path`; without one, nothing is ever taken.
  package init(path: String = "/run/systemd/journal/socket") {
    self.path = path
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
  }

  /// Sends one entry; names in capitals, values of any text.
  ///
  /// - Returns: whether it was taken, now.
  package func send(_ fields: [(name: String, value: String)]) -> Bool {
    let entry = Self.encoded(fields)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let capacity = MemoryLayout.size(ofValue: address.sun_path)
    guard path.utf8.count < capacity else { return false }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let sent = withUnsafePointer(to: &address) { address in
      address.withMemoryRebound(to: sockaddr.self, capacity: 1) { name in
        sendto(
          descriptor, entry, entry.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL), name,
          socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    return sent == entry.count
  }

  /// A line a field; a value that has lines of its own is preceded by its length.
  private static func encoded(_ fields: [(name: String, value: String)]) -> [UInt8] {
    var entry: [UInt8] = []
    for (name, value) in fields {
      entry += Array(name.utf8)
      if value.utf8.contains(UInt8(ascii: "\n")) {
        entry.append(UInt8(ascii: "\n"))
        let length = UInt64(value.utf8.count)
        entry += (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) }
      } else {
        entry.append(UInt8(ascii: "="))
      }
      entry += Array(value.utf8)
      entry.append(UInt8(ascii: "\n"))
    }
    return entry
  }
}
