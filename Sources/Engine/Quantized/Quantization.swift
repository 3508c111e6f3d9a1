/// How a tensor's numbers are written in bytes: number = (byte − zeroPoint) · scale.
package struct ByteScale: Equatable, Sendable {
  /// Positive and finite: what one step of the byte is worth.
  package var scale: Float
  /// The byte that means 0, from 0 to 255; whole but for a picture, whose pixels may miss 0 by a fraction.
  package var zeroPoint: Float

  package init(scale: Float, zeroPoint: Float) {
    self.scale = scale
    self.zeroPoint = zeroPoint
  }

  /// The scale that covers an interval, widened to hold 0, with 0 exactly representable.
  ///
  /// An interval of one point at 0, and one that is not finite, get the scale 1.
  package init(covering lowest: Float, _ highest: Float) {
    let (low, high) = (min(lowest, 0), max(highest, 0))
    guard low.isFinite, high.isFinite, high > low else {
      self.init(scale: 1, zeroPoint: 0)
      return
    }
    let scale = max((high - low) / 255, .leastNormalMagnitude)
    self.init(scale: scale, zeroPoint: min(255, max(0, (-low / scale).rounded())))
  }

  /// The byte nearest to 0, for what stands outside a picture.
  var zeroByte: UInt8 { UInt8(zeroPoint.rounded(.toNearestOrEven)) }
}

/// What a network in bytes needs besides its weights: the scale of the picture and of every value it computes.
///
/// Found by `lookout quantize` on example photos and kept in the weights file. Weights are signed bytes with a scale an
/// output channel, activations unsigned bytes with a scale a tensor or a channel, sums 32-bit (Jacob et al.,
/// arXiv:1712.05877). A scale a channel costs nothing at run time: the next layer's weights take it in.
package struct Quantization: Equatable, Sendable {
  /// One a channel of the picture, so that the bytes of its pixels can be the network's input unchanged.
  package var input: [ByteScale]
  /// By the name of the node that makes the value: one for all its channels, or one each.
  package var values: [String: [ByteScale]]

  package init(input: [ByteScale], values: [String: [ByteScale]]) {
    self.input = input
    self.values = values
  }
}

extension Quantization {
  /// The form in a weights file; `init(json:)` reads it.
  package var json: JSON {
    .object([
      "input": Self.json(input),
      "values": JSON(
        .object(values.sorted { $0.key < $1.key }.map { JSON.Member(name: $0.key, value: Self.json($0.value)) })),
    ])
  }

  private static func json(_ scales: [ByteScale]) -> JSON {
    .object([
      "scale": .array(scales.map { .float($0.scale) }), "zero_point": .array(scales.map { .float($0.zeroPoint) }),
    ])
  }

  /// Reads strictly what `json` wrote.
  package init(json: JSON) throws(JSON.Fault) {
    var fields = try json.fields("the quantization")
    let input = try Self.scales(fields.take("input"))
    let list = try fields.take("values")
    guard case .object(let members) = list.value else {
      throw JSON.Fault(offset: list.offset, reason: "the values' scales must be an object")
    }
    try fields.finish()
    var values: [String: [ByteScale]] = [:]
    for member in members { values[member.name] = try Self.scales(member.value) }
    self.init(input: input, values: values)
  }

  private static func scales(_ json: JSON) throws(JSON.Fault) -> [ByteScale] {
    var fields = try json.fields("a value's scales")
    let factors = try fields.take("scale").elements("the scales")
    let zeros = try fields.take("zero_point").elements("the zero points")
    try fields.finish()
    guard factors.count == zeros.count, !factors.isEmpty else {
      throw JSON.Fault(offset: json.offset, reason: "as many scales as zero points expected, at least one")
    }
    var scales: [ByteScale] = []
    for (factor, zero) in zip(factors, zeros) {
      let scale = try factor.float("a scale")
      guard scale >= .leastNormalMagnitude else {
        throw JSON.Fault(offset: factor.offset, reason: "a scale must be positive")
      }
      let zeroPoint = try zero.float("a zero point")
      guard (0...255).contains(zeroPoint) else {
        throw JSON.Fault(offset: zero.offset, reason: "a zero point must lie from 0 to 255")
      }
      scales.append(ByteScale(scale: scale, zeroPoint: zeroPoint))
    }
    return scales
  }

  /// The scales of a layer's input by channel, as the layer sees it.
  ///
  /// - Throws: `EngineError.graph` if there are none, or of another number than the value has channels.
  func scales(of name: String, channels: Int, in graph: Graph) throws(EngineError) -> [ByteScale] {
    guard let found = name == graph.inputName ? input : values[name] else {
      throw .graph(node: name, reason: "its output has no scale; quantize the model again")
    }
    if found.count == channels { return found }
    guard found.count == 1 else {
      throw .graph(node: name, reason: "\(found.count) scales for \(channels) channels; quantize the model again")
    }
    return [ByteScale](repeating: found[0], count: channels)
  }
}
