/// What a pickle may build: numbers, strings, containers, tensors.
///
/// Containers are places in the machine's arena, so a
/// value never owns another; neither depth nor cycles can exhaust the stack when it goes away.
enum PickleValue {
  case none
  case bool(Bool)
  case integer(Int)
  /// An integer of more than 8 bytes, little-endian.
  case long([UInt8])
  case float(Double)
  case string(String)
  case bytes
  case tuple(Int)
  case list(Int)
  case dictionary(Int)
  case constructor(PickleConstructor)
  case storage(Int)
  case tensor(Int)
  /// A module of a TorchScript archive.
  case object(Int)
}

/// The only names a pickle may call, and what they stand for here.
enum PickleConstructor: Equatable {
  case orderedDictionary
  case rebuildTensor
  case rebuildParameter
  case size
  case storage(StorageType)
  /// Its single list or value, as it is: typed lists and type tags of TorchScript.
  case itself
  /// A module of a TorchScript archive, by the full name of its class.
  case module(String)

  /// With `hasModules` the names that a TorchScript archive needs are known too.
  ///
  /// - Returns: nil for every name that weights do not need.
  init?(module: String, name: String, hasModules: Bool) {
    if hasModules {
      switch module {
      case "torch.jit._pickle":
        guard name.hasPrefix("build_") && name.hasSuffix("list") || name == "restore_type_tag" else { return nil }
        self = .itself
        return
      case _ where module == "__torch__" || module.hasPrefix("__torch__."):
        self = .module("\(module).\(name)")
        return
      default: break
      }
    }
    switch (module, name) {
    case ("collections", "OrderedDict"): self = .orderedDictionary
    case ("torch._utils", "_rebuild_tensor_v2"): self = .rebuildTensor
    case ("torch._utils", "_rebuild_parameter"): self = .rebuildParameter
    case ("torch", "Size"): self = .size
    case ("torch", _), ("torch.cuda", _):
      guard let type = StorageType(rawValue: name) else { return nil }
      self = .storage(type)
    default: return nil
    }
  }
}

/// The element types of PyTorch's typed storages.
enum StorageType: String {
  case float = "FloatStorage"
  case half = "HalfStorage"
  case bfloat16 = "BFloat16Storage"
  case double = "DoubleStorage"
  case long = "LongStorage"
  case int = "IntStorage"
  case short = "ShortStorage"
  case char = "CharStorage"
  case byte = "ByteStorage"
  case bool = "BoolStorage"

  /// Bytes an element.
  var width: Int {
    switch self {
    case .double, .long: 8
    case .float, .int: 4
    case .half, .bfloat16, .short: 2
    case .char, .byte, .bool: 1
    }
  }
}

/// A run of numbers that tensors share, known by its key until its bytes are found.
struct PickleStorage {
  let type: StorageType
  let key: String
  /// How many elements tensors may reach.
  let count: Int
  /// Where a view begins inside the storage of that key, in elements; 0 for a whole storage.
  let start: Int
}

/// A tensor's window on a storage: element (i, j, …) is number `offset + i·strides[0] + j·strides[1] + …`.
struct PickleTensor {
  let storage: Int
  let offset: Int
  let extents: [Int]
  let strides: [Int]

  /// How many numbers the tensor has; checked not to overflow by `init`.
  let count: Int

  /// More numbers than the largest tensor of any supported network.
  static let maximumCount = 1 << 30

  /// How many numbers a shape has; nil if it is senseless, or too large but for its axes of none.
  static func count(of extents: [Int]) -> Int? {
    var room = 1
    for extent in extents {
      guard extent >= 0 else { return nil }
      let (product, overflow) = room.multipliedReportingOverflow(by: max(1, extent))
      guard !overflow, product <= maximumCount else { return nil }
      room = product
    }
    return extents.contains(0) ? 0 : room
  }

  /// Checks that every element lies inside `storageCount` elements.
  ///
  /// - Returns: nil if not, if the extents and strides do not pair, or if the tensor is absurdly large.
  init?(storage: Int, storageCount: Int, offset: Int, extents: [Int], strides: [Int]) {
    guard extents.count == strides.count, extents.count <= 8, offset >= 0 else { return nil }
    guard let count = PickleTensor.count(of: extents) else { return nil }
    var last = offset
    for (extent, stride) in zip(extents, strides) {
      guard stride >= 0 else { return nil }
      guard extent > 0 else { continue }
      let (reach, reachOverflow) = (extent - 1).multipliedReportingOverflow(by: stride)
      let (sum, sumOverflow) = last.addingReportingOverflow(reach)
      guard !reachOverflow, !sumOverflow else { return nil }
      last = sum
    }
    guard count == 0 || last < storageCount else { return nil }
    self.storage = storage
    self.offset = offset
    self.extents = extents
    // A stride that is never taken may be any number, one that nobody can reckon with too.
    let plain = StateDict.contiguousStrides(of: extents)
    self.strides = extents.indices.map { count > 0 && extents[$0] > 1 ? strides[$0] : plain[$0] }
    self.count = count
  }
}
