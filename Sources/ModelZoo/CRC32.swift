internal import CZlib

/// The checksum of ZIP archives (`crc32_z` of zlib).
enum CRC32 {
  /// `after` is the checksum of what stands before.
  static func checksum(of bytes: UnsafeRawBufferPointer, after sum: UInt32 = 0) -> UInt32 {
    guard let start = bytes.baseAddress else { return sum }
    return UInt32(truncatingIfNeeded: crc32_z(UInt(sum), start.assumingMemoryBound(to: UInt8.self), bytes.count))
  }
}
