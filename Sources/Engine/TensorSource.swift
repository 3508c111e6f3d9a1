/// Where a plan takes its weights from: a mapped file, an imported state_dict, a training run.
package protocol TensorSource {
  /// The extents of a tensor in PyTorch's order, or nil if there is none of that name.
  func extents(ofTensor name: String) -> [Int]?

  /// The numbers of a tensor, widened to 32-bit floats, in PyTorch's memory order (row-major).
  ///
  /// - Throws: `EngineError.tensor` if there is no such tensor or its type cannot be widened.
  func floats(ofTensor name: String) throws(EngineError) -> [Float]

  /// The numbers of a tensor of signed bytes as they are stored, what each stands for left aside; nil if it is none, or the
  /// source stores no bytes.
  func signedBytes(ofTensor name: String) -> [Int8]?

  /// Whether `floats(ofTensor:rows:)` takes no more memory than the rows that it gives.
  var readsRows: Bool { get }

  /// How many numbers to ask a source that reads rows for at a time; nil if it does not matter to it.
  func floatsAtOnce(ofTensor name: String) -> Int?

  /// Some rows of a tensor, counted along its first axis; for tensors that are too large to be held twice.
  ///
  /// - Throws: as `floats(ofTensor:)`.
  func floats(ofTensor name: String, rows: Range<Int>) throws(EngineError) -> [Float]

  /// Lends the same numbers, where they lie if they lie there as floats; the pointer must not leave the closure.
  ///
  /// - Throws: as `floats(ofTensor:)`, and what the closure throws.
  func withFloats(
    ofTensor name: String, rows: Range<Int>, _ body: (UnsafeBufferPointer<Float>) throws(EngineError) -> Void
  ) throws(EngineError)
}

extension TensorSource {
  package func signedBytes(ofTensor name: String) -> [Int8]? { nil }

  package var readsRows: Bool { false }

  package func floatsAtOnce(ofTensor name: String) -> Int? { nil }

  package func floats(ofTensor name: String, rows: Range<Int>) throws(EngineError) -> [Float] {
    let floats = try floats(ofTensor: name)
    let row = floats.count / max(1, extents(ofTensor: name)?.first ?? 1)
    return rows.count * row == floats.count ? floats : Array(floats[(rows.lowerBound * row)..<(rows.upperBound * row)])
  }

  package func withFloats(
    ofTensor name: String, rows: Range<Int>, _ body: (UnsafeBufferPointer<Float>) throws(EngineError) -> Void
  ) throws(EngineError) {
    let floats = try floats(ofTensor: name, rows: rows)
    try floats.withUnsafeBufferPointer { floats throws(EngineError) in try body(floats) }
  }

  /// Calls back with the rows of a tensor, in groups of a multiple of `grain`, and if the source can not many more at a
  /// time than it wants, or else than half of a second-level cache holds.
  package func eachRows(
    ofTensor name: String, grain: Int = 1,
    _ body: (_ rows: Range<Int>, _ floats: UnsafeBufferPointer<Float>) throws(EngineError) -> Void
  ) throws(EngineError) {
    let extents = extents(ofTensor: name) ?? []
    let (count, row) = (extents.first ?? 1, max(1, extents.dropFirst().reduce(1, *)))
    let wanted = readsRows ? max(1, (floatsAtOnce(ofTensor: name) ?? 1 << 17) / row) : count
    let step = max(1, (wanted + grain - 1) / grain * grain)
    for first in stride(from: 0, to: count, by: step) {
      let rows = first..<min(count, first + step)
      try withFloats(ofTensor: name, rows: rows) { floats throws(EngineError) in try body(rows, floats) }
    }
  }
}
