package import Engine

/// What can be wrong with weights that somebody else wrote.
package enum ModelZooError: Error, Equatable {
  /// The bytes at `offset` break the format's rules: the file is damaged, cut short or something else.
  case damaged(path: String, offset: Int, reason: String)
  /// The file asks for something that weights never need; it was not done. `what` names it.
  case refused(path: String, offset: Int, what: String)
  /// The tensors are not the architecture's: what is absent, what is left over, what has another shape.
  case mismatch(architecture: String, missing: [String], unexpected: [String], misshaped: [String])
  /// The file is sound, but holds a network of parts that are not known; `reason` names them.
  case unsupported(path: String, reason: String)
  /// The file itself cannot be read, or the engine refuses what was read.
  case engine(EngineError)
}

extension ModelZooError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .damaged(let path, let offset, let reason): "\(path): \(reason) (byte \(offset))"
    case .refused(let path, let offset, let what): "\(path): refused: \(what) (byte \(offset))"
    case .unsupported(let path, let reason): "\(path): \(reason)"
    case .mismatch(let architecture, let missing, let unexpected, let misshaped):
      "the tensors are not those of \(architecture)"
        + ModelZooError.list("missing", missing) + ModelZooError.list("unexpected", unexpected)
        + ModelZooError.list("of another shape", misshaped)
    case .engine(let error): "\(error)"
    }
  }

  private static func list(_ what: String, _ names: [String]) -> String {
    guard !names.isEmpty else { return "" }
    let rest = names.count > 8 ? " and \(names.count - 8) more" : ""
    return "; \(names.count) \(what): " + names.prefix(8).joined(separator: ", ") + rest
  }
}

/// A fault inside a file whose path the reader does not know.
struct FormatFault: Error, Equatable {
  let offset: Int
  let reason: String
  /// The file is sound, but wants something that is not done.
  var isRefusal = false

  func error(path: String) -> ModelZooError {
    isRefusal
      ? .refused(path: path, offset: offset, what: reason) : .damaged(path: path, offset: offset, reason: reason)
  }
}
