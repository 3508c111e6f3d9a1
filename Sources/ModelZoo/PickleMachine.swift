/// Runs the little program that a pickle is (Python's `pickletools` lists the codes), as far as it builds weights.
///
/// It has no way to call anything: a `GLOBAL` that `PickleConstructor` does not know ends the reading by name, as does
/// every code that makes objects. Stack, memo and arena are bounded, lengths are checked, nothing recurses.
struct PickleMachine {
  /// More steps' results than the largest checkpoint's table needs.
  static let maximumValues = 1 << 21

  /// The bytes the program is in, of which it may be a part.
  private let input: UnsafeRawBufferPointer
  /// The next byte to be read; behind the pickle when `run` has returned.
  private(set) var position: Int
  private var stack: [PickleValue] = []
  private var marks: [Int] = []
  private var memo: [Int: PickleValue] = [:]
  private var elementCount = 0

  /// Lists and tuples, by the number in their values.
  private(set) var sequences: [[PickleValue]] = []
  /// Dictionaries in the order of their writing.
  private(set) var dictionaries: [[(key: PickleValue, value: PickleValue)]] = []
  private(set) var storages: [PickleStorage] = []
  private(set) var tensors: [PickleTensor] = []
  /// Modules of a TorchScript archive: their class, and the dictionary of their attributes once it is known.
  private(set) var objects: [(type: String, state: Int?)] = []
  private let hasModules: Bool

  /// `hasModules` lets the pickle make TorchScript's modules, which are containers with the name of a class.
  init(_ input: UnsafeRawBufferPointer, at position: Int = 0, hasModules: Bool = false) {
    self.input = input
    self.position = position
    self.hasModules = hasModules
  }

  /// Runs to the `STOP` code and gives the value it leaves; containers in it are read by their numbers.
  mutating func run() throws(FormatFault) -> PickleValue {
    while true {
      let start = position
      let code = try byte()
      if code == UInt8(ascii: ".") {
        guard stack.count == 1, let result = stack.last else { throw damaged("does not end with one value", at: start) }
        return result
      }
      try step(code, at: start)
      guard stack.count <= PickleMachine.maximumValues, elementCount <= PickleMachine.maximumValues * 4,
        memo.count <= PickleMachine.maximumValues
      else { throw FormatFault(offset: start, reason: "a pickle of too many values", isRefusal: true) }
    }
  }

