/// What is done to pictures at random while training, by torchvision's names, meanings and defaults.
///
/// The order is fixed: random resized crop, random crop, flips, rotation, affine, colour jitter, grey scale, blur; then,
/// as floats from 0 to 1, noise; normalisation; erasing. Mixup joins pictures of a batch.
package struct AugmentationSettings: Equatable, Sendable {
  /// `RandomResizedCrop`: a part of this share of the area and these proportions becomes the whole.
  package struct ResizedCrop: Equatable, Sendable {
    package var scale = 0.08...1.0
    package var ratio = (3.0 / 4)...(4.0 / 3)
    package init(scale: ClosedRange<Double> = 0.08...1.0, ratio: ClosedRange<Double> = (3.0 / 4)...(4.0 / 3)) {
      self.scale = scale
      self.ratio = ratio
    }
  }

  /// `RandomAffine`.
  package struct Affine: Equatable, Sendable {
    package var degrees: Double
    /// Shares of width and height.
    package var translate: Double = 0
    package var scale: ClosedRange<Double> = 1...1
    package var shearDegrees: Double = 0
    package init(degrees: Double, translate: Double = 0, scale: ClosedRange<Double> = 1...1, shearDegrees: Double = 0) {
      self.degrees = degrees
      self.translate = translate
      self.scale = scale
      self.shearDegrees = shearDegrees
    }
  }

  /// `ColorJitter`: each factor is drawn from 1 ± this, the hue from ± this, and applied in a random order.
  package struct Jitter: Equatable, Sendable {
    package var brightness = 0.0
    package var contrast = 0.0
    package var saturation = 0.0
    package var hue = 0.0
    package init(brightness: Double = 0, contrast: Double = 0, saturation: Double = 0, hue: Double = 0) {
      self.brightness = brightness
      self.contrast = contrast
      self.saturation = saturation
      self.hue = hue
    }
  }

  /// `GaussianBlur`, with a probability.
  package struct Blur: Equatable, Sendable {
    package var kernel: Int
    package var sigma: ClosedRange<Double>
    package var probability: Double
    package init(kernel: Int, sigma: ClosedRange<Double> = 0.1...2, probability: Double = 1) {
      self.kernel = kernel
      self.sigma = sigma
      self.probability = probability
    }
  }

  /// `RandomErasing` with value 0, after normalisation.
  package struct Erasing: Equatable, Sendable {
    package var probability = 0.5
    package var scale = 0.02...0.33
    package var ratio = 0.3...3.3
    package init(
      probability: Double = 0.5, scale: ClosedRange<Double> = 0.02...0.33, ratio: ClosedRange<Double> = 0.3...3.3
    ) {
      self.probability = probability
      self.scale = scale
      self.ratio = ratio
    }
  }

  package var resizedCrop: ResizedCrop?
  /// `RandomCrop` with so many pixels of 0 around; 0 does nothing.
  package var cropPadding = 0
  package var horizontalFlip = 0.0
  package var verticalFlip = 0.0
  /// `RandomRotation` by ± this.
  package var rotationDegrees = 0.0
  package var affine: Affine?
  package var jitter: Jitter?
  /// `RandomGrayscale`.
  package var greyProbability = 0.0
  package var blur: Blur?
  /// `GaussianNoise`: standard deviation, of samples from 0 to 1; what leaves these is clipped.
  package var noiseSigma = 0.0
  package var erasing: Erasing?
  /// Mixup's alpha: pairs of a batch are mixed in a proportion from Beta(alpha, alpha); 0 does nothing.
  package var mixupAlpha = 0.0

  package init() {}

  /// Changes nothing.
  package static let none = AugmentationSettings()
}
