/// Small pictures made on the spot, each different from the others.
package enum TestPicture {
  /// A 24-bit BMP whose pixels depend on `number`, so that no two numbers give equal bytes.
  package static func bmp(number: Int, width: Int = 32, height: Int = 32) -> [UInt8] {
    let stride = (width * 3 + 3) / 4 * 4
    let pixels = stride * height
    func little32(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }
    var bytes: [UInt8] = Array("BM".utf8) + little32(54 + pixels) + little32(0) + little32(54)
    bytes += little32(40) + little32(width) + little32(height) + [1, 0, 24, 0] + little32(0) + little32(pixels)
    bytes += little32(2835) + little32(2835) + little32(0) + little32(0)
    var state = UInt64(truncatingIfNeeded: number) &* 0x9E37_79B9_7F4A_7C15 &+ 1
    for _ in 0..<height {
      for column in 0..<stride {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        bytes.append(column < width * 3 ? UInt8(truncatingIfNeeded: state >> 56) : 0)
      }
    }
    return bytes
  }
}