  private mutating func step(_ code: UInt8, at start: Int) throws(FormatFault) {
    switch code {
    case 0x80:  // PROTO
      let version = try byte()
      guard version <= 5 else { throw refused("pickle protocol \(version)", at: start) }
    case 0x95: try skip(8)  // FRAME
    case UInt8(ascii: "("): marks.append(stack.count)
    case UInt8(ascii: "0"): _ = try pop()
    case UInt8(ascii: "1"): _ = try popToMark()
    case UInt8(ascii: "N"): stack.append(.none)
    case 0x88: stack.append(.bool(true))
    case 0x89: stack.append(.bool(false))
    case UInt8(ascii: "J"): stack.append(.integer(Int(Int32(truncatingIfNeeded: try number(4)))))
    case UInt8(ascii: "K"): stack.append(.integer(try number(1)))
    case UInt8(ascii: "M"): stack.append(.integer(try number(2)))
    case 0x8A: stack.append(try long())
    case UInt8(ascii: "G"):
      stack.append(.float(Double(bitPattern: UInt64(bitPattern: Int64(try number(8))).byteSwapped)))
    case UInt8(ascii: "X"): stack.append(.string(try text(lengthBytes: 4)))
    case 0x8C, UInt8(ascii: "U"): stack.append(.string(try text(lengthBytes: 1)))
    case 0x8D: stack.append(.string(try text(lengthBytes: 8)))
    case UInt8(ascii: "T"): stack.append(.string(try text(lengthBytes: 4)))
    case UInt8(ascii: "C"): try bytes(lengthBytes: 1)
    case UInt8(ascii: "B"): try bytes(lengthBytes: 4)
    case UInt8(ascii: ")"): stack.append(sequence([], as: PickleValue.tuple))
    case UInt8(ascii: "t"): stack.append(sequence(try popToMark(), as: PickleValue.tuple))
    case 0x85, 0x86, 0x87: stack.append(sequence(try pop(Int(code) - 0x84), as: PickleValue.tuple))
    case UInt8(ascii: "]"): stack.append(sequence([], as: PickleValue.list))
    case UInt8(ascii: "l"): stack.append(sequence(try popToMark(), as: PickleValue.list))
    case UInt8(ascii: "a"): try append([try pop()], at: start)
    case UInt8(ascii: "e"): try append(try popToMark(), at: start)
    case UInt8(ascii: "}"): stack.append(newDictionary())
    case UInt8(ascii: "d"):
      let items = try popToMark()
      stack.append(newDictionary())
      try set(items, at: start)
    case UInt8(ascii: "s"): try set(try pop(2), at: start)
    case UInt8(ascii: "u"): try set(try popToMark(), at: start)
    case UInt8(ascii: "q"): memo[try number(1)] = try top()
    case UInt8(ascii: "r"): memo[try number(4)] = try top()
    case 0x94: memo[memo.count] = try top()
    case UInt8(ascii: "h"): try recall(try number(1), at: start)
    case UInt8(ascii: "j"): try recall(try number(4), at: start)
    case UInt8(ascii: "c"): stack.append(try constructor(module: line(), name: line(), at: start))
    case 0x93:
      let names = try pop(2)
      guard case .string(let module) = names[0], case .string(let name) = names[1] else {
        throw damaged("a global without name", at: start)
      }
      stack.append(try constructor(module: module, name: name, at: start))
    case UInt8(ascii: "R"): try reduce(at: start)
    case 0x81: try newObject(at: start)
    case UInt8(ascii: "b"): try build(at: start)
    case UInt8(ascii: "Q"): try persistent(at: start)
    default:
      throw refused("pickle code 0x\(String(code, radix: 16)), which weights never need", at: start)
    }
  }
}

// MARK: Bytes

extension PickleMachine {
  private func damaged(_ reason: String, at offset: Int) -> FormatFault {
    FormatFault(offset: offset, reason: "the pickle is damaged: " + reason)
  }

  private func refused(_ what: String, at offset: Int) -> FormatFault {
    FormatFault(offset: offset, reason: what, isRefusal: true)
  }

  private mutating func byte() throws(FormatFault) -> UInt8 {
    guard position < input.count else { throw damaged("cut short", at: position) }
    defer { position += 1 }
    return input[position]
  }

  private mutating func skip(_ count: Int) throws(FormatFault) {
    guard count >= 0, input.count - position >= count else { throw damaged("cut short", at: position) }
    position += count
  }

  /// A little-endian number; 8 bytes are taken as signed.
  private mutating func number(_ count: Int) throws(FormatFault) -> Int {
    let start = position
    try skip(count)
    return Int(truncatingIfNeeded: input.number(at: start, bytes: count))
  }

  private mutating func text(lengthBytes: Int) throws(FormatFault) -> String {
    let count = try number(lengthBytes)
    let start = position
    try skip(count)
    return String(decoding: input[start..<position], as: UTF8.self)
  }

  private mutating func bytes(lengthBytes: Int) throws(FormatFault) {
    try skip(try number(lengthBytes))
    stack.append(.bytes)
  }

  private mutating func line() throws(FormatFault) -> String {
    let start = position
    while try byte() != 0x0A {
      guard position - start <= 1024 else { throw damaged("a name without end", at: start) }
    }
    return String(decoding: input[start..<(position - 1)], as: UTF8.self)
  }

  private mutating func long() throws(FormatFault) -> PickleValue {
    let count = try number(1)
    let start = position
    try skip(count)
    guard count <= 8 else { return .long(Array(input[start..<position])) }
    guard count > 0 else { return .integer(0) }
    let bits = input.number(at: start, bytes: count) << UInt64(64 - 8 * count)
    return .integer(Int(truncatingIfNeeded: bits) >> (64 - 8 * count))
  }
}

