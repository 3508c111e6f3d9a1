internal import CKernels

/// A layer of products, convolution or linear, as the byte kernels see it.
enum QuantizedLayer {
  case convolution(Convolution)
  case linear(Linear)

  var groups: Int { if case .convolution(let c) = self { c.groups } else { 1 } }

  var outChannels: Int {
    switch self {
    case .convolution(let c): c.outChannels
    case .linear(let l): l.outFeatures
    }
  }

  var hasBias: Bool {
    switch self {
    case .convolution(let c): c.bias
    case .linear(let l): l.bias
    }
  }

  var taps: Int { if case .convolution(let c) = self { c.kernel.h * c.kernel.w } else { 1 } }

  var isDepthwise: Bool {
    if case .convolution(let c) = self { c.groups == c.inChannels && c.outChannels == c.inChannels } else { false }
  }

  /// Whether Winograd's algorithm suits it: a dense convolution of 3×3 windows one beside the other, of whose results the
  /// tiles of 2×2 have no more than a quarter too many.
  func fitsWinograd(on input: Shape) -> Bool {
    guard case .convolution(let c) = self, let y = window?.output(of: input) else { return false }
    return c.kernel == Extent2D(3) && c.stride == Extent2D(1) && c.dilation == Extent2D(1) && c.groups == 1
      && (16...Int(ckernels_int8_winograd_channels)).contains(c.inChannels) && c.outChannels >= 16
      && 4 * ((y.h + 1) / 2 * ((y.w + 1) / 2)) * 4 <= 5 * y.h * y.w
  }

  /// Taps and channels of one sum.
  func row(of input: Shape) -> (taps: Int, channels: Int) {
    if case .linear = self { return (input.h * input.w, input.c) }
    return (taps, input.c / groups)
  }

  var window: Window? {
    guard case .convolution(let c) = self else { return nil }
    return Window(kernel: c.kernel, stride: c.stride, padding: c.padding, dilation: c.dilation, ceilMode: false)
  }
}

/// The weights of one layer rounded to signed bytes, with what a sum of their products is worth.
struct QuantizedWeights {
  /// [out][channel of the group][tap], as PyTorch has them; for a linear layer a tap is a pixel of its input.
  private let rounded: [Int8]
  private let taps: Int
  private let inGroup: Int
  private let groups: Int
  let columnCount: Int
  /// The worth of one unit of the sum, an output channel.
  let scales: [Float]
  /// The bias, less what the zero points of the input add to the sum, in real numbers.
  let biases: [Float]

  /// Bytes that a group reads of each pixel.
  var length: Int { (inGroup + 3) / 4 * 4 }
  var depth: Int { taps * length }

  /// `channels`: the input's scales, one a channel.
  ///
  /// - Throws: `EngineError.tensor` or `.graph` if the weights do not fit the layer, or its sums 32 bits.
  init(
    _ layer: QuantizedLayer, node: String, source: some TensorSource, input: Shape, channels: [ByteScale]
  ) throws(EngineError) {
    let bias =
      layer.hasBias ? try source.floats(ofTensor: "\(node).bias") : [Float](repeating: 0, count: layer.outChannels)
    let columns = layer.outChannels / layer.groups
    let (taps, inGroup) = layer.row(of: input)
    let count = inGroup * taps
    guard bias.count == layer.outChannels else {
      throw .tensor(name: "\(node).bias", reason: "it does not fit the layer")
    }
    guard taps * ((inGroup + 3) / 4 * 4) <= 1 << 16 else {
      throw .graph(node: node, reason: "a sum of \(count) products of bytes may pass 32 bits; keep this model in fp32")
    }
    let (name, total) = ("\(node).weight", layer.outChannels * count)
    let signed: SignedBytes
    if let stored = try Self.stored(of: name, source: source, rows: layer.outChannels, total: total, channels) {
      signed = stored
    } else {
      signed = try Self.rounded(
        of: name, source: source, rows: layer.outChannels, total: total, groups: layer.groups
      ) { group in (0..<count).map { channels[group * inGroup + $0 / taps].scale } }
    }
    rounded = signed.bytes
    scales = signed.scales
    biases = signed.bytes.withUnsafeBufferPointer { bytes in
      (0..<layer.outChannels).map { out in
        let zeros = channels[(out / columns * inGroup)..<((out / columns + 1) * inGroup)]
        let shift = Self.shift(bytes[(out * count)..<((out + 1) * count)], taps: taps, zeros)
        return Float(Double(bias[out]) - shift * Double(signed.scales[out]))
      }
    }
    groups = layer.groups
    columnCount = columns
    self.taps = taps
    self.inGroup = inGroup
  }

