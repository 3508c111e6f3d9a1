internal import CKernels

/// A sliding maximum or mean.
struct SlidingPool: StepKernel {
  enum Kind { case maximum, mean(countIncludePad: Bool) }

  let kind: Kind
  let window: Window
  let input: Int
  let output: Int
  let inputShape: Shape
  let outputShape: Shape
  let kernels: Kernels

  var inputs: [Int] { [input] }
  var outputs: [Int] { [output] }
  var algorithm: String { "pool" }

  func run(_ call: KernelCall) {
    let (x, y) = (call.view(input), call.view(output))
    let edges = window.edges(for: inputShape)
    var geometry = ckernels_window(
      height: inputShape.h, width: inputShape.w, pixel_stride: x.pixelStride, channels: Value.padded(inputShape.c),
      out_width: outputShape.w, out_pixel_stride: y.pixelStride, kernel_h: window.kernel.h, kernel_w: window.kernel.w,
      stride_h: window.stride.h, stride_w: window.stride.w, dilation_h: window.dilation.h,
      dilation_w: window.dilation.w, top: edges.top, left: edges.left, padded_bottom: 0, padded_right: 0)
    if case .mean(countIncludePad: true) = kind {
      geometry.padded_bottom = inputShape.h + edges.bottom
      geometry.padded_right = inputShape.w + edges.right
    }
    call.eachImage(of: outputShape.h) { n, rows in
      let (source, target) = (call.image(input, n), call.target(output, n))
      switch kind {
      case .maximum: kernels.table.pointee.maximum(&geometry, source, rows.lowerBound, rows.count, target)
      case .mean: kernels.table.pointee.mean(&geometry, source, rows.lowerBound, rows.count, target)
      }
    }
  }
}

/// A mean over parts of the picture; output pixel i covers the input from ⌊i·in/out⌋ to ⌈(i+1)·in/out⌉.
struct AdaptiveMean: StepKernel {
  let input: Int
  let output: Int
  let inputShape: Shape
  let outputShape: Shape
  let kernels: Kernels

  var inputs: [Int] { [input] }
  var outputs: [Int] { [output] }
  var algorithm: String { "mean" }

  func run(_ call: KernelCall) {
    let (x, y) = (inputShape, outputShape)
    let stride = call.view(input).pixelStride
    let channels = Value.padded(x.c)
    for pixel in call.share(of: call.count * y.h * y.w) {
      let (n, oy, ox) = (pixel / (y.h * y.w), pixel % (y.h * y.w) / y.w, pixel % y.w)
      let target = call.target(output, n) + (oy * y.w + ox) * call.view(output).pixelStride
      target.update(repeating: 0, count: channels)
      let rows = (oy * x.h / y.h)..<(((oy + 1) * x.h + y.h - 1) / y.h)
      let columns = (ox * x.w / y.w)..<(((ox + 1) * x.w + y.w - 1) / y.w)
      let source = call.image(input, n)
      if columns.count == x.w {
        kernels.table.pointee.sum_rows(
          source + rows.lowerBound * x.w * stride, stride, rows.count * x.w, channels, target)
      } else {
        for row in rows {
          kernels.table.pointee.sum_rows(
            source + (row * x.w + columns.lowerBound) * stride, stride, columns.count, channels, target)
        }
      }
      let factor = 1 / Float(rows.count * columns.count)
      for c in 0..<channels { target[c] *= factor }
    }
  }
}

/// A mean over the picture from the sums that the kernel before left, a row for each lane.
struct MeanOfSums: StepKernel {
  let sums: Int
  let output: Int
  let inputShape: Shape

  var inputs: [Int] { [sums] }
  var outputs: [Int] { [output] }
  var algorithm: String { "mean of sums" }

  func run(_ call: KernelCall) {
    let channels = Value.padded(inputShape.c)
    let factor = 1 / Float(inputShape.h * inputShape.w)
    for n in call.share(of: call.count) {
      let (source, target) = (call.image(sums, n), call.target(output, n))
      for c in 0..<channels {
        var sum = source[c]
        for lane in 1..<max(1, call.lanes) { sum += source[lane * channels + c] }
        target[c] = sum * factor
      }
    }
  }
}
