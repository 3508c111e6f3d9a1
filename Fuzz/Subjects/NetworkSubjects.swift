internal import Engine
internal import ModelZoo

/// ONNX models: protocol buffers, operators, folded constants, weights beside the file.
package struct ONNXSubject: Subject {
  private let folder = MemoryFolder()

  package init() {
    // What a model may name: a neighbour with so many numbers.
    let neighbour = (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    neighbour.withUnsafeBytes { folder.write($0, to: "weights.data") }
  }

  package func take(_ bytes: UnsafeRawBufferPointer) -> String? {
    folder.write(bytes, to: "model.onnx")
    // Given or the model's own, as the length says, so that an input stays a plain file.
    let size = bytes.count & 1 == 0 ? nil : Extent2D(h: 8, w: 8)
    do {
      try run(ONNXFile.read(path: "\(folder.path)/model.onnx", size: size, output: nil))
      return nil
    } catch {
      return "\(error)"
    }
  }
}

/// TorchScript archives: zip, pickle, code and what it computes.
///
/// An input is an archive or its parts (`Archived`).
package struct ScriptSubject: Subject {
  private let file = MemoryFile()

  package init() {}

  package func take(_ bytes: UnsafeRawBufferPointer) -> String? {
    Archived.archive(bytes).withUnsafeBytes { file.fill($0) }
    do {
      try run(TorchScriptFile.read(path: file.path, size: Extent2D(h: 8, w: 8)))
      return nil
    } catch {
      return "\(error)"
    }
  }
}

/// Compiles and runs what was imported, as `lookout import` does for the canary.
private func run(_ imported: ImportedNetwork) throws(EngineError) {
  guard try imported.graph.takesMoments() else { return }
  let compiled = try CompiledNetwork(graph: imported.graph, weights: imported.tensors)
  let plan = try InferencePlan(network: compiled, batchCapacity: 1)
  _ = plan.discrepancy(to: Canary(seed: 7, outputs: []))
}
