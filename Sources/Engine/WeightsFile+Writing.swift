internal import Hashing

extension WeightsFile {
  /// Writes a weights file; under its name stands the old file or the whole new one, whatever happens.
  ///
  /// Written beside `path` under a temporary name, made durable, then renamed. Convolution and linear weights are stored as
  /// `storage`; tensors of one axis (biases, batch norm) and small ones stay F32. Only what the graph needs is written.
  ///
  /// `preprocessing` is a JSON object that `Imaging` reads; `storage` is F32, F16 or BF16.
  ///
  /// - Throws: `EngineError.file` if the disk refuses, `.graph` or `.tensor` if the parts do not fit each other or a
  ///   number is too large for `storage`.
  package static func write(
    to path: String, graph: Graph, labels: [String], preprocessing: String, canary: Canary?, provenance: String,
    tensors: some TensorSource, storage: ElementType
  ) throws(EngineError) {
    precondition([.f32, .f16, .bf16].contains(storage), "no weights are written as \(storage.rawValue)")
    try check(labels: labels, canary: canary, graph: graph)
    var planned: [(name: String, extents: [Int], type: ElementType)] = []
    for tensor in try graph.requiredTensors() {
      guard tensors.extents(ofTensor: tensor.name) == tensor.extents else {
        let found = tensors.extents(ofTensor: tensor.name).map { "has shape \($0)" } ?? "is missing"
        throw .tensor(name: tensor.name, reason: "\(found), the graph needs \(tensor.extents)")
      }
      planned.append((tensor.name, tensor.extents, Self.isWorthNarrowing(tensor.extents) ? storage : .f32))
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
    let metadata = JSON.object([
      "digest": .string(String(repeating: "0", count: 64)), "format": .string(format), "version": .string(version),
      "graph": .string(graph.json), "labels": .string(JSON.array(labels.map { .string($0) }).text),
      "preprocessing": .string(preprocessing), "canary": .string(canary?.json.text ?? "null"),
      "provenance": .string(provenance),
    ])
    let header = JSON(.object([JSON.Member(name: TensorTable.metadataName, value: metadata)] + entries)).text

    var file = try ReplacementFile(for: path)
    let hash = SHA256()
    let head = head(Array(header.utf8))
    head.withUnsafeBytes { hash.update($0) }
    try file.append(head)
    for tensor in planned {
      let floats = try tensors.floats(ofTensor: tensor.name)
      guard floats.count == tensor.extents.reduce(1, *) else {
        throw .tensor(name: tensor.name, reason: "gives \(floats.count) numbers for shape \(tensor.extents)")
      }
      guard let bytes = tensor.type.narrow(floats) else {
        throw .tensor(name: tensor.name, reason: "holds a number too large for \(tensor.type.rawValue); store F32")
      }
      bytes.withUnsafeBytes { hash.update($0) }
      try file.append(bytes)
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

  /// The length and the header, ending in blanks so that the tensors' bytes start at a multiple of 64.
  private static func head(_ header: [UInt8]) -> [UInt8] {
    let length = (header.count + 8 + 63) / 64 * 64 - 8
    var bytes = withUnsafeBytes(of: UInt64(length).littleEndian) { Array($0) }
    bytes += header
    bytes += [UInt8](repeating: 0x20, count: length - header.count)
    return bytes
  }
}
