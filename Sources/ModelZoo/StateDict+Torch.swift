internal import Engine

/// The two forms of `torch.save` and safetensors, brought to storages and tensors.
extension StateDict {
  /// A ZIP archive with `<folder>/data.pkl`, `<folder>/byteorder` and one `<folder>/data/<key>` a storage.
  static func fromArchive(_ file: UnsafeRawBufferPointer, _ bytes: MappedBytes) throws(FormatFault) -> StateDict {
    let archive = try ZipArchive(file)
    guard let table = archive.entries.first(where: { $0.name == "data.pkl" || $0.name.hasSuffix("/data.pkl") }) else {
      throw FormatFault(offset: 0, reason: "a ZIP archive without 'data.pkl': not written by torch.save")
    }
    let folder = table.name.dropLast("data.pkl".count)
    if let order = archive[folder + "byteorder"] {
      guard try archive.contents(of: order, in: file) == Array("little".utf8) else {
        throw FormatFault(offset: order.range.lowerBound, reason: "big-endian weights", isRefusal: true)
      }
    }
    let pickle = try archive.contents(of: table, in: file)
    let (machine, result) = try run(pickle, offset: table.range.lowerBound)
    let names = try namedTensors(result, machine: machine, offset: table.range.lowerBound)
    var places: [String: Storage.Place] = [:]
    // In the order of the pickle, so that a file with several faults is always refused for the same one.
    for key in machine.storages.map(\.key) where places[key] == nil {
      guard let entry = archive[folder + "data/" + key] else {
        throw FormatFault(offset: table.range.lowerBound, reason: "the archive lacks the storage 'data/\(key)'")
      }
      if entry.isDeflated {
        places[key] = .memory(try archive.contents(of: entry, in: file))
      } else {
        try archive.check(entry, in: file) { bytes.release($0) }
        places[key] = .file(entry.range)
      }
    }
    return try assemble(names, machine: machine, places: places, bytes: bytes)
  }

  private static func run(_ pickle: [UInt8], offset: Int) throws(FormatFault) -> (PickleMachine, PickleValue) {
    let outcome: Result<(PickleMachine, PickleValue), FormatFault> = pickle.withUnsafeBytes { input in
      var machine = PickleMachine(input)
      do throws(FormatFault) {
        let result = try machine.run()
        return .success((machine, result))
      } catch {
        return .failure(
          FormatFault(offset: offset + error.offset, reason: error.reason, isRefusal: error.isRefusal))
      }
    }
    return try outcome.get()
  }

  /// Five pickles (magic number, version, system, the tensors, the storages' keys), then the storages one by one:
  /// 8 bytes of count and the elements.
  static func fromStream(_ file: UnsafeRawBufferPointer, _ bytes: MappedBytes) throws(FormatFault) -> StateDict {
    var head = PickleMachine(file)
    guard case .long([0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19]) = try head.run() else {
      throw FormatFault(offset: 0, reason: "a pickle that torch.save did not write")
    }
    var version = PickleMachine(file, at: head.position)
    guard case .integer(1001) = try version.run() else {
      throw FormatFault(offset: head.position, reason: "a version of torch.save that is not 1001", isRefusal: true)
    }
    var system = PickleMachine(file, at: version.position)
    if case .dictionary(let index) = try system.run() {
      for (key, value) in system.dictionaries[index] {
        if case .string("little_endian") = key, case .bool(false) = value {
          throw FormatFault(offset: version.position, reason: "big-endian weights", isRefusal: true)
        }
      }
    }
    var machine = PickleMachine(file, at: system.position)
    let names = try namedTensors(try machine.run(), machine: machine, offset: system.position)
    var keys = PickleMachine(file, at: machine.position)
    guard case .list(let list) = try keys.run() else {
      throw FormatFault(offset: machine.position, reason: "the list of storages is missing")
    }
    var types: [String: StorageType] = [:]
    for storage in machine.storages { types[storage.key] = storage.type }
    var position = keys.position
    var places: [String: Storage.Place] = [:]
    for value in keys.sequences[list] {
      guard case .string(let key) = value, let type = types[key], places[key] == nil else {
        throw FormatFault(offset: machine.position, reason: "the list of storages names one that no tensor uses")
      }
      guard file.count - position >= 8 else {
        throw FormatFault(offset: position, reason: "cut short before a storage")
      }
      let count = file.number(at: position, bytes: 8)
      position += 8
      guard count <= UInt64((file.count - position) / type.width) else {
        throw FormatFault(offset: position - 8, reason: "a storage of \(count) numbers goes beyond the file's end")
      }
      places[key] = .file(position..<(position + Int(count) * type.width))
      position += Int(count) * type.width
    }
    guard position == file.count else {
      throw FormatFault(offset: position, reason: "\(file.count - position) bytes behind the last storage")
    }
    return try assemble(names, machine: machine, places: places, bytes: bytes)
  }

