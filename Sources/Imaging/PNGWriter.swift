internal import CImageCodecs

/// Makes PNG files of pixels, for reports and contact sheets.
package enum PNGWriter {
  /// The file of rows top down without padding, grey (1 channel) or RGB (3).
  ///
  /// - Throws: `ImagingError.limitExceeded` if libpng has no memory or the size is senseless.
  package static func encode(
    width: Int, height: Int, channels: Int, samples: [UInt8]
  ) throws(ImagingError) -> [UInt8] {
    precondition(channels == 1 || channels == 3, "grey or RGB")
    precondition(samples.count == width * height * channels, "as many samples as the size says")
    guard width > 0, height > 0, width <= 1 << 16, height <= 1 << 16 else {
      throw .limitExceeded(what: "a side of a PNG to write in pixels", value: max(width, height), limit: 1 << 16)
    }
    // What cannot be packed at all takes a little more than its samples.
    var bytes = [UInt8](repeating: 0, count: samples.count + samples.count / 8 + height + (64 << 10))
    var count = bytes.count
    var text = [CChar](repeating: 0, count: Int(IC_ERROR_BYTES))
    let status = ic_png_encode(
      samples, UInt32(width), UInt32(height), UInt32(channels), &bytes, &count, &text)
    guard status == ic_status(IC_OK) else {
      throw .limitExceeded(what: "the bytes of a PNG to write", value: count, limit: bytes.count)
    }
    bytes.removeLast(bytes.count - count)
    return bytes
  }
}
