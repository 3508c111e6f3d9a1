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
    let weights = try source.floats(ofTensor: "\(node).weight")
    let bias =
      layer.hasBias ? try source.floats(ofTensor: "\(node).bias") : [Float](repeating: 0, count: layer.outChannels)
    let columns = layer.outChannels / layer.groups
    let (taps, inGroup) = layer.row(of: input)
    let count = inGroup * taps
    guard weights.count == layer.outChannels * count, bias.count == layer.outChannels else {
      throw .tensor(name: "\(node).weight", reason: "it does not fit the layer")
    }
    guard taps * ((inGroup + 3) / 4 * 4) <= 1 << 16 else {
      throw .graph(node: node, reason: "a sum of \(count) products of bytes may pass 32 bits; keep this model in fp32")
    }
    let stored = "\(node).weight_scale"
    let isStored = source.extents(ofTensor: stored) == [layer.outChannels]
    let signed = SignedBytes(
      weights, rows: layer.outChannels, scales: isStored ? try source.floats(ofTensor: stored) : nil,
      groups: layer.groups
    ) { group in (0..<count).map { channels[group * inGroup + $0 / taps].scale } }
    rounded = signed.bytes
    scales = signed.scales
    biases = (0..<layer.outChannels).map { out in
      var shift = 0.0
      for channel in 0..<inGroup {
        var sum = 0
        let first = out * count + channel * taps
        for place in first..<(first + taps) { sum += Int(signed.bytes[place]) }
        shift += Double(sum) * Double(channels[out / columns * inGroup + channel].zeroPoint)
      }
      return Float(Double(bias[out]) - shift * Double(signed.scales[out]))
    }
    groups = layer.groups
    columnCount = columns
    self.taps = taps
    self.inGroup = inGroup
  }

  /// Packed for `ckernels_int8_multiply`, group after group; `places` names each column's channel, −1 for none.
  func columns() -> (weights: [Int8], places: [Int]) {
    let padded = (columnCount + 31) / 32 * 32
    var weights = [Int8](repeating: 0, count: groups * padded * depth)
    var places = [Int](repeating: -1, count: groups * padded)
    for group in 0..<groups {
      for column in 0..<columnCount { places[group * padded + column] = group * columnCount + column }
    }
    weights.withUnsafeMutableBufferPointer { weights in
      rounded.withUnsafeBufferPointer { rounded in
        for group in 0..<groups {
          for block in stride(from: 0, to: columnCount, by: 32) {
            // All columns of a block one after the other, so that what they share of a cache line is filled at once.
            for channel in 0..<inGroup {
              for column in block..<min(columnCount, block + 32) {
                let source = ((group * columnCount + column) * inGroup + channel) * taps
                let target = (group * padded + block) * depth + channel / 4 * 128 + column % 32 * 4 + channel % 4
                for tap in 0..<taps { weights[target + tap * length * 32] = rounded[source + tap] }
              }
            }
          }
        }
      }
    }
    return (weights, places)
  }

  /// Packed for `ckernels_int8_depthwise`; `places` names each lane's channel, −1 for none.
  func lanes() -> (weights: [Int8], places: [Int]) {
    let groupsOfTaps = (taps + 3) / 4
    let blocks = (groups + 63) / 64
    var weights = [Int8](repeating: 0, count: blocks * groupsOfTaps * 256)
    var places = [Int](repeating: -1, count: blocks * 64)
    for channel in 0..<groups {
      let lane = ckernels_int8_lane(channel % 64)
      places[channel / 64 * 64 + lane] = channel
      for tap in 0..<taps {
        weights[(channel / 64 * groupsOfTaps + tap / 4) * 256 + lane * 4 + tap % 4] = rounded[channel * taps + tap]
      }
    }
    return (weights, places)
  }
}
