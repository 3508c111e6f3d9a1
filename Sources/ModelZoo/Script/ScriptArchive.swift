internal import Engine

/// A TorchScript archive: its modules with their tensors, and its code as text.
struct ScriptArchive {
  /// What a module's attribute holds.
  indirect enum Value {
    case none
    case bool(Bool)
    case integer(Int)
    case float(Double)
    case string(String)
    case list([Value])
    case tensor(ConstantTensor)
    case object(Int)
  }

  struct Object {
    /// The full name of its class.
    let type: String
    /// Where it hangs below the whole model, as in a `state_dict`.
    var path = ""
    var attributes: [String: Value] = [:]
  }

  private static let maximumObjects = 1 << 16
  private static let maximumDepth = 32

  /// The whole model is number 0.
  private(set) var objects: [Object] = []
  /// `CONSTANTS.c0` and so on.
  private(set) var constants: [Value] = []
  private let folder: String
  private let archive: ZipArchive

  /// - Throws: `FormatFault` with the byte of the archive.
  init(_ file: UnsafeRawBufferPointer, bytes: any ByteSource) throws(FormatFault) {
    archive = try ZipArchive(file)
    guard let table = archive.entries.first(where: { $0.name == "data.pkl" || $0.name.hasSuffix("/data.pkl") }) else {
      throw FormatFault(offset: 0, reason: "a TorchScript archive without 'data.pkl'")
    }
    folder = String(table.name.dropLast("data.pkl".count))
    if let order = archive[folder + "byteorder"] {
      guard try archive.contents(of: order, in: file) == Array("little".utf8) else {
        throw FormatFault(offset: order.range.lowerBound, reason: "big-endian weights", isRefusal: true)
      }
    }
    let (machine, root) = try Self.run(archive, table, file)
    guard case .object(let top) = root else {
      throw FormatFault(offset: table.range.lowerBound, reason: "an archive that holds no module", isRefusal: true)
    }
    var reader = ValueReader(machine: machine, archive: archive, folder: folder + "data/", file: file, bytes: bytes)
    guard machine.objects.count <= Self.maximumObjects else {
      throw FormatFault(offset: table.range.lowerBound, reason: "too many modules", isRefusal: true)
    }
    objects = []
    for object in machine.objects {
      var read = Object(type: object.type)
      if let state = object.state {
        for (key, value) in machine.dictionaries[state] {
          guard case .string(let name) = key else { continue }
          read.attributes[name] = try reader.value(value, depth: 0)
        }
      }
      objects.append(read)
    }
    guard top == 0 else {
      throw FormatFault(offset: table.range.lowerBound, reason: "modules in an unknown order", isRefusal: true)
    }
    name(0, "", depth: 0)
    if let entry = archive[folder + "constants.pkl"] {
      let (machine, result) = try Self.run(archive, entry, file)
      var reader = ValueReader(
        machine: machine, archive: archive, folder: folder + "constants/", file: file, bytes: bytes)
      if case .list(let list) = try reader.value(result, depth: 0) { constants = list }
    }
  }

  private static func run(
    _ archive: ZipArchive, _ entry: ZipArchive.Entry, _ file: UnsafeRawBufferPointer
  ) throws(FormatFault) -> (PickleMachine, PickleValue) {
    let pickle = try archive.contents(of: entry, in: file)
    let outcome: Result<(PickleMachine, PickleValue), FormatFault> = pickle.withUnsafeBytes { input in
      var machine = PickleMachine(input, hasModules: true)
      do throws(FormatFault) {
        let result = try machine.run()
        return .success((machine, result))
      } catch {
        return .failure(
          FormatFault(
            offset: entry.range.lowerBound + error.offset, reason: error.reason, isRefusal: error.isRefusal))
      }
    }
    return try outcome.get()
  }

  /// Gives every module its path; one that hangs in several places keeps the first.
  private mutating func name(_ index: Int, _ path: String, depth: Int) {
    guard depth < Self.maximumDepth, objects.indices.contains(index) else { return }
    objects[index].path = path
    for (attribute, value) in objects[index].attributes.sorted(by: { $0.key < $1.key }) {
      guard case .object(let child) = value, child != index, objects.indices.contains(child),
        objects[child].path.isEmpty
      else { continue }
      name(child, path.isEmpty ? attribute : "\(path).\(attribute)", depth: depth + 1)
    }
  }