  /// A plain safetensors file, or a weights file.
  static func fromSafetensors(_ file: UnsafeRawBufferPointer, _ bytes: MappedBytes) throws(FormatFault) -> StateDict {
    let table: TensorTable
    do throws(JSON.Fault) {
      table = try TensorTable(file: file)
    } catch {
      throw FormatFault(
        offset: error.offset, reason: "neither a PyTorch checkpoint nor a safetensors file: \(error.reason)")
    }
    var storages: [Storage] = []
    var tensors: [(name: String, tensor: Tensor)] = []
    for entry in table.entries {
      let strides = contiguousStrides(of: entry.extents)
      tensors.append((entry.name, Tensor(storage: storages.count, offset: 0, extents: entry.extents, strides: strides)))
      storages.append(Storage(type: entry.type.storageType, place: .file(entry.range)))
    }
    return StateDict(bytes: bytes, storages: storages, tensors: tensors)
  }

  /// The dictionary of tensors: the value itself, or the one under the usual names of a training checkpoint.
  private static func namedTensors(
    _ value: PickleValue, machine: PickleMachine, offset: Int
  ) throws(FormatFault) -> [(name: String, tensor: PickleTensor)] {
    guard case .dictionary(let top) = value else {
      throw FormatFault(
        offset: offset, reason: "holds no dictionary of tensors: save model.state_dict()", isRefusal: true)
    }
    var candidates = [top]
    for (key, value) in machine.dictionaries[top] {
      guard case .string(let name) = key, case .dictionary(let inner) = value else { continue }
      if ["state_dict", "model_state_dict", "model", "net", "weights"].contains(name) { candidates.append(inner) }
    }
    for candidate in candidates {
      let tensors = machine.dictionaries[candidate].compactMap { item -> (name: String, tensor: PickleTensor)? in
        guard case .string(let name) = item.key, case .tensor(let index) = item.value else { return nil }
        return (name, machine.tensors[index])
      }
      if !tensors.isEmpty { return tensors }
    }
    throw FormatFault(offset: offset, reason: "holds no tensors: save model.state_dict()", isRefusal: true)
  }

  private static func assemble(
    _ names: [(name: String, tensor: PickleTensor)], machine: PickleMachine, places: [String: Storage.Place],
    bytes: MappedBytes
  ) throws(FormatFault) -> StateDict {
    var storages: [Storage] = []
    for storage in machine.storages {
      guard let place = places[storage.key] else {
        throw FormatFault(offset: bytes.count, reason: "the storage '\(storage.key)' is missing: cut short")
      }
      let whole = Storage(type: storage.type, place: place)
      guard whole.count >= storage.start, whole.count - storage.start >= storage.count else {
        throw FormatFault(
          offset: bytes.count,
          reason:
            "the storage '\(storage.key)' has \(whole.count) numbers, its tensors need \(storage.start + storage.count)"
        )
      }
      storages.append(whole)
    }
    let tensors = names.map { name, tensor in
      let start = machine.storages[tensor.storage].start
      return (
        name,
        Tensor(
          storage: tensor.storage, offset: start + tensor.offset, extents: tensor.extents, strides: tensor.strides)
      )
    }
    return StateDict(bytes: bytes, storages: storages, tensors: tensors)
  }
}

extension ElementType {
  fileprivate var storageType: StorageType {
    switch self {
    case .f32: .float
    case .f16: .half
    case .bf16: .bfloat16
    case .f64: .double
    case .i64: .long
    case .i8: .char
    }
  }
}
