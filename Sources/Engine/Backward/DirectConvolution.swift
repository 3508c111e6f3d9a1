internal import CKernels

/// A convolution of one group computed straight from the padded picture; its output channels are a multiple of 8.
///
/// The input's gradient is a convolution too: of the output's gradient, drawn apart by the stride, with the kernel
/// turned around.
struct DirectConvolution {
  let convolution: Convolution
  let padded: PictureInPadding
  private let forwardRuns: Runs
  private let output: Shape
  /// Nil if the input's gradient must be had another way.
  let spreadGradient: PictureInPadding?
  private let backwardRuns: Runs?
  let input: Shape

  /// Where a patch's numbers lie in the padded picture.
  private struct Runs {
    let starts: [Int]
    let length: Int

    init(_ c: Convolution, width: Int, channels: Int) {
      let rows = (0..<c.kernel.h).map { $0 * c.dilation.h * width * channels }
      if c.dilation.w == 1 {
        (starts, length) = (rows, c.kernel.w * channels)
      } else {
        starts = rows.flatMap { row in (0..<c.kernel.w).map { row + $0 * c.dilation.w * channels } }
        length = channels
      }
    }
  }

  /// Nil if this way does not serve the convolution.
  init?(_ c: Convolution, input x: Shape, output y: Shape, window: Window) {
    guard c.groups == 1, c.outChannels % 8 == 0 else { return nil }
    let pad = window.edges(for: x)
    let reach = Extent2D(h: c.dilation.h * (c.kernel.h - 1), w: c.dilation.w * (c.kernel.w - 1))
    convolution = c
    (input, output) = (x, y)
    padded = PictureInPadding(
      shape: x, top: pad.top, left: pad.left, height: max(x.h + pad.top, (y.h - 1) * c.stride.h + reach.h + 1),
      width: max(x.w + pad.left, (y.w - 1) * c.stride.w + reach.w + 1))
    forwardRuns = Runs(c, width: padded.width, channels: x.c)
    let before = Extent2D(h: reach.h - pad.top, w: reach.w - pad.left)
    if c.inChannels % 8 == 0, before.h >= 0, before.w >= 0 {
      let spread = PictureInPadding(
        shape: y, top: before.h, left: before.w, height: x.h + reach.h, width: x.w + reach.w, spread: c.stride)
      spreadGradient = spread
      backwardRuns = Runs(c, width: spread.width, channels: y.c)
    } else {
      (spreadGradient, backwardRuns) = (nil, nil)
    }
  }

  var scratchCount: Int { max(padded.isWhole ? 0 : padded.count, spreadGradient?.count ?? 0) }

  private func withForwardPatches(_ body: (UnsafePointer<training_patches>) -> Void) {
    forwardRuns.starts.withUnsafeBufferPointer { starts in
      guard let runs = starts.baseAddress else { return }
      var shape = training_patches(
        runs: runs, run_count: starts.count, run_length: forwardRuns.length,
        row_stride: padded.width * input.c * convolution.stride.h, pixel_stride: input.c * convolution.stride.w,
        out_height: output.h, out_width: output.w, columns: output.c, out_stride: output.c)
      if isPointwise { (shape.out_height, shape.out_width) = (1, output.h * output.w) }
      body(&shape)
    }
  }

  /// Pixels do not touch each other: all rows are one.
  private var isPointwise: Bool {
    convolution.kernel == Extent2D(1) && convolution.stride == Extent2D(1) && padded.isWhole
  }

  /// Adds to `out`, which holds the bias.
  func forward(
    _ picture: UnsafePointer<Float>, _ weights: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, hasBias: Bool
  ) {
    let source = padded.fill(scratch, from: picture)
    withForwardPatches { training_convolve($0, source, weights, out, hasBias ? 1 : 0) }
  }

  func addWeightGradient(
    _ picture: UnsafePointer<Float>, _ gradient: UnsafePointer<Float>, _ weights: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>
  ) {
    let source = padded.fill(scratch, from: picture)
    withForwardPatches { training_convolve_weights($0, source, gradient, weights) }
  }

  /// The kernel turned around: (kh·kw·out) × in.
  func turn(_ weights: UnsafePointer<Float>, to turned: UnsafeMutablePointer<Float>) {
    let area = convolution.kernel.h * convolution.kernel.w
    for k in 0..<area {
      let (from, to) = (weights + k * input.c * output.c, turned + (area - 1 - k) * input.c * output.c)
      for i in 0..<input.c {
        for o in 0..<output.c { to[o * input.c + i] = from[i * output.c + o] }
      }
    }
  }

  func inputGradient(
    _ gradient: UnsafePointer<Float>, turned: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, accumulates: Bool
  ) {
    guard let spreadGradient, let backwardRuns else { return }
    let source = spreadGradient.fill(scratch, from: gradient)
    backwardRuns.starts.withUnsafeBufferPointer { starts in
      guard let runs = starts.baseAddress else { return }
      var shape = training_patches(
        runs: runs, run_count: starts.count, run_length: backwardRuns.length,
        row_stride: spreadGradient.width * output.c, pixel_stride: output.c, out_height: input.h,
        out_width: input.w, columns: input.c, out_stride: input.c)
      if isPointwise { (shape.out_height, shape.out_width) = (1, input.h * input.w) }
      training_convolve(&shape, source, turned, out, accumulates ? 1 : 0)
    }
  }
}
