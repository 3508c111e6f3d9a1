internal import Engine

/// What kind of model a file holds, as its first bytes show.
package enum ModelFormat: Sendable {
  /// An ONNX model.
  case onnx
  /// Lookout's own weights file.
  case weights
  /// Tensors alone: a `state_dict` of PyTorch, or a plain safetensors file.
  case tensors
  /// A TorchScript archive: code and tensors.
  case script

  /// Looks into a file.
  ///
  /// - Throws: `ModelZooError.damaged` if it is none of these, `.engine(.file)` if it cannot be opened.
  package static func of(path: String) throws(ModelZooError) -> ModelFormat {
    try MappedFile(path: path).read { file throws(FormatFault) in try of(file) }
  }

  private static func of(_ file: UnsafeRawBufferPointer) throws(FormatFault) -> ModelFormat {
    guard file.count >= 16 else { throw FormatFault(offset: 0, reason: "too short for a model") }
    if file.number(at: 0, bytes: 4) == 0x0403_4B50 {
      let archive = try ZipArchive(file)
      return archive.entries.contains { $0.name.contains("/code/") } ? .script : .tensors
    }
    if file[0] == 0x80, file[1] <= 5 { return .tensors }
    if file[8] == UInt8(ascii: "{"), file.number(at: 0, bytes: 8) <= UInt64(TensorTable.maximumHeaderBytes) {
      let isOwn = (try? TensorTable(file: file))?.metadata.contains { $0.name == "graph" } ?? false
      return isOwn ? .weights : .tensors
    }
    // ModelProto begins with its version, or with another of its lower fields.
    if [0x08, 0x12, 0x1A, 0x3A, 0x42].contains(file[0]) { return .onnx }
    throw FormatFault(
      offset: 0, reason: "neither ONNX, PyTorch nor safetensors; other formats must be converted to one of them first")
  }
}
