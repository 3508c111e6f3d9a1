internal import Engine
internal import Glibc

/// What a weights file is made of, but for its canary.
struct ModelDraft {
  let graph: Graph
  let labels: [String]
  let preprocessing: String
  let provenance: String
  let tensors: any TensorSource & Sendable
  let storage: ElementType
  /// For weights in bytes.
  var quantization: Quantization?

  private static let seed: UInt32 = 0x6C6F_6F6B

  /// Writes the file with what the network answers to the canary's input, with the weights as they are stored: written
  /// once without a canary, read again and run.
  func writeWithCanary(to path: String) throws(EngineError) {
    let draft = "\(path).\(getpid()).draft"
    defer { unlink(draft) }
    try write(to: draft, canary: nil)
    try write(to: path, canary: canary(of: draft))
  }

  private func write(to path: String, canary: Canary?) throws(EngineError) {
    try WeightsFile.write(
      to: path, graph: graph, labels: labels, preprocessing: preprocessing, canary: canary, provenance: provenance,
      tensors: tensors, storage: storage, quantization: quantization)
  }

  private func canary(of path: String) throws(EngineError) -> Canary {
    let file = try WeightsFile.open(path: path)
    // Winograd's weights would take up to four times the file's room; what the canary allows is wider than their rounding.
    let network = try file.network(options: EngineOptions(isExact: true))
    let answers = try network.plan(batchCapacity: 1).answers(toSeed: Self.seed)
    guard answers.allSatisfy(\.isFinite) else {
      throw .graph(node: graph.outputName, reason: "the network's answers are no finite numbers")
    }
    return Canary(seed: Self.seed, outputs: answers)
  }
}

/// Writes to the terminal or journal beside the results (`write`).
func writeToStandardError(_ bytes: UnsafeRawBufferPointer) -> Int {
  write(STDERR_FILENO, bytes.baseAddress, bytes.count)
}