// MARK: Stack and containers

extension PickleMachine {
  private mutating func pop() throws(FormatFault) -> PickleValue {
    guard stack.count > marks.last ?? 0, let value = stack.popLast() else {
      throw damaged("takes a value that is not there", at: position)
    }
    return value
  }

  private mutating func pop(_ count: Int) throws(FormatFault) -> [PickleValue] {
    guard stack.count - (marks.last ?? 0) >= count else {
      throw damaged("takes a value that is not there", at: position)
    }
    defer { stack.removeLast(count) }
    return Array(stack.suffix(count))
  }

  private mutating func popToMark() throws(FormatFault) -> [PickleValue] {
    guard let mark = marks.popLast() else { throw damaged("a mark is missing", at: position) }
    defer { stack.removeSubrange(mark...) }
    return Array(stack[mark...])
  }

  private func top() throws(FormatFault) -> PickleValue {
    guard stack.count > marks.last ?? 0, let value = stack.last else {
      throw damaged("keeps a value that is not there", at: position)
    }
    return value
  }

  private mutating func recall(_ index: Int, at start: Int) throws(FormatFault) {
    guard let value = memo[index] else { throw damaged("recalls a value that was not kept", at: start) }
    stack.append(value)
  }

  private mutating func sequence(_ values: [PickleValue], as make: (Int) -> PickleValue) -> PickleValue {
    sequences.append(values)
    elementCount += values.count + 1
    return make(sequences.count - 1)
  }

  private mutating func newDictionary() -> PickleValue {
    dictionaries.append([])
    elementCount += 1
    return .dictionary(dictionaries.count - 1)
  }

  private mutating func append(_ values: [PickleValue], at start: Int) throws(FormatFault) {
    guard case .list(let list) = try top() else { throw damaged("appends to what is no list", at: start) }
    sequences[list] += values
    elementCount += values.count
  }

  private mutating func set(_ items: [PickleValue], at start: Int) throws(FormatFault) {
    guard case .dictionary(let dictionary) = try top(), items.count.isMultiple(of: 2) else {
      throw damaged("sets items of what is no dictionary", at: start)
    }
    for index in stride(from: 0, to: items.count, by: 2) {
      dictionaries[dictionary].append((items[index], items[index + 1]))
    }
    elementCount += items.count
  }
}

// MARK: What stands for calls

extension PickleMachine {
  private func constructor(module: String, name: String, at start: Int) throws(FormatFault) -> PickleValue {
    guard let constructor = PickleConstructor(module: module, name: name, hasModules: hasModules) else {
      throw refused("the pickle wants '\(module).\(name)', which weights never need", at: start)
    }
    return .constructor(constructor)
  }

  private mutating func reduce(at start: Int) throws(FormatFault) {
    let operands = try pop(2)
    guard case .constructor(let constructor) = operands[0], case .tuple(let tuple) = operands[1] else {
      throw refused("a call of something that is no constructor", at: start)
    }
    let arguments = sequences[tuple]
    switch constructor {
    case .orderedDictionary: stack.append(try orderedDictionary(arguments, at: start))
    case .rebuildTensor: stack.append(try tensor(arguments, at: start))
    case .rebuildParameter:
      guard let first = arguments.first, case .tensor = first else {
        throw damaged("a parameter without tensor", at: start)
      }
      stack.append(first)
    case .size:
      guard arguments.count == 1, case .tuple = arguments[0] else {
        throw damaged("a size that is no tuple", at: start)
      }
      stack.append(arguments[0])
    case .itself:
      guard let first = arguments.first else { throw damaged("a list without its elements", at: start) }
      stack.append(first)
    case .storage, .module: throw refused("a call of a type", at: start)
    }
  }

  /// `NEWOBJ`: a module without attributes yet.
  private mutating func newObject(at start: Int) throws(FormatFault) {
    let operands = try pop(2)
    guard case .constructor(.module(let type)) = operands[0], case .tuple(let tuple) = operands[1],
      sequences[tuple].isEmpty
    else { throw refused("an object that is no module", at: start) }
    objects.append((type, nil))
    elementCount += 1
    stack.append(.object(objects.count - 1))
  }

