internal import Glibc

/// A call of the operating system that failed.
package enum PlatformError: Error, Equatable {
  /// `call` is the C function; `path` names the file as it can be shown.
  case system(call: String, path: String?, errno: Int32)
  /// Another daemon holds this lock file.
  case locked(path: String)

  /// The thing is not there, or its folder is not.
  package var isNotFound: Bool {
    guard case .system(_, _, let number) = self else { return false }
    return number == ENOENT || number == ENOTDIR
  }

  /// This process, or the machine, has no descriptor or memory left: nothing is said of the thing itself.
  package var isShortage: Bool {
    guard case .system(_, _, let number) = self else { return false }
    return [EMFILE, ENFILE, ENOMEM].contains(number)
  }

  /// The cause lies in the machine rather than in the file, so that trying later may do.
  package var mayPass: Bool {
    guard case .system(_, _, let number) = self else { return false }
    return [EIO, ENOMEM, EMFILE, ENFILE, ESTALE, EAGAIN, ETIMEDOUT, EHOSTDOWN, ENETDOWN, EBUSY].contains(number)
  }
}

extension PlatformError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .system(let call, let path, let number):
      let reason = strerror(number).map { String(cString: $0) } ?? "error \(number)"
      return path.map { "\($0): \(reason) (\(call))" } ?? "\(reason) (\(call))"
    case .locked(let path): return "another lookoutd runs here: \(path) is locked"
    }
  }
}

/// Turns the -1 of a C call into a thrown error; EINTR is tried again.
@discardableResult
func checked<T: SignedInteger>(
  _ call: String, _ path: Path? = nil, _ body: () -> T
) throws(PlatformError) -> T {
  while true {
    let result = body()
    if result != -1 { return result }
    if errno == EINTR { continue }
    throw .system(call: call, path: path?.displayed, errno: errno)
  }
}
