internal import CKernels

/// Weights brought into the form that products want.
enum WeightMatrix {
  /// PyTorch's order (out, in, area…) as a row-major matrix: row = place · inChannels + channel, column = output.
  ///
  /// Columns are padded with zeros to a multiple of 16.
  static func of(_ weights: UnsafePointer<Float>, outputs: Int, inputs: Int, area: Int) -> FloatMemory {
    let columns = Value.padded(outputs)
    let matrix = FloatMemory(count: area * inputs * columns)
    ckernels_transpose(weights, outputs, inputs * area, area, matrix.floats, columns)
    return matrix
  }

  /// A bias, or any numbers a channel, padded with zeros.
  static func padded(_ numbers: [Float]) -> FloatMemory { FloatMemory(numbers, paddedTo: Value.padded(numbers.count)) }
}
