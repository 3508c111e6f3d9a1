internal import Engine
internal import ModelZoo

/// Checkpoints of PyTorch in both forms, and safetensors: zip, inflate, pickle, storages, strided tensors.
///
/// An input is a file, or the parts of an archive (`Archived`).
package struct CheckpointSubject: Subject {
  private let file = MemoryFile()

  package init() {}

  package func take(_ bytes: UnsafeRawBufferPointer) -> String? {
    Archived.archive(bytes).withUnsafeBytes { file.fill($0) }
    do {
      let tensors = try StateDict.open(path: file.path)
      for name in tensors.names {
        guard let extents = tensors.extents(ofTensor: name) else {
          preconditionFailure("a listed tensor has no shape")
        }
        let floats = try tensors.floats(ofTensor: name)
        precondition(floats.count == extents.reduce(1, *), "a tensor holds another count than its shape")
      }
      return nil
    } catch {
      return "\(error)"
    }
  }
}
