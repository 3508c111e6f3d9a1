internal import FaultCodec
internal import Glibc
internal import Hashing

/// Pictures whose pixels are a number, so that a result proves which picture it came from.
///
/// A picture is a grid of 8 rows of 12 cells. Cell 16·d + v is bright when the d-th of six hexadecimal digits is v, and
/// dark otherwise: five digits of the number, the least significant first, and a check digit. Margins are so wide that
/// JPEG and resizing leave them standing.
package enum NumberPicture {
  package static let columns = 12
  package static let rows = 8
  package static let digits = 6
  /// Numbers are below this.
  package static let limit = 1 << 20

  package enum Format: CaseIterable, Sendable { case jpeg, progressiveJPEG, png }

  /// A file's bytes with their digest.
  package struct File: Sendable {
    package let number: Int
    package let bytes: [UInt8]
    package let suffix: String
    /// SHA-256 in lower-case hexadecimal.
    package let digest: String

    package init(number: Int, bytes: [UInt8], suffix: String) {
      self.number = number
      self.bytes = bytes
      self.suffix = suffix
      digest = bytes.withUnsafeBytes { SHA256.hexDigest(of: $0) }
    }
  }

  /// The six digits that stand for a number.
  package static func digits(of number: Int) -> [Int] {
    let values = (0..<digits - 1).map { number >> (4 * $0) & 15 }
    return values + [check(values)]
  }

  /// The number of six digits, nil if they are none.
  package static func number(of digits: [Int]) -> Int? {
    guard digits.count == Self.digits, digits.last == check(Array(digits.dropLast())) else { return nil }
    return digits.dropLast().enumerated().reduce(0) { $0 | $1.element << (4 * $1.offset) }
  }

  private static func check(_ values: [Int]) -> Int {
    // Odd factors: a change of one digit always shows.
    values.enumerated().reduce(5) { $0 + $1.element * (2 * $1.offset + 1) } & 15
  }

  /// A picture in a format and size that depend on the number: mostly small, now and then large.
  package static func varied(_ number: Int) -> File {
    var state = UInt64(number) &* 0x9E37_79B9_7F4A_7C15
    state ^= state >> 29
    let format: Format = state & 1 == 0 ? .jpeg : .png
    let scale = number % 97 == 0 ? 60 : 5 + Int(state >> 8 & 7)
    return make(
      number, format, width: columns * scale + Int(state >> 16 & 15), height: rows * scale + Int(state >> 24 & 15))
  }

  /// A picture of at least 48 × 32 pixels.
  package static func make(_ number: Int, _ format: Format, width: Int, height: Int) -> File {
    precondition(width >= 48 && height >= 32 && number >= 0 && number < limit, "a picture that can hold its number")
    let bright = Set(digits(of: number).enumerated().map { 16 * $0.offset + $0.element })
    var pixels = [UInt8](repeating: 0, count: width * height * 3)
    for y in 0..<height {
      for x in 0..<width {
        let cell = y * rows / height * columns + x * columns / width
        let base: UInt8 = bright.contains(cell) ? 210 : 20
        let grain = UInt8(truncatingIfNeeded: (x * 7 + y * 13 + number) % 24)
        for c in 0..<3 { pixels[(y * width + x) * 3 + c] = base + grain }
      }
    }
    var encoded: UnsafeMutablePointer<UInt8>?
    let count =
      switch format {
      case .jpeg: faults_encode_jpeg(pixels, Int32(width), Int32(height), 88, 0, &encoded)
      case .progressiveJPEG: faults_encode_jpeg(pixels, Int32(width), Int32(height), 88, 1, &encoded)
      case .png: faults_encode_png(pixels, Int32(width), Int32(height), &encoded)
      }
    defer { free(encoded) }
    precondition(count > 0, "the picture of \(number) cannot be encoded")
    return File(
      number: number, bytes: Array(UnsafeBufferPointer(start: encoded, count: count)),
      suffix: format == .png ? ".png" : ".jpg")
  }
}