  private mutating func orderedDictionary(
    _ arguments: [PickleValue], at start: Int
  ) throws(FormatFault) -> PickleValue {
    let dictionary = newDictionary()
    guard let first = arguments.first else { return dictionary }
    guard case .list(let list) = first, case .dictionary(let index) = dictionary else {
      throw damaged("an ordered dictionary of something else than pairs", at: start)
    }
    for item in sequences[list] {
      guard case .list(let pair) = item.asList, sequences[pair].count == 2 else {
        throw damaged("an ordered dictionary of something else than pairs", at: start)
      }
      dictionaries[index].append((sequences[pair][0], sequences[pair][1]))
      elementCount += 2
    }
    return dictionary
  }

  /// `_rebuild_tensor_v2(storage, storage_offset, size, stride, requires_grad, backward_hooks, metadata=None)`.
  private mutating func tensor(_ arguments: [PickleValue], at start: Int) throws(FormatFault) -> PickleValue {
    guard (6...7).contains(arguments.count), case .storage(let storage) = arguments[0],
      case .integer(let offset) = arguments[1], let extents = integers(arguments[2]),
      let strides = integers(arguments[3])
    else { throw damaged("a tensor of wrong arguments", at: start) }
    guard
      let tensor = PickleTensor(
        storage: storage, storageCount: storages[storage].count, offset: offset, extents: extents, strides: strides)
    else {
      throw damaged(
        "a tensor of shape \(extents), strides \(strides), offset \(offset) reaches beyond its storage of "
          + "\(storages[storage].count) numbers", at: start)
    }
    tensors.append(tensor)
    return .tensor(tensors.count - 1)
  }

  private func integers(_ value: PickleValue) -> [Int]? {
    guard case .tuple(let tuple) = value, sequences[tuple].count <= 8 else { return nil }
    var integers: [Int] = []
    for element in sequences[tuple] {
      guard case .integer(let integer) = element else { return nil }
      integers.append(integer)
    }
    return integers
  }

  /// A `state_dict` carries a `_metadata` attribute; it says nothing about the weights and is dropped.
  private mutating func build(at start: Int) throws(FormatFault) {
    let state = try pop()
    if case .object(let index) = try top(), case .dictionary(let dictionary) = state {
      objects[index].state = dictionary
      return
    }
    guard case .dictionary = try top() else {
      throw refused("attributes for something that is no dictionary", at: start)
    }
  }

  /// `('storage', torch.FloatStorage, key, location, count[, view])`; a view is `(key, offset, count)`.
  private mutating func persistent(at start: Int) throws(FormatFault) {
    guard case .tuple(let tuple) = try pop(), (5...6).contains(sequences[tuple].count),
      case .string("storage") = sequences[tuple][0], case .constructor(.storage(let type)) = sequences[tuple][1],
      case .string(let key) = sequences[tuple][2], case .integer(let count) = sequences[tuple][4], count >= 0
    else { throw damaged("a storage of wrong arguments", at: start) }
    var storage = PickleStorage(type: type, key: key, count: count, start: 0)
    if sequences[tuple].count == 6, case .tuple(let view) = sequences[tuple][5] {
      let parts = sequences[view]
      guard parts.count == 3, case .integer(let offset) = parts[1], case .integer(let viewCount) = parts[2],
        offset >= 0,
        viewCount >= 0, offset <= count, viewCount <= count - offset
      else { throw damaged("a storage's view lies outside of it", at: start) }
      storage = PickleStorage(type: type, key: key, count: viewCount, start: offset)
    }
    storages.append(storage)
    elementCount += 1
    stack.append(.storage(storages.count - 1))
  }
}

extension PickleValue {
  /// Tuples taken as lists, since a pair may be either.
  fileprivate var asList: PickleValue {
    if case .tuple(let index) = self { return .list(index) }
    return self
  }
}
