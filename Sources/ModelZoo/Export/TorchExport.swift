package import Engine

/// Writing a network's tensors for PyTorch: what `torch.load(weights_only=True)` and `safetensors` open.
package enum TorchExport {
  /// A `state_dict` as `torch.save` writes it since PyTorch 1.6: a ZIP archive, stored, tensors on 64-byte borders.
  ///
  /// - Throws: `EngineError.file` if the disk refuses, `.tensor` if a tensor is missing.
  package static func writeArchive(_ graph: Graph, tensors: some TensorSource, to path: String) throws(EngineError) {
    let planned = try plan(graph)
    var archive = ZipWriter(try ReplacementFile(for: path), folder: "archive/")
    try archive.add("data.pkl", PickleWriter.stateDict(planned), border: 1)
    try archive.add("byteorder", Array("little".utf8), border: 1)
    for (number, tensor) in planned.enumerated() {
      try archive.add("data/\(number)", bytes(of: tensor, in: tensors), border: 64)
    }
    try archive.add("version", Array("3\n".utf8), border: 1)
    try archive.finish()
  }

  /// A plain safetensors file of 32-bit floats.
  ///
  /// - Throws: as `writeArchive`.
  package static func writeSafetensors(
    _ graph: Graph, tensors: some TensorSource, to path: String
  ) throws(EngineError) {
    let planned = try plan(graph)
    var members = [#""__metadata__":{"format":"pt"}"#]
    var end = 0
    for tensor in planned {
      let begin = end
      end += tensor.extents.reduce(4, *)
      let entry = JSON.object([
        "dtype": .string("F32"), "shape": .array(tensor.extents.map { .integer($0) }),
        "data_offsets": .array([.integer(begin), .integer(end)]),
      ])
      members.append("\(JSON.string(tensor.name).text):\(entry.text)")
    }
    var header = Array("{\(members.joined(separator: ","))}".utf8)
    header += [UInt8](repeating: 0x20, count: (8 - header.count % 8) % 8)
    var file = try ReplacementFile(for: path)
    try file.append(withUnsafeBytes(of: UInt64(header.count).littleEndian) { Array($0) })
    try file.append(header)
    for tensor in planned { try file.append(bytes(of: tensor, in: tensors)) }
    try file.commit()
  }

  /// What a `state_dict` holds: everything but what belongs to the network's structure.
  private static func plan(_ graph: Graph) throws(EngineError) -> [(name: String, extents: [Int])] {
    try graph.requiredTensors().filter { !Graph.isConstant(tensor: $0.name) }
  }

  private static func bytes(
    of tensor: (name: String, extents: [Int]), in source: some TensorSource
  ) throws(EngineError) -> [UInt8] {
    let floats = try source.floats(ofTensor: tensor.name)
    guard floats.count == tensor.extents.reduce(1, *) else {
      throw .tensor(name: tensor.name, reason: "gives \(floats.count) numbers for shape \(tensor.extents)")
    }
    return floats.withUnsafeBytes { Array($0) }
  }
}

/// A pickle (protocol 2) of an ordered dictionary of tensors.
private enum PickleWriter {
  static func stateDict(_ tensors: [(name: String, extents: [Int])]) -> [UInt8] {
    var out: [UInt8] = [0x80, 2]
    out += Array("ccollections\nOrderedDict\n)R(".utf8)
    for (number, tensor) in tensors.enumerated() {
      text(tensor.name, &out)
      out += Array("ctorch._utils\n_rebuild_tensor_v2\n((".utf8)
      text("storage", &out)
      out += Array("ctorch\nFloatStorage\n".utf8)
      text("\(number)", &out)
      text("cpu", &out)
      integer(tensor.extents.reduce(1, *), &out)
      out += Array("tQK\0(".utf8)
      for extent in tensor.extents { integer(extent, &out) }
      out += Array("t(".utf8)
      for stride in StateDict.contiguousStrides(of: tensor.extents) { integer(stride, &out) }
      out += [UInt8(ascii: "t"), 0x89]
      out += Array("ccollections\nOrderedDict\n)RtR".utf8)
    }
    return out + Array("u.".utf8)
  }

  private static func text(_ text: String, _ out: inout [UInt8]) {
    let bytes = Array(text.utf8)
    out.append(UInt8(ascii: "X"))
    withUnsafeBytes(of: UInt32(bytes.count).littleEndian) { out.append(contentsOf: $0) }
    out += bytes
  }

  private static func integer(_ number: Int, _ out: inout [UInt8]) {
    if number < 1 << 31 {
      out.append(UInt8(ascii: "J"))
      withUnsafeBytes(of: Int32(number).littleEndian) { out.append(contentsOf: $0) }
    } else {
      out += [0x8A, 8]
      withUnsafeBytes(of: Int64(number).littleEndian) { out.append(contentsOf: $0) }
    }
  }
}

/// A ZIP archive of stored entries (APPNOTE 6.3), written front to back.
private struct ZipWriter: ~Copyable {
  private var file: ReplacementFile
  private let folder: String
  private var position = 0
  private var directory: [UInt8] = []
  private var count = 0

  init(_ file: consuming ReplacementFile, folder: String) {
    self.file = file
    self.folder = folder
  }

  private mutating func append(_ bytes: [UInt8]) throws(EngineError) {
    try file.append(bytes)
    position += bytes.count
  }

  /// Adds an entry whose bytes begin at a multiple of `border`.
  mutating func add(_ name: String, _ bytes: [UInt8], border: Int) throws(EngineError) {
    let path = Array((folder + name).utf8)
    guard position + bytes.count < Int(UInt32.max) - (1 << 20) else {
      throw .tensor(name: name, reason: "the archive would pass 4 GiB; export safetensors")
    }
    let start = position
    let sum = bytes.withUnsafeBytes { CRC32.checksum(of: $0) }
    // An extra field of no meaning fills the room before the bytes.
    let plain = start + 30 + path.count
    let filling = border > 1 ? (border - (plain + 4) % border) % border + 4 : 0
    var shared = Self.little(20, 2) + Self.little(0, 2) + Self.little(0, 2) + Self.little(0, 2) + Self.little(0x21, 2)
    shared += Self.little(Int(sum), 4) + Self.little(bytes.count, 4) + Self.little(bytes.count, 4)
    shared += Self.little(path.count, 2)
    var header = Self.little(0x0403_4B50, 4) + shared + Self.little(filling, 2) + path
    if filling > 0 {
      header += Self.little(0x4246, 2) + Self.little(filling - 4, 2) + [UInt8](repeating: 0x5A, count: filling - 4)
    }
    try append(header)
    try append(bytes)
    directory += Self.little(0x0201_4B50, 4) + Self.little(20, 2) + shared + Self.little(0, 2) + Self.little(0, 2)
    directory += Self.little(0, 2) + Self.little(0, 2) + Self.little(0, 4) + Self.little(start, 4) + path
    count += 1
  }

  consuming func finish() throws(EngineError) {
    let end =
      Self.little(0x0605_4B50, 4) + Self.little(0, 4) + Self.little(count, 2) + Self.little(count, 2)
      + Self.little(directory.count, 4) + Self.little(position, 4) + Self.little(0, 2)
    try file.append(directory)
    try file.append(end)
    try file.commit()
  }

  private static func little(_ number: Int, _ width: Int) -> [UInt8] {
    (0..<width).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
  }
}
