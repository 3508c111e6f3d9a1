import Glibc

/// A socket on which a test hears what a service tells its manager (sd_notify(3)).
package final class NotifySocket {
  /// What `NOTIFY_SOCKET` must name.
  package let path: String
  private let descriptor: Int32
  private var buffer = [UInt8](repeating: 0, count: 8192)

  /// Binds the socket at a path that is free.
  package init(path: String) {
    self.path = path
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8) + [0]) }
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    precondition(bound == 0, "cannot bind the notify socket \(path)")
  }

  deinit { close(descriptor) }

  /// The next message, waiting at most so long; nil if none came.
  package func next(withinMilliseconds limit: Int32) -> String? {
    var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard poll(&waiting, 1, limit) > 0 else { return nil }
    let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
    return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
  }
}
