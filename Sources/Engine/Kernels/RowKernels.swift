internal import CKernels

/// Adds, scales, shifts and activates values pixel by pixel.
struct RowPass: StepKernel {
  let input: Int
  let output: Int
  let shape: Shape
  /// A value that is added.
  var addend: Int?
  /// Factors and summands, a channel.
  var scale: FloatMemory?
  var shift: FloatMemory?
  var activation: Activation?
  let kernels: Kernels

  var inputs: [Int] { [input] + (addend.map { [$0] } ?? []) }
  var outputs: [Int] { [output] }
  var algorithm: String { "rows" }

  func run(_ call: KernelCall) {
    let area = shape.h * shape.w
    let (x, y) = (call.view(input), call.view(output))
    call.eachImage(of: area) { n, pixels in
      var pass = ckernels_rows(
        call.image(input, n) + pixels.lowerBound * x.pixelStride, stride: x.pixelStride,
        to: call.target(output, n) + pixels.lowerBound * y.pixelStride, stride: y.pixelStride, rows: pixels.count,
        channels: Value.padded(shape.c), activation: activation?.code ?? 0)
      pass.scale = scale.map { UnsafePointer($0.floats) }
      pass.shift = shift.map { UnsafePointer($0.floats) }
      if let addend {
        let stride = call.view(addend).pixelStride
        pass.b = call.image(addend, n) + pixels.lowerBound * stride
        pass.b_stride = stride
      }
      kernels.table.pointee.rows(&pass)
    }
  }
}

/// The product of two values, element by element; a second value of one pixel is spread over the first.
struct MultiplyPass: StepKernel {
  let first: Int
  let second: Int
  let output: Int
  let shape: Shape
  let isSpread: Bool
  let kernels: Kernels

  var inputs: [Int] { [first, second] }
  var outputs: [Int] { [output] }
  var algorithm: String { "multiply" }

  func run(_ call: KernelCall) {
    let (a, b, y) = (call.view(first), call.view(second), call.view(output))
    call.eachImage(of: shape.h * shape.w) { n, pixels in
      kernels.table.pointee.multiply_rows(
        call.image(first, n) + pixels.lowerBound * a.pixelStride, a.pixelStride,
        call.image(second, n) + (isSpread ? 0 : pixels.lowerBound * b.pixelStride), isSpread ? 0 : b.pixelStride,
        call.target(output, n) + pixels.lowerBound * y.pixelStride, y.pixelStride, pixels.count,
        Value.padded(shape.c))
    }
  }
}

/// Copies values into channels of another: the picture into padded pixels, parts of a concatenation to their places.
struct CopyChannels: StepKernel {
  struct Part: Sendable {
    let input: Int
    let channels: Int
    /// Where they go.
    let first: Int
  }

  let parts: [Part]
  let output: Int
  let shape: Shape

  var inputs: [Int] { parts.map(\.input) }
  var outputs: [Int] { [output] }
  var algorithm: String { "copy" }

  func run(_ call: KernelCall) {
    let y = call.view(output)
    call.eachImage(of: shape.h * shape.w) { n, pixels in
      for part in parts {
        let stride = part.input == 0 ? part.channels : call.view(part.input).pixelStride
        let source = call.image(part.input, n)
        let target = call.target(output, n) + part.first
        for pixel in pixels {
          (target + pixel * y.pixelStride).update(from: source + pixel * stride, count: part.channels)
        }
      }
    }
  }
}

/// From channels-last to C, H, W order: a value of one pixel.
struct Flatten: StepKernel {
  let input: Int
  let output: Int
  let shape: Shape

  var inputs: [Int] { [input] }
  var outputs: [Int] { [output] }
  var algorithm: String { "flatten" }

  func run(_ call: KernelCall) {
    for n in call.share(of: call.count) {
      Self.planar(call.image(input, n), pixelStride: call.view(input).pixelStride, shape, to: call.target(output, n))
    }
  }

  /// Writes an image's numbers in C, H, W order.
  static func planar(
    _ source: UnsafePointer<Float>, pixelStride: Int, _ shape: Shape, to target: UnsafeMutablePointer<Float>
  ) {
    let area = shape.h * shape.w
    if area == 1 {
      target.update(from: source, count: shape.c)
      return
    }
    for pixel in 0..<area {
      for c in 0..<shape.c { target[c * area + pixel] = source[pixel * pixelStride + c] }
    }
  }
}

/// What needs all channels of a pixel at once.
struct ChannelKernel: StepKernel {
  enum Kind {
    case softmax
    case localResponseNorm(size: Int, alpha: Float, beta: Float, k: Float)
  }

  let kind: Kind
  let input: Int
  let output: Int
  let shape: Shape
  let kernels: Kernels

  var inputs: [Int] { [input] }
  var outputs: [Int] { [output] }
  var algorithm: String { "channels" }

  func run(_ call: KernelCall) {
    let (x, y) = (call.view(input), call.view(output))
    call.eachImage(of: shape.h * shape.w) { n, pixels in
      for pixel in pixels {
        let source = call.image(input, n) + pixel * x.pixelStride
        let target = call.target(output, n) + pixel * y.pixelStride
        switch kind {
        case .softmax: kernels.table.pointee.softmax(source, shape.c, target)
        case .localResponseNorm(let size, let alpha, let beta, let k):
          kernels.table.pointee.local_response(source, shape.c, size, alpha, beta, k, target)
        }
      }
    }
  }
}

extension KernelCall {
  /// What this lane takes of all pixels of the batch, or of other things of which an image has so many, image by image.
  func eachImage(of area: Int, _ body: (_ n: Int, _ pixels: Range<Int>) -> Void) {
    eachPart(of: count * area) { mine in
      var next = mine.lowerBound
      while next < mine.upperBound {
        let (n, first) = (next / area, next % area)
        let end = min(area, first + mine.upperBound - next)
        body(n, first..<end)
        next += end - first
      }
    }
  }
}
