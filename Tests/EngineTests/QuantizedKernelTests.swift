import CKernels
import Testing

/// The instruction sets this processor has.
private let levels = (0...2).filter { $0 <= ckernels_int8_level() }

@Suite("Kernels on bytes add up exactly", .serialized)
struct QuantizedKernelTests {
  private func bytes(_ count: Int, _ generator: inout Seeded) -> [UInt8] {
    (0..<count + 64).map { _ in UInt8.random(in: 0...255, using: &generator) }
  }

  /// Extreme weights and bytes among them: 255 · −127 in every place passes 16 bits.
  private func weights(_ count: Int, _ generator: inout Seeded) -> [Int8] {
    (0..<count).map { _ in Bool.random(using: &generator) ? -127 : Int8.random(in: -127...127, using: &generator) }
  }

  @Test(arguments: levels, [1, 5, 12, 13, 31])
  func multipliesAsDefined(_ level: Int32, _ rows: Int) {
    ckernels_int8_limit(level)
    defer { ckernels_int8_limit(2) }
    var generator = Seeded(seed: UInt64(rows))
    for (depth, columns) in [(4, 1), (8, 16), (36, 17), (196, 32), (64, 33), (72, 71)] {
      let blocks = (columns + 31) / 32
      let a = bytes(rows * depth, &generator)
      let b = weights(blocks * 32 * depth, &generator)
      let scale = generator.floats(blocks * 32, in: 0.001...0.002)
      let bias = generator.floats(blocks * 32, in: 0...255)
      let residual = bytes(rows * columns, &generator)
      let halves = [Float](repeating: 0.5, count: blocks * 32)
      for activation in [0, ckernels_silu] {
        var out = [UInt8](repeating: 0, count: rows * columns)
        scale.withUnsafeBufferPointer { scale in
          bias.withUnsafeBufferPointer { bias in
            residual.withUnsafeBufferPointer { residual in
              halves.withUnsafeBufferPointer { halves in
                out.withUnsafeMutableBufferPointer { out in
                  guard let s = scale.baseAddress, let t = bias.baseAddress, let h = halves.baseAddress else { return }
                  var epilogue = ckernels_int8_epilogue(
                    scale: s, bias: t, residual: residual.baseAddress, residual_scale: h,
                    activation: Int32(activation), quanta: 1, zero: 3, low: 2, high: 250)
                  ckernels_int8_multiply(
                    rows, depth, columns, a, depth, b, &epilogue,
                    ckernels_int8_output(bytes: out.baseAddress, floats: nil, stride: columns))
                }
              }
            }
          }
        }
        for row in 0..<rows {
          for column in 0..<columns {
            var sum: Int32 = 0
            for k in 0..<depth {
              let weight = b[column / 32 * 32 * depth + k / 4 * 128 + column % 32 * 4 + k % 4]
              sum += Int32(a[row * depth + k]) * Int32(weight)
            }
            var v = Float(sum).times(scale[column], plus: bias[column])
            v += Float(residual[row * columns + column]) * 0.5
            if activation != 0 { v = v / (1 + exponential(-v)) + 3 }
            let wanted = min(250, max(2, v)).rounded(.toNearestOrEven)
            let difference = abs(Float(out[row * columns + column]) - wanted)
            // One step where the two roundings fall on either side of a half.
            #expect(difference <= 1, "\(rows)×\(depth)×\(columns), row \(row), column \(column)")
          }
        }
      }
    }
  }

  @Test(arguments: levels)
  func everyInstructionSetAgreesOnDepthwise(_ level: Int32) {
    var generator = Seeded(seed: 5)
    for (channels, kernel, step) in [(1, 3, 1), (32, 3, 2), (67, 5, 1), (128, 3, 1), (70, 7, 2)] {
      let (height, width) = (9, 8)
      let stride = (channels + 3) / 4 * 4
      let groups = (kernel * kernel + 3) / 4
      let blocks = (channels + 63) / 64
      let input = bytes(height * width * stride, &generator)
      let packed = weights(blocks * groups * 256, &generator)
      let scale = generator.floats(blocks * 64, in: 0.001...0.002)
      let bias = generator.floats(blocks * 64, in: 100...155)
      let outside = [UInt8](repeating: 7, count: stride + 128)
      let outHeight = (height - 1) / step + 1
      let outWidth = (width - 1) / step + 1
      func run(_ level: Int32) -> [UInt8] {
        ckernels_int8_limit(level)
        defer { ckernels_int8_limit(2) }
        var out = [UInt8](repeating: 0, count: outHeight * outWidth * stride)
        outside.withUnsafeBufferPointer { outside in
          scale.withUnsafeBufferPointer { scale in
            bias.withUnsafeBufferPointer { bias in
              out.withUnsafeMutableBufferPointer { out in
                guard let o = outside.baseAddress, let s = scale.baseAddress, let b = bias.baseAddress else { return }
                var window = ckernels_int8_window(
                  channels: channels, stride: stride, height: height, width: width, out_height: outHeight,
                  out_width: outWidth, kernel_h: kernel, kernel_w: kernel, stride_h: step, stride_w: step,
                  dilation_h: 1,
                  dilation_w: 1, top: kernel / 2, left: kernel / 2, outside: o)
                var epilogue = ckernels_int8_epilogue(
                  scale: s, bias: b, residual: nil, residual_scale: nil, activation: 0, quanta: 1, zero: 0, low: 0,
                  high: 255)
                ckernels_int8_depthwise(
                  &window, input, packed, &epilogue,
                  ckernels_int8_output(bytes: out.baseAddress, floats: nil, stride: stride))
              }
            }
          }
        }
        return out
      }
      #expect(run(level) == run(0), "\(channels) channels, \(kernel)×\(kernel)")
    }
  }
}

extension Float {
  /// self · factor + term, rounded once, as the kernels do.
  fileprivate func times(_ factor: Float, plus term: Float) -> Float { term.addingProduct(self, factor) }
}

private func exponential(_ x: Float) -> Float {
  var term = 1.0
  var sum = 1.0
  let half = Double(x) / 1024
  for n in 1...12 {
    term *= half / Double(n)
    sum += term
  }
  var power = sum
  for _ in 0..<10 { power *= power }
  return Float(power)
}
