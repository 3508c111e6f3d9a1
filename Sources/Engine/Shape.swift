/// The extents of a tensor along its four axes.
///
/// The letters mean the same in every signature and document: **N** images of a batch, **C** channels, **H** rows,
/// **W** columns. A vector of features has H = W = 1. How the numbers lie in memory is the plan's own affair
/// (it keeps channels last); a shape never says it.
package struct Shape: Equatable, Hashable, Sendable {
  package var n: Int
  package var c: Int
  package var h: Int
  package var w: Int

  package init(n: Int = 1, c: Int, h: Int = 1, w: Int = 1) {
    self.n = n
    self.c = c
    self.h = h
    self.w = w
  }

  /// How many numbers a tensor of this shape holds.
  package var count: Int { n * c * h * w }

  /// How many numbers one image of the batch holds.
  package var countPerImage: Int { c * h * w }
}

extension Shape: CustomStringConvertible {
  package var description: String { "\(n)×\(c)×\(h)×\(w)" }
}
