internal import FoundationEssentials

/// How a model wants its pictures: the `preprocessing` of a weights file.
///
/// The order is fixed: turn upright, crop the source, convert to `channels`, pad, resize, crop the result, and then
/// value = (sample · scale − mean) / std for each channel. As JSON every key stands as it is spelt here in snake case,
/// and an unknown key is an error.
package struct Preprocessing: Equatable, Sendable {
  /// A size in pixels.
  package struct Extent: Equatable, Sendable {
    package var height: Int
    package var width: Int

    package init(height: Int, width: Int) {
      self.height = height
      self.width = width
    }
  }

  /// What the resized picture measures.
  package enum Resize: Equatable, Sendable {
    /// Exactly this, without regard to proportions.
    case exact(Extent)
    /// The shorter side this long, proportions kept; the longer is rounded down as torchvision's `Resize(int)` does.
    case shortSide(Int)
    /// First padded with white to a square, then exactly this.
    case pad(Extent)
  }

  /// The order of the samples of a pixel.
  package enum Channels: String, Codable, Sendable {
    case rgb = "RGB"
    case bgr = "BGR"
    /// ITU-R 601 luma, one sample.
    case grey = "L"

    package var count: Int { self == .grey ? 1 : 3 }
  }

  /// Side of the square cut from the middle of the source, as a part of its shorter side; nil keeps all of it.
  package var cropRatio: Double?
  package var resize: Resize
  package var filter: ResampleFilter
  /// What is cut from the middle of the resized picture, rounded as torchvision's `CenterCrop` does.
  package var centerCrop: Extent?
  package var channels: Channels
  package var scale: Double
  /// One number a channel, in the order of `channels`.
  package var mean: [Double]
  /// One number a channel, in the order of `channels`.
  package var std: [Double]

  /// - Throws: `ImagingError.preprocessing` naming the value that makes no sense.
  package init(
    cropRatio: Double? = nil, resize: Resize, filter: ResampleFilter, centerCrop: Extent? = nil,
    channels: Channels = .rgb, scale: Double, mean: [Double], std: [Double]
  ) throws(ImagingError) {
    self.init(
      unchecked: cropRatio, resize: resize, filter: filter, centerCrop: centerCrop, channels: channels, scale: scale,
      mean: mean, std: std)
    try validate()
  }

  private init(
    unchecked cropRatio: Double?, resize: Resize, filter: ResampleFilter, centerCrop: Extent? = nil,
    channels: Channels = .rgb, scale: Double, mean: [Double], std: [Double]
  ) {
    self.cropRatio = cropRatio
    self.resize = resize
    self.filter = filter
    self.centerCrop = centerCrop
    self.channels = channels
    self.scale = scale
    self.mean = mean
    self.std = std
  }

  /// What comes out: height and width of every prepared picture.
  package var output: Extent {
    if let centerCrop { return centerCrop }
    switch resize {
    case .exact(let extent), .pad(let extent): return extent
    case .shortSide(let side): return Extent(height: side, width: side)
    }
  }

  /// How many floats a prepared picture has: height × width × channels.
  package var outputCount: Int { output.height * output.width * channels.count }

  func validate() throws(ImagingError) {
    func fail(_ key: String, _ reason: String) -> ImagingError { .preprocessing(key: key, reason: reason) }
    let sides = 1...4096
    if let cropRatio, !(cropRatio > 0 && cropRatio <= 1) {
      throw fail("crop.ratio", "\(cropRatio) is not above 0 and at most 1")
    }
    switch resize {
    case .exact(let extent), .pad(let extent):
      guard sides.contains(extent.height), sides.contains(extent.width) else {
        throw fail("resize", "\(extent.height)×\(extent.width) is not within 1...4096")
      }
      if let centerCrop, centerCrop.height > extent.height || centerCrop.width > extent.width {
        throw fail("center_crop", "larger than the resized picture")
      }
    case .shortSide(let side):
      guard sides.contains(side) else { throw fail("resize.size", "\(side) is not within 1...4096") }
      guard let centerCrop else { throw fail("center_crop", "needed after resize mode short_side") }
      if max(centerCrop.height, centerCrop.width) > side { throw fail("center_crop", "larger than resize.size") }
    }
    if let centerCrop, min(centerCrop.height, centerCrop.width) < 1 { throw fail("center_crop", "not above 0") }
    guard scale.isFinite, scale != 0 else { throw fail("scale", "\(scale) is no usable factor") }
    guard mean.count == channels.count, mean.allSatisfy(\.isFinite) else {
      throw fail("mean", "needs \(channels.count) finite numbers for channels \(channels.rawValue)")
    }
    guard std.count == channels.count, std.allSatisfy({ $0.isFinite && $0 != 0 }) else {
      throw fail("std", "needs \(channels.count) finite numbers other than 0 for channels \(channels.rawValue)")
    }
  }
}

/// The preprocessings of well-known models.
extension Preprocessing {
  /// TensorFlow's EfficientNet-Lite: a middle square of 7/8 of the shorter side (less 32 pixels), bicubic.
  /// - Parameter side: 224 for Lite0, 240 for Lite1, 260 for Lite2.
  /// - Returns: the preprocessing of that model.
  package static func efficientNetLite(side: Int) -> Preprocessing {
    Preprocessing(
      unchecked: Double(side) / Double(side + 32), resize: .exact(Extent(height: side, width: side)), filter: .bicubic,
      scale: 1, mean: [127, 127, 127], std: [128, 128, 128])
  }

  /// torchvision's classification models: shorter side 256, middle 224×224, ImageNet's mean and deviation.
  package static let torchvisionImageNet = Preprocessing(
    unchecked: nil, resize: .shortSide(256), filter: .bilinear, centerCrop: Extent(height: 224, width: 224),
    scale: 1 / 255.0, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225])

  /// Small square colour pictures with samples from 0 to 1, or as `mean` and `std` say.
  package static func square(
    side: Int, mean: [Double] = [0, 0, 0], std: [Double] = [1, 1, 1]
  ) throws(ImagingError) -> Preprocessing {
    try Preprocessing(
      resize: .exact(Extent(height: side, width: side)), filter: .bilinear, scale: 1 / 255.0, mean: mean, std: std)
  }
}
