/// Floats in pages of their own, zero at first.
final class FloatMemory: @unchecked Sendable {
  let floats: UnsafeMutablePointer<Float>
  let count: Int
  private let pages: Pages

  /// Whole pages.
  var byteCount: Int { pages.byteCount }

  init(count: Int) {
    self.count = count
    pages = Pages(bytes: count * 4)
    floats = pages.base.bindMemory(to: Float.self, capacity: count)
  }

  convenience init(_ values: [Float], paddedTo count: Int) {
    self.init(count: count)
    floats.update(from: values, count: min(values.count, count))
  }
}
