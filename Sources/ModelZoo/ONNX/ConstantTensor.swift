internal import Engine

/// Bytes that tensors are read from, wherever they come from.
protocol ByteSource: Sendable {
  func withBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result

  /// Says that a part will not soon be read again.
  func release(_ range: Range<Int>)

  /// The part of a neighbouring file that an ONNX tensor's `external_data` names.
  func companion(_ entry: [String: String], offset: Int) throws(FormatFault) -> (any ByteSource, Range<Int>)
}

/// Numbers that are known before any picture is: weights, shapes, flags.
struct ConstantTensor: Sendable {
  /// How an element is stored.
  enum Element: Sendable, Equatable {
    case f32, f16, bf16, f64
    case i64, i32, i8, u8, bool

    init?(onnx type: Int) {
      switch type {
      case 1: self = .f32
      case 2: self = .u8
      case 3: self = .i8
      case 6: self = .i32
      case 7: self = .i64
      case 9: self = .bool
      case 10: self = .f16
      case 11: self = .f64
      case 16: self = .bf16
      default: return nil
      }
    }

    var width: Int {
      switch self {
      case .i64, .f64: 8
      case .f32, .i32: 4
      case .f16, .bf16: 2
      case .i8, .u8, .bool: 1
      }
    }

    var isFloat: Bool {
      switch self {
      case .f32, .f16, .bf16, .f64: true
      case .i64, .i32, .i8, .u8, .bool: false
      }
    }
  }

  private enum Content: Sendable {
    case stored(Element, any ByteSource, Range<Int>)
    case floats([Float])
    case integers([Int])
  }

  /// Empty for a single number.
  let extents: [Int]
  private let content: Content
  /// How the numbers lie where that is not row by row; its axes may be parts of the tensor's.
  private let layout: TensorLayout?

  private init(extents: [Int], content: Content, layout: TensorLayout? = nil) {
    self.extents = extents
    self.content = content
    self.layout = layout.flatMap { $0.isContiguous ? nil : $0 }
  }

  init(extents: [Int], floats: [Float]) { self.init(extents: extents, content: .floats(floats)) }

  init(extents: [Int], integers: [Int]) { self.init(extents: extents, content: .integers(integers)) }

  /// A list of whole numbers.
  init(_ integers: [Int]) { self.init(extents: [integers.count], integers: integers) }

  /// Numbers that stay in the file until they are asked for, `strides` apart; the caller has checked that they lie in the
  /// range.
  init(
    extents: [Int], stored element: Element, in source: any ByteSource, at range: Range<Int>, strides: [Int]? = nil
  ) {
    self.init(
      extents: extents, content: .stored(element, source, range),
      layout: strides.map { TensorLayout(extents: extents, strides: $0) })
  }

  /// The same numbers in another shape of as many.
  func reshaped(_ extents: [Int]) -> ConstantTensor {
    ConstantTensor(extents: extents, content: content, layout: layout)
  }

  /// Whether `transposed` needs no copy.
  var isPlain: Bool { layout.map { $0.reshaped(extents) != nil } ?? true }

  /// The same numbers with their axes in another order; they stay where they lie.
  func transposed(_ order: [Int]) -> ConstantTensor {
    guard let plain = layout.map({ $0.reshaped(extents) }) ?? TensorLayout(contiguous: extents) else {
      return copied.transposed(order)
    }
    return ConstantTensor(extents: order.map { extents[$0] }, content: content, layout: plain.transposed(order))
  }

  private var copied: ConstantTensor {
    integers().map { ConstantTensor(extents: extents, integers: $0) }
      ?? ConstantTensor(extents: extents, floats: floats())
  }

  var count: Int { extents.reduce(1, *) }

  var isFloat: Bool {
    switch content {
    case .stored(let element, _, _): element.isFloat
    case .floats: true
    case .integers: false
    }
  }

  /// How many numbers a shape has; nil if it is senseless or too large.
  static func count(of extents: [Int]) -> Int? { extents.count <= 8 ? PickleTensor.count(of: extents) : nil }

  static func half(_ bits: Int) -> Float { Float(Float16(bitPattern: UInt16(truncatingIfNeeded: bits))) }

  /// All numbers as 32-bit floats, row-major.
  func floats() -> [Float] { floats(rows: 0..<shape[0]) }

