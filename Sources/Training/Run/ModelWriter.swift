package import Engine
internal import Glibc
package import Imaging

/// Writes trained weights as a file that the daemon takes as it is.
package enum ModelWriter {
  private static let seed: UInt32 = 0x6C6F_6F6B

  /// Labels, preprocessing, where it comes from, and a canary made with the weights as they are stored.
  ///
  /// - Throws: `EngineError` if the disk refuses or the network's answers are no finite numbers.
  package static func write(
    to path: String, graph: Graph, weights: any TensorSource, labels: [String], preprocessing: Preprocessing,
    provenance: String
  ) throws(EngineError) {
    let json: String
    do throws(ImagingError) {
      json = try preprocessing.json()
    } catch {
      throw .graph(node: graph.inputName, reason: "\(error)")
    }
    func write(to path: String, canary: Canary?) throws(EngineError) {
      try WeightsFile.write(
        to: path, graph: graph, labels: labels, preprocessing: json, canary: canary, provenance: provenance,
        tensors: AnyTensors(source: weights), storage: .f32)
    }
    let network = try CompiledNetwork(graph: graph, weights: AnyTensors(source: weights))
    let answers = try InferencePlan(network: network, batchCapacity: 1).answers(toSeed: seed)
    guard answers.allSatisfy(\.isFinite) else {
      throw .graph(node: graph.outputName, reason: "the network's answers are no finite numbers")
    }
    try write(to: path, canary: Canary(seed: seed, outputs: answers))
  }
}
