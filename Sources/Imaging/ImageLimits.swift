/// Bounds that a picture's header must keep before anything is allocated for its pixels.
package struct ImageLimits: Equatable, Sendable {
  /// The longest file that is decoded, in bytes.
  package var maxFileBytes: Int
  /// The most pixels a header may announce; each costs three bytes while decoding a JPEG, four for a PNG.
  package var maxPixels: Int
  /// The largest width or height.
  package var maxDimension: Int
  /// The most bytes of coefficients that a progressive JPEG may need on top of its pixels.
  package var maxCoefficientBytes: Int
  /// The most scans of a progressive JPEG; each costs time in proportion to the whole picture.
  package var maxScans: Int

  package init(
    maxFileBytes: Int = 256 << 20, maxPixels: Int = 100_000_000, maxDimension: Int = 32_768,
    maxCoefficientBytes: Int = 640_000_000, maxScans: Int = 500
  ) {
    self.maxFileBytes = maxFileBytes
    self.maxPixels = maxPixels
    self.maxDimension = maxDimension
    self.maxCoefficientBytes = maxCoefficientBytes
    self.maxScans = maxScans
  }

  /// The defaults: 256 MiB, 100 megapixels, 32,768 pixels a side.
  package static let standard = ImageLimits()

  func check(fileBytes: Int) throws(ImagingError) {
    guard fileBytes <= maxFileBytes else {
      throw .limitExceeded(what: "the file's size in bytes", value: fileBytes, limit: maxFileBytes)
    }
  }

  func check(width: Int, height: Int) throws(ImagingError) {
    guard width <= maxDimension else {
      throw .limitExceeded(what: "the width in pixels", value: width, limit: maxDimension)
    }
    guard height <= maxDimension else {
      throw .limitExceeded(what: "the height in pixels", value: height, limit: maxDimension)
    }
    let (pixels, overflow) = width.multipliedReportingOverflow(by: height)
    guard !overflow, pixels <= maxPixels else {
      throw .limitExceeded(what: "the number of pixels", value: overflow ? Int.max : pixels, limit: maxPixels)
    }
  }
}
