import CKernels
import Testing

/// The instruction sets that have kernels on bytes here.
private let sets = (0...2).filter { ckernels_int8_of(Int32($0)) != nil }

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
  /// Most of them small, as of trained networks.
  case small

  func draw(_ count: Int, _ generator: inout Seeded) -> [Int8] {
    (0..<count).map { _ in
      switch self {
      case .extreme: Bool.random(using: &generator) ? -127 : Int8.random(in: 100...127, using: &generator)
      case .even: Int8.random(in: -127...127, using: &generator)
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
    #expect(pack(weights, outputs, depth, bytes.signed) == bytes.count)
    return bytes
  }

  @Test(arguments: sets, [1, 5, 12, 13, 31])
  func multipliesAsDefined(_ set: Int, _ rows: Int) throws {
    let kernels = try table(set)
    var generator = Seeded(seed: UInt64(rows))
    for (depth, columns) in [(4, 1), (8, 16), (36, 17), (196, 32), (64, 33), (72, 71), (520, 24)] {
      for kind in Weights.allCases {
        let a = Bytes(random: rows * depth, &generator)
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
    for (channels, kernel, step) in [(1, 3, 1), (32, 3, 2), (67, 5, 1), (128, 3, 1), (70, 7, 2)] {
      let (height, width) = (9, 8)
      let stride = (channels + 3) / 4 * 4
      let input = Bytes(random: height * width * stride, &generator)
      let weights = Weights.extreme.draw(channels * kernel * kernel, &generator)
      let outside = Bytes(count: stride + 128)
      for place in 0..<stride { outside.bytes[place] = 7 }
      let outHeight = (height - 1) / step + 1
      let outWidth = (width - 1) / step + 1
      var window = ckernels_int8_window(
        channels: channels, stride: stride, height: height, width: width, out_height: outHeight, out_width: outWidth,
        kernel_h: kernel, kernel_w: kernel, stride_h: step, stride_w: step, dilation_h: 1, dilation_w: 1,
        top: kernel / 2, left: kernel / 2, outside: outside.bytes)
      func run(_ kernels: ckernels_int8_table) -> [UInt8] {
        let memory = packed(weights, channels, kernel * kernel, kernels.pack_depthwise)
        var drawn = Seeded(seed: 6)
        let factors = Factors((channels + 63) / 64 * 64, &drawn)
        // By lane, whatever the order of lanes.
        let (scale, bias) = ((0..<channels).map { factors.scale[$0] }, (0..<channels).map { factors.bias[$0] })
        for channel in 0..<channels {
          factors.scale[kernels.lane(channel)] = scale[channel]
          factors.bias[kernels.lane(channel)] = bias[channel]
        }
        let out = Bytes(count: outHeight * outWidth * stride)
        var epilogue = factors.epilogue(nil, activation: 0)
        withExtendedLifetime((memory, factors, outside)) {
          kernels.depthwise(
            &window, input.bytes, memory.signed, &epilogue,
            ckernels_int8_output(bytes: out.bytes, floats: nil, stride: stride))
        }
        return out.all
      }
      #expect(run(try table(set)) == run(try table(0)), "\(channels) channels, \(kernel)×\(kernel)")
    }
  }

  /// A convolution by unfolded windows, with the plain kernels.
  private func direct(
    _ window: inout ckernels_int8_window, _ input: UnsafePointer<UInt8>, _ weights: [Int8], _ outputs: Int,
    _ epilogue: ckernels_int8_epilogue, _ out: UnsafeMutablePointer<UInt8>, stride: Int
  ) throws {
    let kernels = try table(0)
    let depth = 9 * window.stride
    var rows = [Int8](repeating: 0, count: outputs * depth)
    for output in 0..<outputs {
      for channel in 0..<window.channels {
        for tap in 0..<9 {
          rows[output * depth + tap * window.stride + channel] = weights[(output * window.channels + channel) * 9 + tap]
        }
      }
    }
    let memory = packed(rows, outputs, depth, kernels.pack)
    let area = window.out_height * window.out_width
    let unfolded = Bytes(count: area * depth)
    ckernels_int8_unfold(&window, input, 0, window.stride, 0, area, unfolded.bytes)
    let scratch = Bytes(count: kernels.multiply_scratch(area, depth))
    var product = ckernels_int8_product(
      rows: area, depth: depth, columns: outputs, a: unfolded.bytes, a_stride: depth, weights: memory.signed,
      epilogue: epilogue, output: ckernels_int8_output(bytes: out, floats: nil, stride: stride),
      scratch: scratch.bytes)
    withExtendedLifetime((memory, unfolded, scratch)) { kernels.multiply(&product) }
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
          try direct(
            &window, input.bytes + image * height * width * stride, weights, outputs, epilogue,
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
