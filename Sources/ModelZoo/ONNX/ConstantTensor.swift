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

  init(extents: [Int], floats: [Float]) {
    self.extents = extents
    content = .floats(floats)
  }

  init(extents: [Int], integers: [Int]) {
    self.extents = extents
    content = .integers(integers)
  }

  /// A list of whole numbers.
  init(_ integers: [Int]) { self.init(extents: [integers.count], integers: integers) }

  /// Numbers that stay in the file until they are asked for; the caller has checked the range.
  init(extents: [Int], stored element: Element, in source: any ByteSource, at range: Range<Int>) {
    self.extents = extents
    content = .stored(element, source, range)
  }

  /// The same numbers in another shape of as many.
  func reshaped(_ extents: [Int]) -> ConstantTensor {
    switch content {
    case .stored(let element, let source, let range):
      ConstantTensor(extents: extents, stored: element, in: source, at: range)
    case .floats(let floats): ConstantTensor(extents: extents, floats: floats)
    case .integers(let integers): ConstantTensor(extents: extents, integers: integers)
    }
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
  static func count(of extents: [Int]) -> Int? {
    guard extents.count <= 8 else { return nil }
    var count = 1
    for extent in extents {
      guard extent >= 0 else { return nil }
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard !overflow, product <= PickleTensor.maximumCount else { return nil }
      count = product
    }
    return count
  }

  static func half(_ bits: Int) -> Float { Float(Float16(bitPattern: UInt16(truncatingIfNeeded: bits))) }

  /// All numbers as 32-bit floats, row-major.
  func floats() -> [Float] {
    switch content {
    case .floats(let floats): return floats
    case .integers(let integers): return integers.map { Float($0) }
    case .stored(let element, let source, let range):
      defer { source.release(range) }
      return source.withBytes { file in
        let bytes = UnsafeRawBufferPointer(rebasing: file[range])
        return switch element {
        case .f32: ElementType.f32.widen(bytes)
        case .f16: ElementType.f16.widen(bytes)
        case .bf16: ElementType.bf16.widen(bytes)
        case .f64: ElementType.f64.widen(bytes)
        case .i64: ElementType.i64.widen(bytes)
        case .i8: ElementType.i8.widen(bytes)
        case .i32, .u8, .bool: ConstantTensor.integers(element, bytes).map { Float($0) }
        }
      }
    }
  }

  /// All numbers as whole numbers; nil if they are fractions.
  func integers() -> [Int]? {
    switch content {
    case .floats: nil
    case .integers(let integers): integers
    case .stored(let element, let source, let range):
      element.isFloat
        ? nil : source.withBytes { ConstantTensor.integers(element, UnsafeRawBufferPointer(rebasing: $0[range])) }
    }
  }

  private static func integers(_ element: Element, _ bytes: UnsafeRawBufferPointer) -> [Int] {
    stride(from: 0, to: bytes.count, by: element.width).map { start in
      let bits = bytes.number(at: start, bytes: element.width)
      return switch element {
      case .i32: Int(Int32(truncatingIfNeeded: bits))
      case .i8: Int(Int8(truncatingIfNeeded: bits))
      default: Int(truncatingIfNeeded: bits)
      }
    }
  }

  /// The single number that this is, if it is one.
  var scalar: Float? { count == 1 ? floats().first : nil }
}
