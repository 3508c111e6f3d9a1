// One end of the socket between daemon and sink host. Blocking, one thread.

internal import Glibc

/// Why a frame could not be sent or received.
package enum FrameSocketError: Error, Equatable {
  /// The other side is gone.
  case closed
  /// The deadline passed.
  case expired
  /// The other side sent what is no frame.
  case malformed(WireError)
  /// A call of the C library failed.
  case system(errno: Int32)
}

/// Sends and receives whole frames over a stream socket that it owns.
package struct FrameSocket: ~Copyable {
  private let descriptor: Int32

  /// Takes over `descriptor`, a connected stream socket.
  package init(owning descriptor: Int32) { self.descriptor = descriptor }

  deinit { close(descriptor) }

  /// Sends a frame; blocks at most until `deadline` (monotonic nanoseconds, nil for no limit).
  package func send(_ frame: Frame, until deadline: UInt64? = nil) throws(FrameSocketError) {
    let bytes = frame.encoded()
    guard bytes.count - 4 <= Frame.lengthLimit else {
      throw .malformed(.tooLong(offset: 0, length: bytes.count - 4, limit: Frame.lengthLimit))
    }
    var sent = 0
    while sent < bytes.count {
      try wait(for: Int16(POLLOUT), until: deadline)
      let count = bytes.withUnsafeBytes { buffer in
        Glibc.send(
          descriptor, buffer.baseAddress?.advanced(by: sent), bytes.count - sent,
          Int32(MSG_NOSIGNAL | (deadline == nil ? 0 : MSG_DONTWAIT)))
      }
      if count < 0 {
        switch errno {
        case EINTR, EAGAIN: continue
        case EPIPE, ECONNRESET: throw .closed
        default: throw .system(errno: errno)
        }
      }
      sent += count
    }
  }

  /// Receives one frame; blocks at most until `deadline` (monotonic nanoseconds, nil for no limit).
  package func receive(until deadline: UInt64? = nil) throws(FrameSocketError) -> Frame {
    let prefix = try read(4, until: deadline)
    let length = prefix.reversed().reduce(0) { $0 << 8 | Int($1) }
    guard length <= Frame.lengthLimit else {
      throw .malformed(.tooLong(offset: 0, length: length, limit: Frame.lengthLimit))
    }
    let body = try read(length, until: deadline)
    do { return try Frame(decoding: body) } catch { throw .malformed(error) }
  }

  private func read(_ count: Int, until deadline: UInt64?) throws(FrameSocketError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var taken = 0
    while taken < count {
      try wait(for: Int16(POLLIN), until: deadline)
      let result = bytes.withUnsafeMutableBytes { buffer in
        recv(descriptor, buffer.baseAddress?.advanced(by: taken), count - taken, 0)
      }
      if result == 0 { throw .closed }
      if result < 0 {
        switch errno {
        case EINTR, EAGAIN: continue
        case ECONNRESET: throw .closed
        default: throw .system(errno: errno)
        }
      }
      taken += result
    }
    return bytes
  }

  private func wait(for events: Int16, until deadline: UInt64?) throws(FrameSocketError) {
    while true {
      var timeout: Int32 = -1
      if let deadline {
        let now = monotonicNanoseconds()
        guard now < deadline else { throw .expired }
        timeout = Int32(clamping: (deadline - now + 999_999) / 1_000_000)
      }
      var entry = pollfd(fd: descriptor, events: events, revents: 0)
      let count = poll(&entry, 1, timeout)
      if count > 0 { return }
      if count < 0, errno != EINTR { throw .system(errno: errno) }
    }
  }
}

/// Nanoseconds of CLOCK_MONOTONIC.
package func monotonicNanoseconds() -> UInt64 {
  var now = timespec()
  clock_gettime(CLOCK_MONOTONIC, &now)
  return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
}
