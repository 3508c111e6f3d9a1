internal import Glibc

/// A client that sends what it is told, byte by byte if need be, and shows what came back.
package final class RawHTTP {
  /// A response taken apart.
  package struct Answer {
    package var status: Int
    /// Names in lower case.
    package var headers: [String: String]
    package var body: [UInt8]

    package var text: String { String(decoding: body, as: UTF8.self) }
  }

  private let raw: Int32

  /// Connects to a Unix socket; nil if nobody listens.
  package init?(unix path: String) {
    raw = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8.prefix(107))) }
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(raw, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard result == 0 else {
      close(raw)
      return nil
    }
  }

  /// Connects to a port of this machine; nil if nobody listens.
  package init?(port: UInt16) {
    raw = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr)
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(raw, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard result == 0 else {
      close(raw)
      return nil
    }
  }

  /// A port of this machine on which nobody listens.
  package static func freePort() -> UInt16? {
    let probe = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(probe) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { name in
        bind(probe, name, length) == 0 ? getsockname(probe, name, &length) : -1
      }
    }
    return result == 0 ? UInt16(bigEndian: address.sin_port) : nil
  }

  deinit { close(raw) }

  /// Sends bytes; false when the other side is gone.
  @discardableResult
  package func send(_ bytes: [UInt8]) -> Bool {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.send(raw, $0.baseAddress?.advanced(by: done), bytes.count - done, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return false }
      done += count
    }
    return true
  }

  @discardableResult
  package func send(_ text: String) -> Bool { send(Array(text.utf8)) }

  /// Sends no more, but still listens.
  package func endSending() { shutdown(raw, Int32(SHUT_WR)) }

  /// Sends a whole request.
  @discardableResult
  package func request(
    _ method: String, _ path: String, headers: [(String, String)] = [], body: [UInt8] = [], host: String = "localhost"
  ) -> Bool {
    var head = "\(method) \(path) HTTP/1.1\r\nHost: \(host)\r\n"
    for header in headers { head += "\(header.0): \(header.1)\r\n" }
    if !body.isEmpty || method != "GET" { head += "Content-Length: \(body.count)\r\n" }
    return send(Array("\(head)\r\n".utf8) + body)
  }

  /// The next response; nil if the connection ends before it is whole, or nothing comes for so many seconds.
  ///
  /// `isHead`: it has no body, whatever its length says.
  package func answer(within seconds: Int = 30, isHead: Bool = false) -> Answer? {
    var bytes: [UInt8] = []
    var headEnd: Int?
    while true {
      if headEnd == nil { headEnd = bytes.firstRange(of: Array("\r\n\r\n".utf8))?.upperBound }
      if let headEnd, let answer = Self.answer(bytes[..<headEnd], bytes[headEnd...], isHead) { return answer }
      guard let more = receive(within: seconds), !more.isEmpty else { return nil }
      bytes += more
    }
  }

  /// Whether the other side closes the connection in time, whatever it says before.
  package func isClosed(within seconds: Int) -> Bool {
    let end = time(nil) + seconds
    while time(nil) <= end {
      guard let bytes = receive(within: 1) else { continue }
      if bytes.isEmpty { return true }
    }
    return false
  }

  /// All that comes until the other side closes the connection; nil if it does not in time.
  package func everything(within seconds: Int) -> [UInt8]? {
    let end = time(nil) + seconds
    var all: [UInt8] = []
    while time(nil) <= end {
      guard let bytes = receive(within: 1) else { continue }
      if bytes.isEmpty { return all }
      all += bytes
    }
    return nil
  }

  /// Whether bytes or the end of the connection are there within this time.
  package func hears(withinMilliseconds milliseconds: Int32) -> Bool {
    var waiting = pollfd(fd: raw, events: Int16(POLLIN), revents: 0)
    return poll(&waiting, 1, milliseconds) > 0
  }

  /// Some bytes, none at the end of the connection, nil if nothing came.
  private func receive(within seconds: Int) -> [UInt8]? {
    guard hears(withinMilliseconds: Int32(seconds * 1000)) else { return nil }
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    let count = recv(raw, &chunk, chunk.count, 0)
    return count > 0 ? Array(chunk[..<count]) : []
  }

  private static func answer(_ head: ArraySlice<UInt8>, _ rest: ArraySlice<UInt8>, _ isHead: Bool) -> Answer? {
    let lines = String(decoding: head, as: UTF8.self).split(separator: "\r\n")
    let status = lines.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    var headers: [String: String] = [:]
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { continue }
      headers[line[..<colon].lowercased()] = String(line[line.index(after: colon)...].drop { $0 == " " })
    }
    if status == 100 || isHead { return Answer(status: status, headers: headers, body: []) }
    let length = headers["content-length"].flatMap { Int($0) } ?? 0
    guard rest.count >= length else { return nil }
    return Answer(status: status, headers: headers, body: Array(rest.prefix(length)))
  }
}

extension [UInt8] {
  /// Where the first occurrence of some bytes is.
  fileprivate func firstRange(of wanted: [UInt8]) -> Range<Int>? {
    guard count >= wanted.count else { return nil }
    for start in 0...(count - wanted.count) where self[start...].starts(with: wanted) {
      return start..<start + wanted.count
    }
    return nil
  }
}
