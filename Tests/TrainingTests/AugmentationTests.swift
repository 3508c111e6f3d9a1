import Imaging
import Testing
import Training

/// Changes of a picture against torchvision's.
struct AugmentationTests {
  private let picture = Picture(width: 11, height: 8, channels: 3, samples: Counted.bytes(11, 11 * 8 * 3))
  private let grey = Picture(width: 11, height: 8, channels: 1, samples: Counted.bytes(12, 11 * 8))

  /// How far a sample may be off: what rounds to 8 bits on the way may differ by a level or two.
  private static let slack: [String: Int] = ["hue 0.2": 2, "hue -0.4": 2, "blur 5": 1, "blur 3 grey": 1]

  @Test func changesAreTorchvisions() throws {
    let changed: [(String, Picture)] = [
      ("hflip", picture.flippedHorizontally()), ("vflip", picture.flippedVertically()),
      ("crop", picture.cropped(left: 2, top: -2, width: 11, height: 8)),
      (
        "resized_crop",
        picture.cropped(left: 1, top: 2, width: 7, height: 5).resized(
          width: 9, height: 6, filter: .bilinear, with: Resampler())
      ), ("rotate 30", picture.transformed(degrees: -30)), ("rotate -75", picture.transformed(degrees: 75)),
      ("affine", picture.transformed(degrees: 25, translate: (2, -1), scale: 1.25, shear: (10, 0))),
      ("affine grey", grey.transformed(degrees: -40, translate: (0, 1), scale: 0.75)),
      ("brightness 1.4", picture.withBrightness(1.4)), ("brightness 0.3", picture.withBrightness(0.3)),
      ("contrast 1.7", picture.withContrast(1.7)), ("contrast 0.4", picture.withContrast(0.4)),
      ("saturation 1.8", picture.withSaturation(1.8)), ("saturation 0.2", picture.withSaturation(0.2)),
      ("hue 0.2", picture.withHue(0.2)), ("hue -0.4", picture.withHue(-0.4)), ("grey", picture.grey()),
      ("blur 5", picture.blurred(kernel: 5, sigma: 1.3)), ("blur 3 grey", grey.blurred(kernel: 3, sigma: 0.7)),
    ]
    let vectors = Fixture.json("augmentation.json")
    #expect(vectors.members.count == changed.count)
    for (name, found) in changed {
      let expected = try #require(vectors[name])
      #expect(
        found.width == Int(expected["width"]?.double ?? 0) && found.height == Int(expected["height"]?.double ?? 0))
      let wanted = try #require(expected["samples"]).integers
      let worst = zip(found.samples, wanted).map { abs(Int($0) - $1) }.max() ?? 0
      #expect(worst <= Self.slack[name] ?? 0, "\(name) is off by \(worst)")
    }
  }
}
