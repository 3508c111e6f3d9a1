/// Where a plan takes its weights from: a mapped file, an imported state_dict, a training run.
package protocol TensorSource {
  /// The extents of a tensor in PyTorch's order, or nil if there is none of that name.
  func extents(ofTensor name: String) -> [Int]?

  /// The numbers of a tensor, widened to 32-bit floats, in PyTorch's memory order (row-major).
  ///
  /// - Throws: `EngineError.tensor` if there is no such tensor or its type cannot be widened.
  func floats(ofTensor name: String) throws(EngineError) -> [Float]
}
