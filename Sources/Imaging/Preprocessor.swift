/// What is known of a picture once it is prepared.
package struct ImageFacts: Equatable, Sendable {
  /// Columns of the whole picture, standing upright.
  package var width: Int
  /// Rows of the whole picture, standing upright.
  package var height: Int
  package var format: ImageFormat

  package init(width: Int, height: Int, format: ImageFormat) {
    self.width = width
    self.height = height
    self.format = format
  }
}

/// Makes a model's input from a file's bytes: limits, decoding, orientation, crop, resize, normalisation.
///
/// Owned by one thread, which reuses it for every picture; a warm one allocates nothing but what the codecs need
/// during a call. Pixels are bounded by the limits; a picture's buffers beyond 32 MiB are given back after it.
package final class Preprocessor {
  package let preprocessing: Preprocessing
  private let limits: ImageLimits
  private let decoder: PixelDecoder
  private let stage = PixelStage()
  private let resampler = Resampler()
  private let tables: [[Float]]
  private static let keptBytes = 32 << 20

  package init(_ preprocessing: Preprocessing, limits: ImageLimits = .standard) {
    self.preprocessing = preprocessing
    self.limits = limits
    decoder = PixelDecoder(limits: limits)
    tables = zip(preprocessing.mean, preprocessing.std).map { mean, std in
      (0..<256).map { Float((Double($0) * preprocessing.scale - mean) / std) }
    }
  }

  /// Prepares one picture.
  /// - Parameters:
  ///   - bytes: the whole file.
  ///   - slot: room for `preprocessing.outputCount` floats, filled as height × width × channels with the channel
  ///     innermost; it may hold anything after an error.
  ///   - fullDecode: decode a JPEG at full size although the model needs less; slower, and as Pillow does it.
  /// - Returns: the upright picture's size and its format.
  /// - Throws: any picture case of `ImagingError`: reject the picture.
  package func prepare(
    _ bytes: UnsafeRawBufferPointer, into slot: UnsafeMutableBufferPointer<Float>, fullDecode: Bool = false
  ) throws(ImagingError) -> ImageFacts {
    precondition(slot.count >= preprocessing.outputCount, "the slot is too small for the model's input")
    let (pixels, facts) = try resized(bytes, fullDecode: fullDecode)
    normalise(pixels, into: slot)
    decoder.trim(to: Self.keptBytes)
    stage.trim(to: Self.keptBytes)
    resampler.trim(to: Self.keptBytes)
    return facts
  }

  /// The picture before normalisation: RGB or grey samples of the model's height and width, valid until the next call.
  package func resized(
    _ bytes: UnsafeRawBufferPointer, fullDecode: Bool
  ) throws(ImagingError) -> (pixels: PixelGrid, facts: ImageFacts) {
    let header = try ImageHeader(bytes, limits: limits)
    let swaps = header.orientation.swapsAxes
    let facts = ImageFacts(
      width: swaps ? header.height : header.width, height: swaps ? header.width : header.height,
      format: header.format)
    let geometry = ResizeGeometry(preprocessing, width: facts.width, height: facts.height)
    let eighths = fullDecode || header.format != .jpeg ? 8 : geometry.decodeScale
    let stored = try decoder.decode(bytes, header: header, scale: eighths)
    let (region, box) = geometry.region(scale: eighths, in: stored, swapsAxes: swaps)
    let upright = stage.prepare(
      stored, orientation: header.orientation, region: region, isGrey: preprocessing.channels == .grey,
      isPadded: geometry.isPadded)
    let padded = geometry.isPadded
    let part =
      padded
      ? PixelBox(left: 0, top: 0, right: Double(upright.width), bottom: Double(upright.height)) : box
    let result = resampler.resize(
      upright, box: part, width: geometry.width, height: geometry.height, columns: geometry.columns,
      lines: geometry.lines, filter: preprocessing.filter)
    return (result, facts)
  }

  private func normalise(_ pixels: PixelGrid, into slot: UnsafeMutableBufferPointer<Float>) {
    guard let target = slot.baseAddress else { return }
    let count = pixels.width * pixels.height
    let channels = pixels.channels
    let isReversed = preprocessing.channels == .bgr
    for channel in 0..<channels {
      let source = pixels.base + (isReversed ? channels - 1 - channel : channel)
      tables[channel].withUnsafeBufferPointer { table in
        guard let table = table.baseAddress else { return }
        for index in 0..<count { target[index * channels + channel] = table[Int(source[index * channels])] }
      }
    }
  }
}
