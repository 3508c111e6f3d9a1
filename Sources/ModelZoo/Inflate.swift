internal import CZlib

/// Why packed bytes cannot be unpacked.
struct InflateFault: Error {
  let reason: String
}

/// Unpacks a raw DEFLATE stream (RFC 1951) that must give exactly `size` bytes (`inflate` of zlib).
///
/// For checkpoints that somebody packed again; PyTorch itself stores without packing. Never more than `size` bytes are
/// written, whatever the stream says.
func inflate(_ packed: UnsafeRawBufferPointer, size: Int) throws(InflateFault) -> [UInt8] {
  var stream = z_stream()
  guard inflateInit2_(&stream, -MAX_WBITS, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
    throw InflateFault(reason: "no memory to unpack it")
  }
  defer { inflateEnd(&stream) }
  var status = Z_OK
  var written = 0
  var taken = 0
  // One byte of room more than announced shows a stream that goes on.
  let bytes = [UInt8](unsafeUninitializedCapacity: size + 1) { output, initialized in
    repeat {
      let (give, room) = (min(packed.count - taken, 1 << 30), min(size + 1 - written, 1 << 30))
      guard let source = packed.baseAddress, let target = output.baseAddress, room > 0 else { break }
      stream.next_in = UnsafeMutablePointer(mutating: (source + taken).assumingMemoryBound(to: UInt8.self))
      stream.avail_in = uInt(give)
      stream.next_out = target + written
      stream.avail_out = uInt(room)
      status = inflate(&stream, Z_NO_FLUSH)
      let (used, made) = (give - Int(stream.avail_in), room - Int(stream.avail_out))
      taken += used
      written += made
      guard used > 0 || made > 0 else { break }
    } while status == Z_OK
    initialized = written
  }
  guard written <= size else { throw InflateFault(reason: "more bytes than announced") }
  switch status {
  case Z_STREAM_END:
    guard written == size else { throw InflateFault(reason: "\(written) bytes instead of \(size)") }
    return bytes
  case Z_DATA_ERROR:
    throw InflateFault(reason: stream.msg.map { String(cString: $0) } ?? "the packed bytes are damaged")
  default: throw InflateFault(reason: "the packed bytes are cut short")
  }
}
