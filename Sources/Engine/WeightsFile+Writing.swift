internal import Hashing

extension WeightsFile {
  /// Writes a weights file; under its name stands the old file or the whole new one, whatever happens.
  ///
  /// Written beside `path` under a temporary name, made durable, then renamed. Convolution and linear weights are stored as
  /// `storage`; tensors of one axis (biases, batch norm) and small ones stay F32. Only what the graph needs is written.
  ///
  /// `preprocessing` is a JSON object that `Imaging` reads; `storage` is F32, F16, BF16, or I8 with a `quantization`.
  ///
  /// - Throws: `EngineError.file` if the disk refuses, `.graph` or `.tensor` if the parts do not fit each other or a
  ///   number is too large for `storage`.
  package static func write(
    to path: String, graph: Graph, labels: [String], preprocessing: String, canary: Canary?, provenance: String,
    tensors: some TensorSource, storage: ElementType, quantization: Quantization? = nil
  ) throws(EngineError) {
    precondition([.f32, .f16, .bf16, .i8].contains(storage), "no weights are written as \(storage.rawValue)")
    try check(labels: labels, canary: canary, graph: graph)
    var planned: [Planned] = []
    let factors = storage == .i8 ? try columnFactors(graph, quantization) : [:]
    for tensor in try graph.requiredTensors() {
      guard tensors.extents(ofTensor: tensor.name) == tensor.extents else {
        let found = tensors.extents(ofTensor: tensor.name).map { "has shape \($0)" } ?? "is missing"
        throw .tensor(name: tensor.name, reason: "\(found), the graph needs \(tensor.extents)")
      }
      guard storage == .i8, let columns = factors[tensor.name] else {
        planned.append(
          Planned(
            name: tensor.name, extents: tensor.extents, type: Self.isWorthNarrowing(tensor.extents) ? storage : .f32))
        continue
      }
      planned += Planned.signedBytes(tensor.name, tensor.extents, columns)
    }
    // Wide elements first, so that each tensor stays aligned to its own elements without holes between them.
    planned = planned.filter { $0.type.width == 4 } + planned.filter { $0.type.width != 4 }

    var end = 0
    var entries: [JSON.Member] = []
    for tensor in planned {
      let begin = end
      end += tensor.extents.reduce(tensor.type.width, *)
      entries.append(
        JSON.Member(
          name: tensor.name,
          value: .object([
            "dtype": .string(tensor.type.rawValue), "shape": .array(tensor.extents.map { .integer($0) }),
            "data_offsets": .array([.integer(begin), .integer(end)]),
          ])))
    }
    var metadata = [
      JSON.Member(name: "digest", value: .string(String(repeating: "0", count: 64))),
      JSON.Member(name: "format", value: .string(format)), JSON.Member(name: "version", value: .string(version)),
      JSON.Member(name: "graph", value: .string(graph.json)),
      JSON.Member(name: "labels", value: .string(JSON.array(labels.map { .string($0) }).text)),
      JSON.Member(name: "preprocessing", value: .string(preprocessing)),
      JSON.Member(name: "canary", value: .string(canary?.json.text ?? "null")),
      JSON.Member(name: "provenance", value: .string(provenance)),
    ]
    if let quantization {
      metadata.append(JSON.Member(name: "quantization", value: .string(quantization.json.text)))
    }
    let header = JSON(.object([JSON.Member(name: TensorTable.metadataName, value: JSON(.object(metadata)))] + entries))

    var file = try ReplacementFile(for: path)
    let hash = SHA256()
    let head = head(Array(header.text.utf8))
    head.withUnsafeBytes { hash.update($0) }
    try file.append(head)
    for tensor in planned {
      try tensor.eachPart(from: tensors) { bytes throws(EngineError) in
        hash.update(bytes)
        try file.append(bytes)
      }
    }
    try file.overwrite(Array(hash.hexDigest().utf8), at: 8 + #"{"__metadata__":{"digest":""#.utf8.count)
    try file.commit()
  }

  /// Small tensors stay wide: first and depthwise convolutions take little room, and the rounding of few weights
  /// averages out badly.
  ///
  /// EfficientNet-Lite0 with 16-bit floats comes twice as near to its 32-bit answers by it, for 2 % more bytes.
  private static func isWorthNarrowing(_ extents: [Int]) -> Bool {
    extents.count > 1 && extents.reduce(1, *) >= 16_384
  }

  /// For each weight tensor what the input's channels count, as many as the tensor's rows and groups read together.
  private static func columnFactors(
    _ graph: Graph, _ quantization: Quantization?
  ) throws(EngineError) -> [String: [Float]] {
    guard let quantization else { return [:] }
    let shapes = try graph.shapes()
    var factors: [String: [Float]] = [:]
    for node in graph.nodes {
      switch node.operation {
      case .convolution, .linear:
        guard let shape = shapes[node.inputs[0]] else { continue }
        factors["\(node.name).weight"] = try quantization.scales(
          of: node.inputs[0], channels: shape.c, in: graph
        ).map(\.scale)
      default: continue
      }
    }
    return factors
  }

  /// A tensor to be written.
  private struct Planned {
    let name: String
    let extents: [Int]
    let type: ElementType
    /// For a tensor of signed bytes and its scales: the weights, and what their input's channels count.
    var signed: (weights: String, extents: [Int], factors: [Float])?

    /// A weight tensor in bytes, the scales of its rows, and what its columns count.
    static func signedBytes(_ name: String, _ extents: [Int], _ factors: [Float]) -> [Planned] {
      let signed = (name, extents, factors)
      return [
        Planned(name: name, extents: extents, type: .i8, signed: signed),
        Planned(name: "\(name)_scale", extents: [extents[0]], type: .f32, signed: signed),
        Planned(name: "\(name)_input_scale", extents: [factors.count], type: .f32, signed: signed),
      ]
    }

    /// Calls back with the bytes that are stored, in their order.
    func eachPart(
      from tensors: some TensorSource, _ body: (UnsafeRawBufferPointer) throws(EngineError) -> Void
    ) throws(EngineError) {
      guard signed == nil else { return try Self.lend(signedBytes(from: tensors), to: body) }
      var count = 0
      try tensors.eachRows(ofTensor: name) { _, floats throws(EngineError) in
        count += floats.count
        // What is stored as it is needs no copy.
        if type == .f32 { return try body(UnsafeRawBufferPointer(floats)) }
        guard let bytes = type.narrow(floats) else {
          throw .tensor(name: name, reason: "holds a number too large for \(type.rawValue); store F32")
        }
        try Self.lend(bytes, to: body)
      }
      guard count == extents.reduce(1, *) else {
        throw .tensor(name: name, reason: "gives \(count) numbers for shape \(extents)")
      }
    }

    private static func bytes(of floats: [Float]) -> [UInt8] { floats.withUnsafeBytes { Array($0) } }

    private static func lend(
      _ bytes: [UInt8], to body: (UnsafeRawBufferPointer) throws(EngineError) -> Void
    ) throws(EngineError) {
      try bytes.withUnsafeBufferPointer { bytes throws(EngineError) in try body(UnsafeRawBufferPointer(bytes)) }
    }

    private func signedBytes(from tensors: some TensorSource) throws(EngineError) -> [UInt8] {
      guard let signed else { return [] }
      if extents.count == 1, name.hasSuffix("_input_scale") { return Self.bytes(of: signed.factors) }
      let floats = try tensors.floats(ofTensor: signed.weights)
      let layout = WeightColumns(extents: signed.extents, channels: signed.factors.count)
      let chosen = "\(signed.weights)_scale"
      let rows = signed.extents[0]
      let isChosen = tensors.extents(ofTensor: chosen) == [rows]
      let bytes = SignedBytes(
        floats, rows: rows, scales: isChosen ? try tensors.floats(ofTensor: chosen) : nil,
        groups: rows / layout.rowsPerGroup
      ) { layout.spread(signed.factors, row: $0 * layout.rowsPerGroup, length: floats.count / max(1, rows)) }
      return type == .i8
        ? bytes.bytes.map { UInt8(bitPattern: $0) } : Self.bytes(of: bytes.scales)
    }
  }

  /// The length and the header, ending in blanks so that the tensors' bytes start at a multiple of 64.
  private static func head(_ header: [UInt8]) -> [UInt8] {
    let length = (header.count + 8 + 63) / 64 * 64 - 8
    var bytes = withUnsafeBytes(of: UInt64(length).littleEndian) { Array($0) }
    bytes += header
    bytes += [UInt8](repeating: 0x20, count: length - header.count)
    return bytes
  }
}
