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
