package import Imaging
internal import Platform

/// Why a sample has no picture.
package struct UnreadablePicture: Error, Equatable, Sendable {
  package let name: String
  package let reason: String
}

/// Fetches samples' pictures, decoded upright and in the network's channels.
///
/// Owned by one thread.
package final class PictureReader {
  private let dataset: Dataset
  private let preprocessor: Preprocessor
  private var bytes: [UInt8] = []

  package init(_ dataset: Dataset, preprocessing: Preprocessing) {
    self.dataset = dataset
    preprocessor = Preprocessor(preprocessing)
  }

  /// The whole picture, or with `isResized` what the preprocessing makes of it before normalisation.
  package func picture(of sample: Dataset.Sample, isResized: Bool) throws(UnreadablePicture) -> Picture {
    switch sample.place {
    case .packed(let number):
      guard let packed = dataset.packed, number < packed.count else {
        throw UnreadablePicture(name: dataset.name(of: sample), reason: "is not in the file")
      }
      return fit(packed.picture(number), isResized: isResized)
    case .file(let path):
      try read(path)
      do throws(ImagingError) {
        return try decode(isResized: isResized)
      } catch {
        throw UnreadablePicture(name: path.displayed, reason: "\(error)")
      }
    }
  }

  private func decode(isResized: Bool) throws(ImagingError) -> Picture {
    try bytes.withUnsafeBytes { bytes in
      Result<Picture, ImagingError> { () throws(ImagingError) in
        Picture(
          isResized
            ? try preprocessor.resized(bytes, fullDecode: false).pixels : try preprocessor.upright(bytes))
      }
    }.get()
  }

  private func read(_ path: Path) throws(UnreadablePicture) {
    let isUsable: Bool
    do throws(PlatformError) {
      let file = try FileDescriptor.open(path, flags: [.readOnly, .nonBlocking])
      let status = try file.status()
      isUsable = status.kind == .regular && status.size <= Int64(ImageLimits.standard.maxFileBytes)
      if isUsable { try file.readAll(into: &bytes, expecting: Int(status.size)) }
    } catch {
      throw UnreadablePicture(name: path.displayed, reason: "\(error)")
    }
    guard isUsable else { throw UnreadablePicture(name: path.displayed, reason: "is no regular file or too large") }
  }

  private func fit(_ picture: Picture, isResized: Bool) -> Picture {
    let isGrey = preprocessor.preprocessing.channels == .grey
    let output = preprocessor.preprocessing.output
    if picture.channels == (isGrey ? 1 : 3),
      !isResized
        || preprocessor.preprocessing.cropRatio == nil && output.width == picture.width
          && output.height == picture.height && preprocessor.preprocessing.centerCrop == nil
    {
      return picture
    }
    var colour = picture
    if picture.channels == 1 {
      colour = Picture(
        width: picture.width, height: picture.height, channels: 3, samples: picture.samples.flatMap { [$0, $0, $0] })
    }
    return colour.samples.withUnsafeBufferPointer { samples in
      guard let base = samples.baseAddress else { return picture }
      let grid = PixelGrid(
        base: base, width: colour.width, height: colour.height, channels: 3, rowBytes: colour.width * 3)
      if !isResized { return isGrey ? Picture(grid).luma() : Picture(grid) }
      return Picture(preprocessor.resized(upright: grid))
    }
  }
}
