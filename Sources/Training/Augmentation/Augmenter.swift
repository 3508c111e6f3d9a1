internal import Glibc
internal import Imaging

/// Draws what is done to one picture and does it.
///
/// Owned by one thread.
final class Augmenter {
  private let settings: AugmentationSettings
  private let width: Int
  private let height: Int
  private let filter: ResampleFilter
  private let resampler = Resampler()

  init(_ settings: AugmentationSettings, width: Int, height: Int, filter: ResampleFilter) {
    self.settings = settings
    self.width = width
    self.height = height
    self.filter = filter
  }

  /// The picture as the network shall see it, still in 8 bits.
  func augment(_ picture: Picture, _ generator: inout KeyedGenerator) -> Picture {
    var result = picture
    if let crop = settings.resizedCrop { result = resizedCrop(result, crop, &generator) }
    if settings.cropPadding > 0 {
      let padding = settings.cropPadding
      result = result.cropped(
        left: generator.below(2 * padding + 1) - padding, top: generator.below(2 * padding + 1) - padding,
        width: result.width, height: result.height)
    }
    if generator.chance(settings.horizontalFlip) { result = result.flippedHorizontally() }
    if generator.chance(settings.verticalFlip) { result = result.flippedVertically() }
    if settings.rotationDegrees > 0 {
      let angle = generator.uniform(-settings.rotationDegrees, settings.rotationDegrees)
      result = result.transformed(degrees: -angle)
    }
    if let affine = settings.affine { result = transformed(result, affine, &generator) }
    if let jitter = settings.jitter { result = jittered(result, jitter, &generator) }
    if generator.chance(settings.greyProbability) { result = result.grey() }
    if let blur = settings.blur, generator.chance(blur.probability) {
      result = result.blurred(
        kernel: blur.kernel, sigma: generator.uniform(blur.sigma.lowerBound, blur.sigma.upperBound))
    }
    return result
  }

  /// Ten tries for a part of the wanted area and proportions, then the middle with the nearest proportions.
  private func resizedCrop(
    _ picture: Picture, _ crop: AugmentationSettings.ResizedCrop, _ generator: inout KeyedGenerator
  ) -> Picture {
    let area = Double(picture.width * picture.height)
    for _ in 0..<10 {
      let wanted = area * generator.uniform(crop.scale.lowerBound, crop.scale.upperBound)
      let ratio = exp(generator.uniform(log(crop.ratio.lowerBound), log(crop.ratio.upperBound)))
      let w = Int((wanted * ratio).squareRoot().rounded(.toNearestOrEven))
      let h = Int((wanted / ratio).squareRoot().rounded(.toNearestOrEven))
      guard (1...picture.width).contains(w), (1...picture.height).contains(h) else { continue }
      let top = generator.below(picture.height - h + 1)
      let left = generator.below(picture.width - w + 1)
      return resized(picture.cropped(left: left, top: top, width: w, height: h))
    }
    let ratio = Double(picture.width) / Double(picture.height)
    var (w, h) = (picture.width, picture.height)
    if ratio < crop.ratio.lowerBound {
      h = min(h, Int((Double(w) / crop.ratio.lowerBound).rounded(.toNearestOrEven)))
    } else if ratio > crop.ratio.upperBound {
      w = min(w, Int((Double(h) * crop.ratio.upperBound).rounded(.toNearestOrEven)))
    }
    return resized(
      picture.cropped(left: (picture.width - w) / 2, top: (picture.height - h) / 2, width: w, height: h))
  }

  private func resized(_ picture: Picture) -> Picture {
    picture.resized(width: width, height: height, filter: filter, with: resampler)
  }

  private func transformed(
    _ picture: Picture, _ affine: AugmentationSettings.Affine, _ generator: inout KeyedGenerator
  ) -> Picture {
    let angle = generator.uniform(-affine.degrees, affine.degrees)
    let (reachX, reachY) = (affine.translate * Double(picture.width), affine.translate * Double(picture.height))
    let translate = (x: generator.uniform(-reachX, reachX).rounded(), y: generator.uniform(-reachY, reachY).rounded())
    let scale = generator.uniform(affine.scale.lowerBound, affine.scale.upperBound)
    let shear = generator.uniform(-affine.shearDegrees, affine.shearDegrees)
    return picture.transformed(degrees: angle, translate: translate, scale: scale, shear: (shear, 0))
  }

  private func jittered(
    _ picture: Picture, _ jitter: AugmentationSettings.Jitter, _ generator: inout KeyedGenerator
  ) -> Picture {
    func factor(_ reach: Double) -> Double? {
      reach > 0 ? generator.uniform(max(0, 1 - reach), 1 + reach) : nil
    }
    var order = [0, 1, 2, 3]
    generator.shuffle(&order)
    let brightness = factor(jitter.brightness)
    let contrast = factor(jitter.contrast)
    let saturation = factor(jitter.saturation)
    let hue = jitter.hue > 0 ? generator.uniform(-jitter.hue, jitter.hue) : nil
    var result = picture
    for step in order {
      switch step {
      case 0: if let brightness { result = result.withBrightness(brightness) }
      case 1: if let contrast { result = result.withContrast(contrast) }
      case 2: if let saturation { result = result.withSaturation(saturation) }
      default: if let hue { result = result.withHue(hue) }
      }
    }
    return result
  }

  /// What is done to the normalised floats of the picture, H×W×C: noise, erasing.
  ///
  /// `span`: what a channel's samples from black to white have become.
  func disturb(
    _ floats: UnsafeMutablePointer<Float>, channels: Int, span: [ClosedRange<Float>],
    _ generator: inout KeyedGenerator
  ) {
    if settings.noiseSigma > 0 {
      for i in 0..<(width * height * channels) {
        // Box and Muller.
        let normal = (-2 * log(1 - generator.unit())).squareRoot() * cos(2 * .pi * generator.unit())
        let (least, most) = (span[i % channels].lowerBound, span[i % channels].upperBound)
        floats[i] = min(most, max(least, floats[i] + Float(normal * settings.noiseSigma) * (most - least)))
      }
    }
    guard let erasing = settings.erasing, generator.chance(erasing.probability) else { return }
    for _ in 0..<10 {
      let area = Double(width * height) * generator.uniform(erasing.scale.lowerBound, erasing.scale.upperBound)
      let ratio = exp(generator.uniform(log(erasing.ratio.lowerBound), log(erasing.ratio.upperBound)))
      let h = Int((area * ratio).squareRoot().rounded(.toNearestOrEven))
      let w = Int((area / ratio).squareRoot().rounded(.toNearestOrEven))
      guard h < height, w < width else { continue }
      let (top, left) = (generator.below(height - h + 1), generator.below(width - w + 1))
      for y in top..<(top + h) {
        (floats + (y * width + left) * channels).update(repeating: 0, count: w * channels)
      }
      return
    }
  }
}
