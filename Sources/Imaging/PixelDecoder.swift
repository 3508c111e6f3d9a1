internal import CImageCodecs

/// Pixels in memory: rows top down, samples interleaved.
///
/// A view; valid until its owner decodes again. Where only a part of a picture was asked for, only that part may be
/// read: `base` is then where the first pixel would be.
package struct PixelGrid {
  package var base: UnsafePointer<UInt8>
  package var width: Int
  package var height: Int
  /// 3 for RGB, 1 for grey.
  package var channels: Int
  /// Bytes from one row to the next.
  package var rowBytes: Int

  package init(base: UnsafePointer<UInt8>, width: Int, height: Int, channels: Int, rowBytes: Int) {
    self.base = base
    self.width = width
    self.height = height
    self.channels = channels
    self.rowBytes = rowBytes
  }
}

/// Turns a file's bytes into RGB pixels in a buffer of its own, which the next picture reuses.
///
/// One thread owns it. Nothing is allocated here once the buffer has the size of the largest picture; the codecs
/// keep their own small working memory during a call.
package final class PixelDecoder {
  private let buffer = ByteBuffer()
  private let text: UnsafeMutablePointer<CChar>
  private let limits: ImageLimits
  private let workspace: OpaquePointer?

  package init(limits: ImageLimits = .standard) {
    self.limits = limits
    workspace = ic_jpeg_workspace_make()
    text = .allocate(capacity: Int(IC_ERROR_BYTES))
    text.initialize(repeating: 0, count: Int(IC_ERROR_BYTES))
  }

  deinit {
    text.deallocate()
    ic_jpeg_workspace_free(workspace)
  }

  /// Decodes the picture as stored, without turning it upright.
  /// - Parameters:
  ///   - bytes: the whole file.
  ///   - header: what `ImageHeader` read from the same bytes.
  ///   - scale: eighths of the size to decode at, 1...8; formats other than JPEG need 8. The result has
  ///     ⌈width · scale / 8⌉ columns and ⌈height · scale / 8⌉ rows.
  /// - Returns: RGB, alpha laid over white; valid until the next call.
  /// - Throws: any picture case of `ImagingError`: reject the picture.
  package func decode(
    _ bytes: UnsafeRawBufferPointer, header: ImageHeader, scale: Int = 8
  ) throws(ImagingError) -> PixelGrid {
    try decode(bytes, header: header, scale: scale, wanted: nil)
  }

  /// Decodes only what will be read of the result; nil stands for all, and only JPEG is any faster for less.
  package func decode(
    _ bytes: UnsafeRawBufferPointer, header: ImageHeader, scale: Int, wanted: PixelRegion?
  ) throws(ImagingError) -> PixelGrid {
    precondition((1...8).contains(scale) && (scale == 8 || header.format == .jpeg), "no such scale")
    try limits.check(width: header.width, height: header.height)
    let width = (header.width * scale + 7) / 8
    let height = (header.height * scale + 7) / 8
    let samples = header.format == .png ? 4 : 3
    let wanted = header.format == .jpeg ? wanted : nil
    let margin = Int(IC_JPEG_MARGIN)
    let pixels = buffer.reserve(
      min(width, (wanted?.width ?? width) + margin) * min(height, (wanted?.height ?? height) + margin) * samples)
    guard let source = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else {
      throw .truncated(format: header.format)
    }
    var region = ic_region(wanted ?? PixelRegion(left: 0, top: 0, width: width, height: height))
    switch header.format {
    case .jpeg:
      try check(
        ic_jpeg_decode(
          source, bytes.count, UInt32(header.width), UInt32(header.height), UInt32(scale), &region,
          limits.maxCoefficientBytes, Int32(clamping: limits.maxScans), workspace, pixels, buffer.capacity, text),
        header.format)
    case .png:
      try check(
        ic_png_decode(
          source, bytes.count, UInt32(header.width), UInt32(header.height), pixels, buffer.capacity, text),
        header.format)
    case .bmp:
      try BitmapLayout(bytes).decode(bytes, into: pixels)
    }
    let rowBytes = Int(region.width) * 3
    return PixelGrid(
      base: pixels - Int(region.top) * rowBytes - Int(region.left) * 3, width: width, height: height, channels: 3,
      rowBytes: rowBytes)
  }

  /// Gives back a buffer that one giant picture left behind.
  func trim(to bytes: Int) { buffer.shrink(to: bytes) }

  private func check(_ status: ic_status, _ format: ImageFormat) throws(ImagingError) {
    switch Int(status) {
    case Int(IC_OK): return
    case Int(IC_TRUNCATED): throw .truncated(format: format)
    case Int(IC_UNSUPPORTED): throw .unsupported(format: format, reason: String(cString: text))
    case Int(IC_LIMIT):
      throw .limitExceeded(
        what: "the \(format) decoder's need (\(String(cString: text))) in bytes", value: limits.maxCoefficientBytes + 1,
        limit: limits.maxCoefficientBytes)
    default: throw .corrupt(format: format, reason: String(cString: text))
    }
  }
}

extension ic_region {
  fileprivate init(_ region: PixelRegion) {
    self.init(
      left: UInt32(region.left), top: UInt32(region.top), width: UInt32(region.width), height: UInt32(region.height))
  }
}
