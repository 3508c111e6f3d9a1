internal import CKernels

/// Weights brought into the form that products want.
enum WeightMatrix {
  /// PyTorch's order (out, in, area…) as a row-major matrix: row = place · inChannels + channel, column = output.
  ///
  /// Columns are padded with zeros to a multiple of 16.
  static func of(_ weights: UnsafePointer<Float>, outputs: Int, inputs: Int, area: Int) -> FloatMemory {
    let columns = Value.padded(outputs)
    let matrix = FloatMemory(count: area * inputs * columns)
    ckernels_transpose(weights, nil, outputs, inputs, area, matrix.floats, inputs, columns)
    return matrix
  }

  /// A bias, or any numbers a channel, padded with zeros.
  static func padded(_ numbers: [Float]) -> FloatMemory { FloatMemory(numbers, paddedTo: Value.padded(numbers.count)) }
}

/// A layer's numbers, read some outputs at a time where they lie, so that no large tensor is held twice.
struct WeightRows {
  let bias: [Float]
  /// What an output's weights have yet to be multiplied with for its batch norm, if it has one.
  let scale: FloatMemory?
  /// Numbers of an output.
  let rowFloats: Int
  /// Calls back with rows of the weights in PyTorch's order (outputs × the rest), in groups of a multiple of `grain`.
  let each:
    (
      _ grain: Int, _ body: (_ rows: Range<Int>, _ weights: UnsafeBufferPointer<Float>) throws(EngineError) -> Void
    ) throws(EngineError) -> Void

  var outputs: Int { bias.count }

  /// Calls back with the outputs of a panel at a time: which they are, in how many columns they are padded, their weights
  /// and scales.
  func eachPanel(
    of panel: Int,
    _ body: (
      _ outputs: Range<Int>, _ columns: Int, _ weights: UnsafePointer<Float>, _ scale: UnsafePointer<Float>?
    ) -> Void
  ) throws(EngineError) {
    try each(panel) { rows, weights in
      guard let weights = weights.baseAddress else { return }
      for first in stride(from: rows.lowerBound, to: rows.upperBound, by: panel) {
        let part = first..<min(rows.upperBound, first + panel)
        body(
          part, min(panel, Value.padded(outputs) - first), weights + (first - rows.lowerBound) * rowFloats,
          scale.map { UnsafePointer($0.floats + first) })
      }
    }
  }
}