  /// Weights that the source has in bytes for an input of these very scales; nil if it has not.
  private static func stored(
    of name: String, source: some TensorSource, rows: Int, total: Int, _ channels: [ByteScale]
  ) throws(EngineError) -> SignedBytes? {
    let (scales, inputs) = ("\(name)_scale", "\(name)_input_scale")
    guard source.extents(ofTensor: scales) == [rows], source.extents(ofTensor: inputs) == [channels.count],
      try source.floats(ofTensor: inputs) == channels.map(\.scale), let bytes = source.signedBytes(ofTensor: name),
      bytes.count == total
    else { return nil }
    return SignedBytes(bytes: bytes, scales: try source.floats(ofTensor: scales))
  }

  /// Weights rounded to bytes, with stored scales if there are.
  private static func rounded(
    of name: String, source: some TensorSource, rows: Int, total: Int, groups: Int,
    factors: (_ group: Int) -> [Float]
  ) throws(EngineError) -> SignedBytes {
    let weights = try source.floats(ofTensor: name)
    guard weights.count == total else { throw .tensor(name: name, reason: "it does not fit the layer") }
    let isStored = source.extents(ofTensor: "\(name)_scale") == [rows]
    let scales = isStored ? try source.floats(ofTensor: "\(name)_scale") : nil
    return SignedBytes(weights, rows: rows, scales: scales, groups: groups, factors: factors)
  }

  /// What the zero points of a row's channels add to its sum.
  private static func shift(
    _ row: Slice<UnsafeBufferPointer<Int8>>, taps: Int, _ channels: ArraySlice<ByteScale>
  ) -> Double {
    let bytes = UnsafeBufferPointer(rebasing: row)
    // As a rule all channels have one scale.
    if let zero = channels.first?.zeroPoint, channels.allSatisfy({ $0.zeroPoint == zero }) {
      return Double(bytes.reduce(0) { $0 &+ Int32($1) }) * Double(zero)
    }
    var shift = 0.0
    for (number, channel) in channels.enumerated() {
      let sum = bytes[(number * taps)..<((number + 1) * taps)].reduce(0) { $0 + Int32($1) }
      shift += Double(sum) * Double(channel.zeroPoint)
    }
    return shift
  }

  /// The channel of each column that products fill up to, group after group; −1 for none.
  var columnPlaces: [Int] {
    let block = Int(ckernels_int8_columns)
    let padded = (columnCount + block - 1) / block * block
    return (0..<(groups * padded)).map { $0 % padded < columnCount ? $0 / padded * columnCount + $0 % padded : -1 }
  }

  /// The channel for each factor of a depthwise convolution, −1 for none.
  var lanePlaces: [Int] {
    let lanes = Int(ckernels_int8_lanes)
    return (0..<(groups + lanes - 1) / lanes * lanes).map { $0 < groups ? $0 : -1 }
  }

  /// Each group's, packed for the kernels' `multiply`.
  func columns(_ kernels: ByteKernels) -> [[Int8]] {
    (0..<groups).map { group in
      let rows = [Int8](unsafeUninitializedCapacity: columnCount * depth) { rows, count in
        rows.initialize(repeating: 0)
        rounded.withUnsafeBufferPointer { rounded in
          for column in 0..<columnCount {
            let source = (group * columnCount + column) * inGroup * taps
            for tap in 0..<taps {
              let target = column * depth + tap * length
              for channel in 0..<inGroup { rows[target + channel] = rounded[source + channel * taps + tap] }
            }
          }
        }
        count = columnCount * depth
      }
      return [Int8](packing: rows, columnCount, depth, by: kernels.table.pointee.pack)
    }
  }

  /// Packed for the kernels' `depthwise`.
  func lanes(_ kernels: ByteKernels, kernel: Extent2D) -> [Int8] {
    [Int8](packing: rounded, groups, taps) { weights, channels, _, packed in
      kernels.table.pointee.pack_depthwise(weights, channels, kernel.h, kernel.w, packed)
    }
  }

  /// Packed by a function for Winograd's algorithm.
  func frequencies(_ pack: (UnsafePointer<Int8>, Int, Int, UnsafeMutablePointer<Int8>?) -> Int) -> [Int8] {
    [Int8](packing: rounded, columnCount, inGroup, by: pack)
  }
}

extension [Int8] {
  /// Packs weights by a function of `ckernels_int8.h`, which counts the bytes it needs where it is given no memory.
  fileprivate init(
    packing weights: [Int8], _ outputs: Int, _ depth: Int,
    by pack: (UnsafePointer<Int8>, Int, Int, UnsafeMutablePointer<Int8>?) -> Int
  ) {
    self.init(unsafeUninitializedCapacity: pack(weights, outputs, depth, nil)) { packed, count in
      count = pack(weights, outputs, depth, packed.baseAddress)
    }
  }
}