  /// The text of the file that defines `name`'s module; nil if there is none.
  func code(_ module: String, in file: UnsafeRawBufferPointer) throws(FormatFault) -> [UInt8]? {
    let path = module.split(separator: ".").joined(separator: "/")
    guard let entry = archive["\(folder)code/\(path).py"] else { return nil }
    return try archive.contents(of: entry, in: file)
  }
}

/// Turns a pickle's values into an archive's.
private struct ValueReader {
  let machine: PickleMachine
  let archive: ZipArchive
  let folder: String
  let file: UnsafeRawBufferPointer
  let bytes: any ByteSource
  private var unpacked: [String: MemoryBytes] = [:]
  /// Storages that fit their checksums.
  private var checked: Set<String> = []
  private var count = 0

  init(
    machine: PickleMachine, archive: ZipArchive, folder: String, file: UnsafeRawBufferPointer, bytes: any ByteSource
  ) {
    self.machine = machine
    self.archive = archive
    self.folder = folder
    self.file = file
    self.bytes = bytes
  }

  mutating func value(_ value: PickleValue, depth: Int) throws(FormatFault) -> ScriptArchive.Value {
    count += 1
    guard depth < 16, count <= 1 << 20 else {
      throw FormatFault(offset: 0, reason: "lists within lists, too many", isRefusal: true)
    }
    switch value {
    case .none, .bytes, .constructor, .storage, .dictionary, .long: return .none
    case .bool(let flag): return .bool(flag)
    case .integer(let number): return .integer(number)
    case .float(let number): return .float(number)
    case .string(let text): return .string(text)
    case .object(let index): return .object(index)
    case .tuple(let index), .list(let index):
      guard machine.sequences[index].count <= 1 << 12 else { return .none }
      var list: [ScriptArchive.Value] = []
      for element in machine.sequences[index] { list.append(try self.value(element, depth: depth + 1)) }
      return .list(list)
    case .tensor(let index): return .tensor(try tensor(machine.tensors[index]))
    }
  }

  private mutating func tensor(_ tensor: PickleTensor) throws(FormatFault) -> ConstantTensor {
    let storage = machine.storages[tensor.storage]
    guard let entry = archive[folder + storage.key] else {
      throw FormatFault(offset: 0, reason: "the archive lacks the storage '\(folder)\(storage.key)'")
    }
    guard let element = ConstantTensor.Element(storage.type) else {
      throw FormatFault(
        offset: entry.range.lowerBound, reason: "a tensor of type \(storage.type.rawValue)", isRefusal: true)
    }
    guard storage.start <= entry.size, tensor.offset <= entry.size else {
      throw FormatFault(offset: entry.range.lowerBound, reason: "the storage '\(storage.key)' is too short")
    }
    let first = (storage.start + tensor.offset) * element.width
    let reach = zip(tensor.extents, tensor.strides).reduce(1) { $0 + max(0, $1.0 - 1) * $1.1 }
    let size = min(tensor.count == 0 ? 0 : reach, entry.size + 1) * element.width
    guard first <= entry.size, size <= entry.size - first else {
      throw FormatFault(offset: entry.range.lowerBound, reason: "the storage '\(storage.key)' is too short")
    }
    var source = bytes
    var start = entry.range.lowerBound
    if entry.isDeflated {
      if unpacked[storage.key] == nil {
        unpacked[storage.key] = MemoryBytes(try archive.contents(of: entry, in: file))
      }
      if let memory = unpacked[storage.key] { (source, start) = (memory, 0) }
    } else if checked.insert(storage.key).inserted {
      try archive.check(entry, in: file) { bytes.release($0) }
    }
    return ConstantTensor(
      extents: tensor.extents, stored: element, in: source, at: (start + first)..<(start + first + size),
      strides: tensor.strides)
  }
}

extension ConstantTensor.Element {
  fileprivate init?(_ type: StorageType) {
    switch type {
    case .float: self = .f32
    case .half: self = .f16
    case .bfloat16: self = .bf16
    case .double: self = .f64
    case .long: self = .i64
    case .int: self = .i32
    case .char: self = .i8
    case .byte: self = .u8
    case .bool: self = .bool
    case .short: return nil
    }
  }
}
