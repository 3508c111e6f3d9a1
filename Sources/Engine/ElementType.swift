/// How the numbers of a stored tensor are written, by the names that safetensors uses.
package enum ElementType: String, Sendable, CaseIterable {
  case f32 = "F32"
  case f16 = "F16"
  case bf16 = "BF16"
  /// Signed bytes; a second tensor `<name>_scale` holds one F32 factor for each row of the first axis.
  case i8 = "I8"
  /// Whole numbers that PyTorch counts batches with; they cannot be weights.
  case i64 = "I64"
  case f64 = "F64"

  /// Bytes a number.
  package var width: Int {
    switch self {
    case .i8: 1
    case .f16, .bf16: 2
    case .f32: 4
    case .i64, .f64: 8
    }
  }

  /// Widens little-endian numbers, aligned or not, to 32-bit floats; 64-bit ones are rounded.
  ///
  /// `bytes` holds a whole number of elements.
  package func widen(_ bytes: UnsafeRawBufferPointer) -> [Float] {
    let count = bytes.count / width
    return [Float](unsafeUninitializedCapacity: count) { floats, initialized in
      switch self {
      case .f32:
        UnsafeMutableRawBufferPointer(floats).copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<(count * 4)]))
      case .f16:
        for index in 0..<count {
          let bits = bytes.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self)
          floats.initializeElement(at: index, to: Float(Float16(bitPattern: bits)))
        }
      case .bf16:
        for index in 0..<count {
          let bits = bytes.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self)
          floats.initializeElement(at: index, to: Float(bitPattern: UInt32(bits) << 16))
        }
      case .i8:
        for index in 0..<count { floats.initializeElement(at: index, to: Float(Int8(bitPattern: bytes[index]))) }
      case .i64:
        for index in 0..<count {
          floats.initializeElement(
            at: index, to: Float(bytes.loadUnaligned(fromByteOffset: index * 8, as: Int64.self)))
        }
      case .f64:
        for index in 0..<count {
          let bits = bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self)
          floats.initializeElement(at: index, to: Float(Double(bitPattern: bits)))
        }
      }
      initialized = count
    }
  }

  /// Writes floats in this type, rounded to the nearest; nil if a finite number does not fit into it.
  ///
  /// Only F32, F16 and BF16 can be written.
  package func narrow(_ floats: UnsafeBufferPointer<Float>) -> [UInt8]? {
    switch self {
    case .f32:
      return Array(UnsafeRawBufferPointer(floats))
    case .f16:
      var halves: [UInt16] = []
      halves.reserveCapacity(floats.count)
      for float in floats {
        let half = Float16(float)
        guard half.isFinite || !float.isFinite else { return nil }
        halves.append(half.bitPattern)
      }
      return halves.withUnsafeBytes { Array($0) }
    case .bf16:
      var halves: [UInt16] = []
      halves.reserveCapacity(floats.count)
      for float in floats {
        let bits = float.bitPattern
        let rounded = float.isNaN ? bits >> 16 | 0x40 : (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16
        guard !float.isFinite || Float(bitPattern: rounded << 16).isFinite else { return nil }
        halves.append(UInt16(truncatingIfNeeded: rounded))
      }
      return halves.withUnsafeBytes { Array($0) }
    case .i8, .i64, .f64:
      return nil
    }
  }
}
