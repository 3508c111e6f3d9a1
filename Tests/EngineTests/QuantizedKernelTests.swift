import CKernels
import TestSupport
import Testing

/// The instruction sets that have kernels on bytes here.
private let sets = (0...3).filter { ckernels_int8_of(Int32($0)) != nil }

private func table(_ set: Int) throws -> ckernels_int8_table { try #require(ckernels_int8_of(Int32(set))).pointee }

/// Memory for kernels: aligned, and readable a little beyond its end.
private final class Bytes {
  let count: Int
  let bytes: UnsafeMutablePointer<UInt8>

  init(count: Int) {
    self.count = count
    let raw = UnsafeMutableRawPointer.allocate(byteCount: count + 128, alignment: 64)
    bytes = raw.initializeMemory(as: UInt8.self, repeating: 0, count: count + 128)
  }

  convenience init(random count: Int, _ generator: inout Seeded) {
    self.init(count: count)
    for place in 0..<count { bytes[place] = UInt8.random(in: 0...255, using: &generator) }
  }

  var signed: UnsafeMutablePointer<Int8> { UnsafeMutableRawPointer(bytes).assumingMemoryBound(to: Int8.self) }
  var all: [UInt8] { (0..<count).map { bytes[$0] } }

  deinit { UnsafeMutableRawPointer(bytes).deallocate() }
}

/// What weights a layer may have.
private enum Weights: CaseIterable {
  /// 255 · 127 twice passes 16 bits.
  case extreme
  case even
  /// Two always stay within 16 bits, four seldom do.
  case middling
  /// Most of them small, as of trained networks.
  case small

  func draw(_ count: Int, _ generator: inout Seeded) -> [Int8] {
    (0..<count).map { _ in
      switch self {
      case .extreme: Bool.random(using: &generator) ? -127 : Int8.random(in: 100...127, using: &generator)
      case .even: Int8.random(in: -127...127, using: &generator)
      case .middling: Int8.random(in: -64...64, using: &generator)
      case .small: Int8.random(in: 0..<40, using: &generator) == 0 ? 127 : Int8.random(in: -30...30, using: &generator)
      }
    }
  }
}

@Suite("Kernels on bytes add up exactly")
struct QuantizedKernelTests {
  /// Factors of the results, kept while kernels use them.
  private final class Factors {
    let scale, bias, residual: UnsafeMutablePointer<Float>
    let count: Int

    init(_ count: Int, _ generator: inout Seeded) {
      self.count = count
      scale = .allocate(capacity: count)
      bias = .allocate(capacity: count)
      residual = .allocate(capacity: count)
      for place in 0..<count {
        scale[place] = .random(in: 0.0001...0.0004, using: &generator)
        bias[place] = .random(in: 0...255, using: &generator)
        residual[place] = .random(in: 0.2...0.8, using: &generator)
      }
    }

    deinit {
      for numbers in [scale, bias, residual] { numbers.deallocate() }
    }

    func epilogue(_ other: Bytes?, activation: Int32) -> ckernels_int8_epilogue {
      ckernels_int8_epilogue(
        scale: scale, bias: bias, residual: other.map { UnsafePointer($0.bytes) }, residual_scale: residual,
        activation: activation, quanta: 1, zero: 3, low: 2, high: 250)
    }

    /// v of the header, up to but without the activation.
    func value(_ sum: Int32, _ column: Int, _ other: UInt8?) -> Float {
      let v = bias[column].addingProduct(Float(sum), scale[column])
      return other.map { v.addingProduct(Float($0), residual[column]) } ?? v
    }
  }

  private func packed(
    _ weights: [Int8], _ outputs: Int, _ depth: Int,
    _ pack: (UnsafePointer<Int8>, Int, Int, UnsafeMutablePointer<Int8>?) -> Int
  ) -> Bytes {
    let bytes = Bytes(count: pack(weights, outputs, depth, nil))
    // Kernels read at a boundary, what packs may write anywhere.
    let anywhere = Bytes(count: bytes.count + 16)
    #expect(pack(weights, outputs, depth, anywhere.signed + 16) == bytes.count)
    bytes.bytes.update(from: anywhere.bytes + 16, count: bytes.count)
    return bytes
  }

  @Test(arguments: sets, [1, 5, 12, 13, 31, 49])
  func multipliesAsDefined(_ set: Int, _ rows: Int) throws {
    let kernels = try table(set)
    var generator = Seeded(seed: UInt64(rows))
    for (depth, columns) in [(4, 1), (8, 16), (36, 17), (196, 32), (64, 33), (72, 71), (520, 24)] {
      for kind in Weights.allCases {
        let a = Bytes(random: rows * depth, &generator)
        for place in 0..<depth { a.bytes[place] = 255 }
        let weights = kind.draw(columns * depth, &generator)
        let b = packed(weights, columns, depth, kernels.pack)
        let factors = Factors((columns + 31) / 32 * 32, &generator)
        let residual = Bytes(random: rows * columns, &generator)
        let scratch = Bytes(count: kernels.multiply_scratch(rows, depth))
        for (activation, other) in [(Int32(0), residual), (Int32(ckernels_silu), residual), (0, nil)] {
          let out = Bytes(count: rows * columns)
          var product = ckernels_int8_product(
            rows: rows, depth: depth, columns: columns, a: a.bytes, a_stride: depth, weights: b.signed,
            epilogue: factors.epilogue(other, activation: activation),
            output: ckernels_int8_output(bytes: out.bytes, floats: nil, stride: columns), scratch: scratch.bytes)
          withExtendedLifetime((b, scratch, residual, factors)) { kernels.multiply(&product) }
          for row in 0..<rows {
            for column in 0..<columns {
              var sum: Int32 = 0
              for k in 0..<depth { sum += Int32(a.bytes[row * depth + k]) * Int32(weights[column * depth + k]) }
              let place = row * columns + column
              var v = factors.value(sum, column, other.map { $0.bytes[place] })
              if activation != 0 { v = v / (1 + exponential(-v)) + 3 }
              let wanted = min(250, max(2, v.rounded(.toNearestOrEven)))
              let difference = abs(Float(out.bytes[place]) - wanted)
              // With an activation, one step where the two roundings fall on either side of a half.
              #expect(difference <= (activation == 0 ? 0 : 1), "\(rows)×\(depth)×\(columns), \(kind), \(row) \(column)")
            }
          }
        }
      }
    }
  }

  @Test(arguments: sets)
  func leavesFloatsWhereTheyAreWanted(_ set: Int) throws {
    let kernels = try table(set)
    var generator = Seeded(seed: 3)
    let (rows, depth, columns) = (14, 40, 19)
    let a = Bytes(random: rows * depth, &generator)
    let weights = Weights.even.draw(columns * depth, &generator)
    let b = packed(weights, columns, depth, kernels.pack)
    let factors = Factors(32, &generator)
    let scratch = Bytes(count: kernels.multiply_scratch(rows, depth))
    var out = [Float](repeating: .nan, count: rows * columns + 1)
    out.withUnsafeMutableBufferPointer { out in
      var product = ckernels_int8_product(
        rows: rows, depth: depth, columns: columns, a: a.bytes, a_stride: depth, weights: b.signed,
        epilogue: factors.epilogue(nil, activation: 0),
        output: ckernels_int8_output(bytes: nil, floats: out.baseAddress, stride: columns), scratch: scratch.bytes)
      withExtendedLifetime((a, b, scratch, factors)) { kernels.multiply(&product) }
    }
    for place in 0..<(rows * columns) {
      var sum: Int32 = 0
      for k in 0..<depth {
        sum += Int32(a.bytes[place / columns * depth + k]) * Int32(weights[place % columns * depth + k])
      }
      #expect(out[place] == factors.value(sum, place % columns, nil))
    }
    #expect(out[rows * columns].isNaN, "a number behind the last")
  }

  @Test(arguments: sets)
  func everyInstructionSetAgreesOnDepthwise(_ set: Int) throws {
    var generator = Seeded(seed: 5)
    for (channels, kernel, step, dilation, width) in [
      (1, 3, 1, 1, 8), (32, 3, 2, 1, 8), (67, 5, 1, 1, 8), (128, 3, 1, 1, 131), (70, 7, 2, 1, 61), (100, 3, 1, 2, 8),
      (20, 2, 3, 1, 9), (130, 1, 1, 1, 3), (96, 5, 2, 3, 19),
    ] {
      let height = 9
      let stride = (channels + 3) / 4 * 4
      let input = Bytes(random: height * width * stride, &generator)
      let weights = Weights.extreme.draw(channels * kernel * kernel, &generator)
      let outside = Bytes(count: stride + 128)
      for place in 0..<stride { outside.bytes[place] = 7 }
      let outHeight = (height - 1) / step + 1
      let outWidth = (width - 1) / step + 1
      var window = ckernels_int8_window(
        channels: channels, stride: stride, height: height, width: width, out_height: outHeight, out_width: outWidth,
        kernel_h: kernel, kernel_w: kernel, stride_h: step, stride_w: step, dilation_h: dilation, dilation_w: dilation,
        top: kernel / 2 * dilation, left: kernel / 2 * dilation, outside: outside.bytes)
      func run(_ kernels: ckernels_int8_table) -> [UInt8] {
        let memory = packed(weights, channels, kernel * kernel) { weights, channels, _, packed in
          kernels.pack_depthwise(weights, channels, kernel, kernel, packed)
        }
        var drawn = Seeded(seed: 6)
        let factors = Factors((channels + 63) / 64 * 64, &drawn)
        let out = Bytes(count: outHeight * outWidth * stride)
        var epilogue = factors.epilogue(nil, activation: 0)
        withExtendedLifetime((memory, factors, outside)) {
          kernels.depthwise(
            &window, input.bytes, memory.signed, &epilogue,
            ckernels_int8_output(bytes: out.bytes, floats: nil, stride: stride))
        }
        return out.all
      }
      #expect(run(try table(set)) == run(try table(0)), "\(channels) channels, \(kernel)×\(kernel), width \(width)")
    }
  }

  /// Weights [output][channel][tap] in the order of windows: [output][tap][`length`].
  private func windowRows(_ weights: [Int8], _ outputs: Int, _ channels: Int, taps: Int, length: Int) -> [Int8] {
    var rows = [Int8](repeating: 0, count: outputs * taps * length)
    for place in weights.indices {
      let (output, channel, tap) = (place / taps / channels, place / taps % channels, place % taps)
      rows[(output * taps + tap) * length + channel] = weights[place]
    }
    return rows
  }

  /// One picture's convolution by unfolded windows, with the plain kernels, of `length` bytes of each pixel from `offset` on.
  private func unfolded(
    _ window: inout ckernels_int8_window, _ input: UnsafePointer<UInt8>, offset: Int = 0, length: Int, _ rows: [Int8],
    _ outputs: Int, _ epilogue: ckernels_int8_epilogue, _ out: UnsafeMutablePointer<UInt8>, stride: Int
  ) throws {
    let kernels = try table(0)
    let depth = window.kernel_h * window.kernel_w * length
    let memory = packed(rows, outputs, depth, kernels.pack)
    let area = window.out_height * window.out_width
    let unfolded = Bytes(count: area * depth)
    ckernels_int8_unfold(&window, input, offset, length, 0, area, unfolded.bytes)
    let scratch = Bytes(count: kernels.multiply_scratch(area, depth))
    var product = ckernels_int8_product(
      rows: area, depth: depth, columns: outputs, a: unfolded.bytes, a_stride: depth, weights: memory.signed,
      epilogue: epilogue, output: ckernels_int8_output(bytes: out, floats: nil, stride: stride),
      scratch: scratch.bytes)
    withExtendedLifetime((memory, unfolded, scratch)) { kernels.multiply(&product) }
  }

  /// A convolution to be computed where its windows lie.
  fileprivate struct Sliding: Sendable {
    var height = 9
    var width = 11
    var kernel = (h: 3, w: 3)
    var step = 1
    var dilation = 1
    var pad = 1
    /// Bytes of a pixel, and those that are meant.
    var stride = 16
    var offset = 0
    var length = 16
    var outputs = 40
    var images = 3
    var activation: Int32 = 0
  }

  @Test(arguments: [
    Sliding(), Sliding(pad: 0), Sliding(step: 2, outputs: 64), Sliding(kernel: (1, 1), step: 2, pad: 0),
    Sliding(kernel: (7, 7), step: 2, pad: 3, stride: 4, length: 4, outputs: 16),
    Sliding(dilation: 2, pad: 2), Sliding(dilation: 2, pad: 0), Sliding(kernel: (1, 7), pad: 3, outputs: 33),
    Sliding(stride: 32, offset: 12, length: 8), Sliding(pad: 0, stride: 32, offset: 12, length: 8),
    Sliding(kernel: (5, 2), step: 3, pad: 4, outputs: 7),
    // More than a band holds, in pictures and in lines.
    Sliding(height: 40, width: 30, stride: 128, length: 128, images: 5),
    Sliding(height: 70, width: 50, step: 2, stride: 256, length: 256, outputs: 9, images: 2),
    Sliding(height: 3, width: 2000, stride: 256, length: 256, outputs: 8, images: 1),
    // Lines of fewer and of more than a tile has rows.
    Sliding(height: 7, width: 7, stride: 64, length: 64, outputs: 72, images: 5),
    Sliding(height: 7, width: 7, stride: 64, length: 64, outputs: 40, activation: Int32(ckernels_silu)),
    Sliding(height: 1, width: 7, stride: 96, length: 96), Sliding(height: 8, width: 3, stride: 144, length: 144),
    Sliding(height: 4, width: 35, stride: 40, length: 40, activation: Int32(ckernels_hard_swish)),
    Sliding(height: 5, width: 64, stride: 80, length: 80, outputs: 12),
    Sliding(height: 6, width: 47, pad: 0, outputs: 48),
    Sliding(height: 8, width: 8, step: 2, stride: 64, length: 64, outputs: 100),
    // Channels that no tile shares out evenly.
    Sliding(height: 6, width: 9, stride: 116, length: 116),
    // Weights that many windows pass at a time.
    Sliding(height: 8, width: 7, stride: 512, length: 512, outputs: 240, images: 2),
  ])
  fileprivate func windowsAreReadWhereTheyLie(_ s: Sliding) throws {
    for set in sets {
      let kernels = try table(set)
      guard let convolve = kernels.convolve, let scratchBytes = kernels.convolve_scratch else { continue }
      var generator = Seeded(seed: 17)
      let (taps, outStride) = (s.kernel.h * s.kernel.w, (s.outputs + 3) / 4 * 4)
      let outHeight = (s.height + 2 * s.pad - (s.kernel.h - 1) * s.dilation - 1) / s.step + 1
      let outWidth = (s.width + 2 * s.pad - (s.kernel.w - 1) * s.dilation - 1) / s.step + 1
      let (area, picture) = (outHeight * outWidth, s.height * s.width * s.stride)
      let input = Bytes(random: s.images * picture, &generator)
      let outside = Bytes(random: s.stride + 128, &generator)
      let weights = Weights.even.draw(s.outputs * s.length * taps, &generator)
      let rows = windowRows(weights, s.outputs, s.length, taps: taps, length: s.length)
      let factors = Factors((s.outputs + 31) / 32 * 32, &generator)
      let residual = Bytes(random: s.images * area * outStride, &generator)
      var window = ckernels_int8_window(
        channels: s.stride, stride: s.stride, height: s.height, width: s.width, out_height: outHeight,
        out_width: outWidth, kernel_h: s.kernel.h, kernel_w: s.kernel.w, stride_h: s.step, stride_w: s.step,
        dilation_h: s.dilation, dilation_w: s.dilation, top: s.pad, left: s.pad, outside: outside.bytes)
      let (given, wanted) = (Bytes(count: s.images * area * outStride), Bytes(count: s.images * area * outStride))
      for image in 0..<s.images {
        var epilogue = factors.epilogue(residual, activation: s.activation)
        epilogue.residual = epilogue.residual.map { $0 + image * area * outStride }
        try unfolded(
          &window, input.bytes + image * picture, offset: s.offset, length: s.length, rows, s.outputs, epilogue,
          wanted.bytes + image * area * outStride, stride: outStride)
      }
      let memory = packed(rows, s.outputs, taps * s.length, kernels.pack)
      window.outside = UnsafePointer(outside.bytes + s.offset)
      let scratch = Bytes(count: scratchBytes(&window, s.length))
      var epilogue = factors.epilogue(residual, activation: s.activation)
      withExtendedLifetime((memory, scratch, factors, residual, outside, input)) {
        convolve(
          &window, s.images, input.bytes + s.offset, s.length, memory.signed, s.outputs, &epilogue,
          ckernels_int8_output(bytes: given.bytes, floats: nil, stride: outStride), scratch.bytes)
      }
      #expect(given.all == wanted.all, "\(s)")
    }
  }

  @Test(.enabled(if: sets.contains(1), "AVX2 is wanted"), arguments: Weights.allCases)
  fileprivate func winogradsSumsAreThoseOfDirectConvolution(_ kind: Weights) throws {
    let kernels = try table(1)
    let (pack, scratchBytes) = (try #require(kernels.pack_winograd), try #require(kernels.winograd_scratch))
    var generator = Seeded(seed: 11)
    for (channels, outputs, height, width, pad) in [
      (16, 16, 7, 7, 1), (20, 35, 5, 9, 1), (33, 17, 8, 6, 0), (64, 64, 13, 12, 2), (130, 16, 1, 1, 1),
      (16, 8, 2, 3, 1), (512, 32, 7, 7, 1),
    ] {
      let images = 3
      let stride = (channels + 3) / 4 * 4
      let outStride = (outputs + 3) / 4 * 4
      let (outHeight, outWidth) = (height + 2 * pad - 2, width + 2 * pad - 2)
      let area = outHeight * outWidth
      let input = Bytes(random: images * height * width * stride, &generator)
      let weights = kind.draw(outputs * channels * 9, &generator)
      let outside = Bytes(random: stride + 128, &generator)
      let factors = Factors((outputs + 31) / 32 * 32, &generator)
      let residual = Bytes(random: images * area * outStride, &generator)
      var window = ckernels_int8_window(
        channels: channels, stride: stride, height: height, width: width, out_height: outHeight, out_width: outWidth,
        kernel_h: 3, kernel_w: 3, stride_h: 1, stride_w: 1, dilation_h: 1, dilation_w: 1, top: pad, left: pad,
        outside: outside.bytes)
      for (activation, other) in [(Int32(0), residual), (Int32(ckernels_hard_swish), nil)] {
        let (given, wanted) = (Bytes(count: images * area * outStride), Bytes(count: images * area * outStride))
        for image in 0..<images {
          var epilogue = factors.epilogue(other, activation: activation)
          epilogue.residual = epilogue.residual.map { $0 + image * area * outStride }
          try unfolded(
            &window, input.bytes + image * height * width * stride, length: stride,
            windowRows(weights, outputs, channels, taps: 9, length: stride), outputs, epilogue,
            wanted.bytes + image * area * outStride, stride: outStride)
        }
        let memory = packed(weights, outputs, channels, pack)
        let scratch = Bytes(count: scratchBytes(channels))
        var epilogue = factors.epilogue(other, activation: activation)
        withExtendedLifetime((memory, scratch, factors, residual, outside, input)) {
          kernels.winograd?(
            &window, images, input.bytes, memory.signed, outputs, &epilogue,
            ckernels_int8_output(bytes: given.bytes, floats: nil, stride: outStride), scratch.bytes)
        }
        #expect(given.all == wanted.all, "\(channels) to \(outputs), \(height)×\(width), padding \(pad)")
      }
    }
  }
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
