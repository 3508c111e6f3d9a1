internal import Glibc

/// What can be wrong with a model or a request to the engine.
package enum EngineError: Error, Equatable {
  /// The file cannot be opened, read, mapped or written; `errno` tells why.
  case file(path: String, operation: String, errno: Int32)
  /// The bytes at `offset` break the format's rules: the file is damaged, cut short or no weights file.
  case damaged(path: String, offset: Int, reason: String)
  /// The graph contradicts itself or its tensors; `node` is where.
  case graph(node: String, reason: String)
  /// A tensor the graph needs is absent, or has another shape or type.
  case tensor(name: String, reason: String)
  /// The matrix library or processor cannot be trusted; the text names the remedy.
  case unsound(reason: String)
}

extension EngineError: CustomStringConvertible {
  /// One sentence for people: what and where it is, why it is refused, and what helps.
  package var description: String {
    switch self {
    case .file(let path, let operation, let code):
      let reason = strerror(code).map { String(cString: $0) } ?? "error \(code)"
      return "\(path): \(reason) (\(operation)); check the path and its permissions"
    case .damaged(let path, let offset, let reason):
      return "\(path): \(reason) (byte \(offset)); get the file again, or import the weights anew"
    case .graph(let node, let reason):
      let place = node.isEmpty ? "the graph" : "node '\(node)'"
      return "\(place): \(reason); import the weights with the architecture they were trained for"
    case .tensor(let name, let reason):
      return "tensor '\(name)': \(reason); import the weights with the architecture they were trained for"
    case .unsound(let reason): return reason
    }
  }
}
