/// A convolution of any kind as matrix products over unfolded patches, some output rows at a time.
struct UnfoldedConvolution {
  let convolution: Convolution
  let input: Shape
  let output: Shape
  private let top: Int
  private let left: Int
  private let rowsPerTile: Int

  private static let tileFloats = 1 << 16

  init(_ c: Convolution, input: Shape, output: Shape, window: Window) {
    convolution = c
    self.input = input
    self.output = output
    let pad = window.edges(for: input)
    (top, left) = (pad.top, pad.left)
    let depth = c.kernel.h * c.kernel.w * c.inChannels / c.groups
    rowsPerTile = max(1, min(output.h, Self.tileFloats / max(1, depth * output.w)))
  }

  private var inGroup: Int { convolution.inChannels / convolution.groups }
  private var outGroup: Int { convolution.outChannels / convolution.groups }
  private var depth: Int { convolution.kernel.h * convolution.kernel.w * inGroup }

  /// Pixels do not touch each other, so that the picture is its own patches.
  private var isPlain: Bool {
    convolution.kernel == Extent2D(1) && convolution.stride == Extent2D(1) && input.h == output.h
      && input.w == output.w && top == 0 && left == 0 && convolution.groups == 1
  }

  var patchCount: Int { isPlain ? 0 : rowsPerTile * output.w * depth }

  /// Calls back with the patches of each group and tile.
  private func eachTile(_ body: (_ group: Int, _ rows: Range<Int>) -> Void) {
    for group in 0..<convolution.groups {
      for first in stride(from: 0, to: output.h, by: rowsPerTile) {
        body(group, first..<min(output.h, first + rowsPerTile))
      }
    }
  }

  /// Calls back with each kernel position of each output pixel: its place in the patches, and in the picture or nil.
  private func eachTap(_ rows: Range<Int>, _ group: Int, _ body: (_ patch: Int, _ picture: Int?) -> Void) {
    var patch = 0
    for oy in rows {
      for ox in 0..<output.w {
        for ky in 0..<convolution.kernel.h {
          let y = oy * convolution.stride.h + ky * convolution.dilation.h - top
          for kx in 0..<convolution.kernel.w {
            let x = ox * convolution.stride.w + kx * convolution.dilation.w - left
            let isInside = y >= 0 && y < input.h && x >= 0 && x < input.w
            body(patch, isInside ? (y * input.w + x) * input.c + group * inGroup : nil)
            patch += inGroup
          }
        }
      }
    }
  }

  private func unfold(
    _ picture: UnsafePointer<Float>, _ rows: Range<Int>, _ group: Int, to patches: UnsafeMutablePointer<Float>
  ) {
    eachTap(rows, group) { patch, place in
      if let place {
        (patches + patch).update(from: picture + place, count: inGroup)
      } else {
        (patches + patch).update(repeating: 0, count: inGroup)
      }
    }
  }

  func forward(
    _ picture: UnsafePointer<Float>, _ weights: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>,
    patches: UnsafeMutablePointer<Float>, hasBias: Bool
  ) {
    eachTile { group, rows in
      if !isPlain { unfold(picture, rows, group, to: patches) }
      GradientProduct.multiply(
        isPlain ? picture + rows.lowerBound * output.w * depth : UnsafePointer(patches),
        weights + group * depth * outGroup, out + rows.lowerBound * output.w * output.c + group * outGroup,
        rows: rows.count * output.w, depth: depth, columns: outGroup, outStride: output.c, keep: hasBias ? 1 : 0)
    }
  }

  func addWeightGradient(
    _ picture: UnsafePointer<Float>, _ gradient: UnsafePointer<Float>, _ weights: UnsafeMutablePointer<Float>,
    patches: UnsafeMutablePointer<Float>
  ) {
    eachTile { group, rows in
      if !isPlain { unfold(picture, rows, group, to: patches) }
      GradientProduct.multiplyTransposingFirst(
        isPlain ? picture + rows.lowerBound * output.w * depth : UnsafePointer(patches),
        gradient + rows.lowerBound * output.w * output.c + group * outGroup, weights + group * depth * outGroup,
        rows: depth, depth: rows.count * output.w, columns: outGroup, bStride: output.c)
    }
  }

  func inputGradient(
    _ gradient: UnsafePointer<Float>, _ weights: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>,
    patches: UnsafeMutablePointer<Float>, accumulates: Bool
  ) {
    if !isPlain, !accumulates { out.update(repeating: 0, count: input.countPerImage) }
    eachTile { group, rows in
      let target = isPlain ? out + rows.lowerBound * output.w * depth : patches
      GradientProduct.multiplyTransposingSecond(
        gradient + rows.lowerBound * output.w * output.c + group * outGroup, weights + group * depth * outGroup,
        target, rows: rows.count * output.w, depth: outGroup, columns: depth, aStride: output.c,
        keep: isPlain && accumulates ? 1 : 0)
      guard !isPlain else { return }
      eachTap(rows, group) { patch, place in
        guard let place else { return }
        for c in 0..<inGroup { out[place + c] += patches[patch + c] }
      }
    }
  }
}
