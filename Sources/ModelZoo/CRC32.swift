internal import CZlib

/// The checksum of ZIP archives (`crc32_z` of zlib).
enum CRC32 {
  static func checksum(of bytes: UnsafeRawBufferPointer) -> UInt32 {
    guard let start = bytes.baseAddress else { return 0 }
    return UInt32(truncatingIfNeeded: crc32_z(0, start.assumingMemoryBound(to: UInt8.self), bytes.count))
  }
}
