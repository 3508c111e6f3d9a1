internal import CImageCodecs

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
  /// Value of sample i of the result = sample · scale[i % 48] + offset[i % 48].
  private let scale: [Float]
  private let offset: [Float]
  private static let keptBytes = 32 << 20

  package init(_ preprocessing: Preprocessing, limits: ImageLimits = .standard) {
    self.preprocessing = preprocessing
    self.limits = limits
    decoder = PixelDecoder(limits: limits)
    let channels = preprocessing.channels.count
    scale = (0..<48).map { Float(preprocessing.scale / preprocessing.std[$0 % channels]) }
    offset = (0..<48).map { Float(-preprocessing.mean[$0 % channels] / preprocessing.std[$0 % channels]) }
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
    let orientation = header.orientation
    let swaps = orientation.swapsAxes
    let facts = ImageFacts(
      width: swaps ? header.height : header.width, height: swaps ? header.width : header.height,
      format: header.format)
    let geometry = ResizeGeometry(preprocessing, width: facts.width, height: facts.height)
    let eighths = fullDecode || header.format != .jpeg ? 8 : geometry.decodeScale
    let width = (facts.width * eighths + 7) / 8
    let height = (facts.height * eighths + 7) / 8
    let (region, box) = geometry.region(scale: eighths, width: width, height: height)
    let square = Double(max(region.width, region.height))
    resampler.plan(
      sourceWidth: geometry.isPadded ? Int(square) : region.width,
      sourceHeight: geometry.isPadded ? Int(square) : region.height,
      box: geometry.isPadded ? PixelBox(left: 0, top: 0, right: square, bottom: square) : box, width: geometry.width,
      height: geometry.height, columns: geometry.columns, lines: geometry.lines, filter: preprocessing.filter)
    let needed = resampler.needed
    var wanted = region
    if !geometry.isPadded {
      wanted = PixelRegion(
        left: region.left + needed.left, top: region.top + needed.top, width: needed.width, height: needed.height)
    }
    let stored = try decoder.decode(
      bytes, header: header, scale: eighths,
      wanted: wanted.stored(as: orientation, width: swaps ? height : width, height: swaps ? width : height))
    let upright = stage.prepare(
      stored, orientation: orientation, region: region, needed: needed, isGrey: preprocessing.channels == .grey,
      isPadded: geometry.isPadded)
    return (resampler.resize(upright), facts)
  }

  /// A whole picture standing upright, RGB or grey as the model wants it, valid until the next call.
  package func upright(_ bytes: UnsafeRawBufferPointer) throws(ImagingError) -> PixelGrid {
    let header = try ImageHeader(bytes, limits: limits)
    let stored = try decoder.decode(bytes, header: header, scale: 8)
    let swaps = header.orientation.swapsAxes
    let whole = PixelRegion(
      left: 0, top: 0, width: swaps ? header.height : header.width, height: swaps ? header.width : header.height)
    return stage.prepare(
      stored, orientation: header.orientation, region: whole, needed: whole,
      isGrey: preprocessing.channels == .grey, isPadded: false)
  }

  /// RGB pixels standing upright, cropped, padded and resized as the model wants them; valid until the next call.
  package func resized(upright pixels: PixelGrid) -> PixelGrid {
    precondition(pixels.channels == 3, "RGB is resized")
    let geometry = ResizeGeometry(preprocessing, width: pixels.width, height: pixels.height)
    let crop = geometry.crop
    let part = stage.prepare(
      pixels, orientation: .upright, region: crop,
      needed: PixelRegion(left: 0, top: 0, width: crop.width, height: crop.height),
      isGrey: preprocessing.channels == .grey, isPadded: geometry.isPadded)
    let box = PixelBox(left: 0, top: 0, right: Double(part.width), bottom: Double(part.height))
    return resampler.resize(
      part, box: box, width: geometry.width, height: geometry.height, columns: geometry.columns,
      lines: geometry.lines, filter: preprocessing.filter)
  }

  private func normalise(_ pixels: PixelGrid, into slot: UnsafeMutableBufferPointer<Float>) {
    guard let target = slot.baseAddress else { return }
    let count = pixels.width * pixels.height * pixels.channels
    if preprocessing.channels == .bgr {
      // The resampler's own result, which nobody else reads.
      let samples = UnsafeMutablePointer(mutating: pixels.base)
      for pixel in stride(from: 0, to: count, by: 3) {
        (samples[pixel], samples[pixel + 2]) = (samples[pixel + 2], samples[pixel])
      }
    }
    ic_normalise(pixels.base, count, scale, offset, target)
  }
}