  /// Some rows' numbers, counted along the first axis; what was read of a file for them is given back.
  func floats(rows: Range<Int>) -> [Float] {
    switch content {
    case .floats(let floats):
      layout == nil && rows.count == shape[0]
        ? floats : floats.withUnsafeBytes { taken(rows, of: $0, as: Float.self) {} }
    case .integers(let integers):
      integers.withUnsafeBytes { taken(rows, of: $0, as: Int.self) {} }.map { Float($0) }
    case .stored(.f32, let source, let range): taken(rows, of: source, at: range, as: Float.self)
    case .stored(let element, let source, let range):
      switch element.width {
      case 1: ConstantTensor.floats(element, taken(rows, of: source, at: range, as: UInt8.self))
      case 2: ConstantTensor.floats(element, taken(rows, of: source, at: range, as: UInt16.self))
      case 4: ConstantTensor.floats(element, taken(rows, of: source, at: range, as: UInt32.self))
      default: ConstantTensor.floats(element, taken(rows, of: source, at: range, as: UInt64.self))
      }
    }
  }

  /// How many numbers `floats(rows:)` is best asked for at a time; nil if it does not matter.
  var floatsAtOnce: Int? {
    guard let layout else { return nil }
    guard let byRows = rowLayout(layout) else { return count }
    return byRows.rowsInterlace ? 1 << 24 : nil
  }

  /// All numbers as whole numbers; nil if they are fractions.
  func integers() -> [Int]? {
    let rows = 0..<shape[0]
    return switch content {
    case .floats: nil
    case .integers(let integers):
      layout == nil ? integers : integers.withUnsafeBytes { taken(rows, of: $0, as: Int.self) {} }
    case .stored(let element, let source, let range):
      switch element {
      case .f32, .f16, .bf16, .f64: nil
      case .i64: taken(rows, of: source, at: range, as: Int.self)
      case .i32: taken(rows, of: source, at: range, as: Int32.self).map { Int($0) }
      case .i8: taken(rows, of: source, at: range, as: Int8.self).map { Int($0) }
      case .u8, .bool: taken(rows, of: source, at: range, as: UInt8.self).map { Int($0) }
      }
    }
  }

  private static func floats<Number>(_ element: Element, _ numbers: [Number]) -> [Float] {
    numbers.withUnsafeBytes { bytes in
      switch element {
      case .f32: ElementType.f32.widen(bytes)
      case .f16: ElementType.f16.widen(bytes)
      case .bf16: ElementType.bf16.widen(bytes)
      case .f64: ElementType.f64.widen(bytes)
      case .i64: ElementType.i64.widen(bytes)
      case .i8: ElementType.i8.widen(bytes)
      case .i32: bytes.bindMemory(to: Int32.self).map { Float($0) }
      case .u8, .bool: bytes.map { Float($0) }
      }
    }
  }

  /// The extents, of a single number too.
  private var shape: [Int] { extents.isEmpty ? [1] : extents }

  /// The layout with the tensor's own rows; nil if there is none.
  private func rowLayout(_ layout: TensorLayout) -> TensorLayout? {
    layout.extents.first == shape[0] ? layout : layout.reshaped(shape)
  }

  private func taken<Number: BitwiseCopyable>(
    _ rows: Range<Int>, of source: any ByteSource, at range: Range<Int>, as type: Number.Type
  ) -> [Number] {
    guard layout != nil else {
      let width = MemoryLayout<Number>.stride
      let row = count / max(1, shape[0]) * width
      let part = (range.lowerBound + rows.lowerBound * row)..<(range.lowerBound + rows.upperBound * row)
      defer { source.release(part) }
      return source.withBytes { file in
        [Number](unsafeUninitializedCapacity: part.count / width) { numbers, count in
          UnsafeMutableRawBufferPointer(numbers).copyMemory(from: UnsafeRawBufferPointer(rebasing: file[part]))
          count = part.count / width
        }
      }
    }
    defer { source.release(range) }
    return source.withBytes { file in
      taken(rows, of: UnsafeRawBufferPointer(rebasing: file[range]), as: type) { source.release(range) }
    }
  }

  /// `release` gives back what was looked at so far.
  private func taken<Number: BitwiseCopyable>(
    _ rows: Range<Int>, of bytes: UnsafeRawBufferPointer, as type: Number.Type, release: () -> Void
  ) -> [Number] {
    let layout = layout ?? TensorLayout(contiguous: shape)
    guard let byRows = rowLayout(layout) else {
      let all = layout.gather(0..<layout.extents[0], of: bytes, as: type) { _ in }
      let row = count / max(1, shape[0])
      return Array(all[(rows.lowerBound * row)..<(rows.upperBound * row)])
    }
    guard byRows.rowsInterlace else { return byRows.gather(rows, of: bytes, as: type) { _ in } }
    var looked = 0
    return byRows.gather(rows, of: bytes, as: type) { bytes in
      looked += bytes
      guard looked > 1 << 25 else { return }
      release()
      looked = 0
    }
  }

  /// The single number that this is, if it is one.
  var scalar: Float? { count == 1 ? floats().first : nil }
}
