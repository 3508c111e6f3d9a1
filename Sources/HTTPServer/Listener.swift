internal import Glibc
internal import Platform

/// A socket that takes connections, made ready before the server gets it.
///
/// Owned by one thread at a time; whoever holds it last calls `close`, which also removes a Unix socket's file.
package final class Listener: @unchecked Sendable {
  package let address: ListenAddress
  let raw: Int32
  private let identity: FileStatus?
  private var isClosed = false

  /// Binds and listens.
  ///
  /// A Unix socket that a dead process left behind is replaced; its file gets mode 0660.
  ///
  /// - Throws: `HTTPServerError.listen` naming the address and what to do.
  package init(_ address: ListenAddress) throws(HTTPServerError) {
    self.address = address
    switch address {
    case .unix(let path): (raw, identity) = try Self.bindUnix(path, address)
    case .loopback(let host, let port): (raw, identity) = (try Self.bindLoopback(host, port, address), nil)
    }
  }

  deinit { close() }

  /// Stops listening.
  package func close() {
    guard !isClosed else { return }
    isClosed = true
    if case .unix(let path) = address, let identity,
      let now = try? FileStatus.of(Path(path), followingLinks: false),
      (now.device, now.inode) == (identity.device, identity.inode)
    {
      unlink(path)
    }
    Glibc.close(raw)
  }

  private static func failure(_ address: ListenAddress, _ call: String, _ number: Int32) -> HTTPServerError {
    .listen(address: "\(address)", reason: "\(PlatformError.system(call: call, path: nil, errno: number))")
  }

  private static func bindUnix(
    _ path: String, _ address: ListenAddress
  ) throws(HTTPServerError) -> (Int32, FileStatus?) {
    try removeStaleSocket(path, address)
    let raw = try open(AF_UNIX, address)
    var name = unixName(path)
    let isBound = withUnsafePointer(to: &name) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(raw, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    // Nobody can connect before listen, so the mode is right from the first connection on.
    guard isBound == 0, chmod(path, 0o660) == 0, listen(raw, 128) == 0 else {
      let number = errno
      if isBound == 0 { unlink(path) }
      Glibc.close(raw)
      throw failure(address, "bind", number)
    }
    return (raw, try? FileStatus.of(Path(path), followingLinks: false))
  }

  /// Makes room for the socket: a file that is no socket and a socket that somebody serves are left alone.
  private static func removeStaleSocket(_ path: String, _ address: ListenAddress) throws(HTTPServerError) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw .listen(
        address: "\(address)", reason: "the file is there and is no socket; remove it or choose another path")
    }
    let probe = try open(AF_UNIX, address)
    defer { Glibc.close(probe) }
    var name = unixName(path)
    let result = withUnsafePointer(to: &name) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(probe, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard result != 0, errno == ECONNREFUSED else {
      throw .listen(address: "\(address)", reason: "another process listens there; stop it or choose another path")
    }
    unlink(path)
  }

  private static func bindLoopback(
    _ host: String, _ port: UInt16, _ address: ListenAddress
  ) throws(HTTPServerError) -> Int32 {
    let isVersion6 = host.contains(":")
    let raw = try open(isVersion6 ? AF_INET6 : AF_INET, address)
    var yes: Int32 = 1
    setsockopt(raw, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
    var result: Int32
    if isVersion6 {
      var name = sockaddr_in6()
      name.sin6_family = sa_family_t(AF_INET6)
      name.sin6_port = port.bigEndian
      inet_pton(AF_INET6, host, &name.sin6_addr)
      result = withUnsafePointer(to: &name) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          bind(raw, $0, socklen_t(MemoryLayout<sockaddr_in6>.size))
        }
      }
    } else {
      var name = sockaddr_in()
      name.sin_family = sa_family_t(AF_INET)
      name.sin_port = port.bigEndian
      inet_pton(AF_INET, host, &name.sin_addr)
      result = withUnsafePointer(to: &name) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          bind(raw, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
    }
    if result == 0 { result = listen(raw, 128) }
    guard result == 0 else {
      let number = errno
      Glibc.close(raw)
      throw failure(address, "bind", number)
    }
    return raw
  }

  private static func open(_ family: Int32, _ address: ListenAddress) throws(HTTPServerError) -> Int32 {
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    let raw = socket(family, type, 0)
    guard raw >= 0 else {
      let number = errno
      if number == EAFNOSUPPORT {
        throw .listen(
          address: "\(address)",
          reason: "this kind of socket is closed to the service; a unit needs RestrictAddressFamilies=AF_UNIX AF_INET "
            + "AF_INET6 and PrivateNetwork=no for TCP")
      }
      throw failure(address, "socket", number)
    }
    return raw
  }

  private static func unixName(_ path: String) -> sockaddr_un {
    var name = sockaddr_un()
    name.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: Array(path.utf8.prefix(ListenAddress.pathLimit))) }
    return name
  }
}

/// What the server cannot do.
package enum HTTPServerError: Error, Equatable {
  /// An address cannot be listened on.
  case listen(address: String, reason: String)
  /// The HTTP library refuses; no memory or no descriptors.
  case library(address: String)
}

extension HTTPServerError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .listen(let address, let reason): "listen \(address): \(reason)"
    case .library(let address): "listen \(address): the HTTP library has no memory or descriptors left"
    }
  }
}
