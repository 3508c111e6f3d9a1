internal import Engine
internal import ModelZoo

/// Checkpoints of PyTorch in both forms, and safetensors: zip, inflate, pickle, storages, strided tensors.
package struct CheckpointSubject: Subject {
  private let file = MemoryFile()

  package init() {}

  package func take(_ bytes: UnsafeRawBufferPointer) -> String? {
    file.fill(bytes)
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
