internal import Imaging

/// Pictures: format, header, decoding, orientation, resize, normalisation.
package struct ImagingSubject: Subject {
  private let preprocessors: [Preprocessor]
  private let slot: UnsafeMutableBufferPointer<Float>

  package init() {
    // Small enough that many inputs a second are tried and that a bomb shows as one.
    let limits = ImageLimits(
      maxFileBytes: 1 << 20, maxPixels: 1 << 19, maxDimension: 16_384, maxCoefficientBytes: 16 << 20, maxScans: 40)
    let ways = [
      Preprocessing.efficientNetLite(side: 48),
      Preprocessing.torchvisionImageNet,
    ]
    preprocessors = ways.map { Preprocessor($0, limits: limits) }
    slot = .allocate(capacity: ways.map(\.outputCount).max() ?? 0)
    slot.initialize(repeating: 0)
  }

  package func take(_ bytes: UnsafeRawBufferPointer) -> String? {
    // The way follows from the length, so that an input stays a plain picture file.
    let preprocessor = preprocessors[bytes.count & 1]
    let tail = UnsafeRawBufferPointer(rebasing: bytes.suffix(64))
    let head = UnsafeRawBufferPointer(rebasing: bytes.prefix(32))
    _ = ImageFormat.endsComplete(head: head, tail: tail, size: bytes.count)
    do throws(ImagingError) {
      let facts = try preprocessor.prepare(bytes, into: slot, fullDecode: bytes.count & 2 == 0)
      precondition(facts.width > 0 && facts.height > 0, "a picture without pixels was accepted")
      precondition(slot.prefix(preprocessor.preprocessing.outputCount).allSatisfy(\.isFinite), "a sample is not finite")
      return nil
    } catch {
      return "\(error)"
    }
  }
}
