package import Engine

/// The tensors of a PyTorch `state_dict` or of a plain safetensors file, by name.
///
/// Files by `torch.save` are read in both their forms (a ZIP archive; before PyTorch 1.6 a stream of pickles), without
/// ever doing what a pickle asks for beyond tensors and containers. Immutable: any thread may read it.
package struct StateDict: TensorSource, Sendable {
  /// Numbers of one type that lie together, in the file or unpacked.
  struct Storage: Sendable {
    enum Place: Sendable {
      case file(Range<Int>)
      case memory([UInt8])
    }

    let type: StorageType
    let place: Place

    /// How many whole elements there are.
    var count: Int {
      switch place {
      case .file(let range): range.count / type.width
      case .memory(let bytes): bytes.count / type.width
      }
    }
  }

  /// A window on a storage, checked to lie inside it.
  struct Tensor: Sendable {
    let storage: Int
    let offset: Int
    let extents: [Int]
    let strides: [Int]
  }

  package let path: String
  private let bytes: MappedBytes
  private let storages: [Storage]
  private let tensors: [String: Tensor]

  /// Every tensor's name, sorted, without PyTorch's batch counters and without a common `module.` before them.
  package let names: [String]

  init(bytes: MappedBytes, storages: [Storage], tensors: [(name: String, tensor: Tensor)]) {
    path = bytes.path
    self.bytes = bytes
    self.storages = storages
    let weights = tensors.filter { !$0.name.hasSuffix("num_batches_tracked") }
    let prefix = "module."
    let isWrapped = !weights.isEmpty && weights.allSatisfy { $0.name.hasPrefix(prefix) }
    var named: [String: Tensor] = [:]
    for (name, tensor) in weights { named[isWrapped ? String(name.dropFirst(prefix.count)) : name] = tensor }
    self.tensors = named
    names = named.keys.sorted()
  }

  /// Reads the table of a `.pth`, `.pt` or `.safetensors` file; what it is shows in its first bytes, not its name.
  ///
  /// - Throws: `ModelZooError.damaged` or `.refused` with the byte offset, `.engine(.file)` if it cannot be opened.
  package static func open(path: String) throws(ModelZooError) -> StateDict {
    let bytes: MappedBytes
    do throws(EngineError) {
      bytes = try MappedBytes(path: path)
    } catch {
      if case .damaged(let path, let offset, let reason) = error {
        throw .damaged(path: path, offset: offset, reason: reason)
      }
      throw .engine(error)
    }
    do throws(FormatFault) {
      return try bytes.withBytes { file throws(FormatFault) in
        guard file.count >= 4 else { throw FormatFault(offset: 0, reason: "too short for weights") }
        if file.number(at: 0, bytes: 4) == 0x0403_4B50 { return try fromArchive(file, bytes) }
        if file[0] == 0x80, file[1] <= 5 { return try fromStream(file, bytes) }
        return try fromSafetensors(file, bytes)
      }
    } catch {
      throw error.error(path: path)
    }
  }

  package func extents(ofTensor name: String) -> [Int]? { tensors[name]?.extents }

  package func floats(ofTensor name: String) throws(EngineError) -> [Float] {
    try floats(ofTensor: name, rows: 0..<(tensors[name]?.extents.first ?? 1))
  }

  package var readsRows: Bool { true }

  package func floats(ofTensor name: String, rows: Range<Int>) throws(EngineError) -> [Float] {
    guard let tensor = tensors[name] else { throw .tensor(name: name, reason: "is not in \(path)") }
    let storage = storages[tensor.storage]
    guard let type = storage.type.elementType else {
      throw .tensor(name: name, reason: "has PyTorch type \(storage.type.rawValue), which cannot be a weight")
    }
    let extents = tensor.extents.isEmpty ? [] : [rows.count] + tensor.extents.dropFirst()
    guard extents.reduce(1, *) > 0 else { return [] }
    let reach = zip(extents, tensor.strides).reduce(0) { $0 + ($1.0 - 1) * $1.1 } + 1
    let first = tensor.offset + rows.lowerBound * (tensor.strides.first ?? 0)
    let used = (first * type.width)..<((first + reach) * type.width)
    let numbers =
      switch storage.place {
      case .file(let range):
        bytes.withBytes { file in
          type.widen(
            UnsafeRawBufferPointer(
              rebasing: file[(range.lowerBound + used.lowerBound)..<(range.lowerBound + used.upperBound)]))
        }
      case .memory(let memory): memory.withUnsafeBytes { type.widen(UnsafeRawBufferPointer(rebasing: $0[used])) }
      }
    if case .file(let range) = storage.place {
      bytes.release((range.lowerBound + used.lowerBound)..<(range.lowerBound + used.upperBound))
    }
    let isContiguous = tensor.strides == StateDict.contiguousStrides(of: tensor.extents)
    return isContiguous ? numbers : StateDict.gather(numbers, extents: extents, strides: tensor.strides)
  }

  static func contiguousStrides(of extents: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: extents.count)
    for axis in extents.indices.dropLast().reversed() { strides[axis] = strides[axis + 1] * extents[axis + 1] }
    return strides
  }

  /// The elements of a strided window in row-major order.
  static func gather<Number>(_ numbers: [Number], extents: [Int], strides: [Int]) -> [Number] {
    var result: [Number] = []
    result.reserveCapacity(extents.reduce(1, *))
    var place = [Int](repeating: 0, count: extents.count)
    var position = 0
    while true {
      result.append(numbers[position])
      var axis = extents.count - 1
      while axis >= 0 {
        place[axis] += 1
        position += strides[axis]
        if place[axis] < extents[axis] { break }
        position -= strides[axis] * extents[axis]
        place[axis] = 0
        axis -= 1
      }
      if axis < 0 { return result }
    }
  }
}

extension StorageType {
  /// The engine's type that widens to floats, or nil if weights never have this one.
  var elementType: ElementType? {
    switch self {
    case .float: .f32
    case .half: .f16
    case .bfloat16: .bf16
    case .double: .f64
    case .long, .int, .short, .char, .byte, .bool: nil
    }
  }
}
