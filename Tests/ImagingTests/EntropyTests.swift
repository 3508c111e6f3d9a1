import CImageCodecs
import FoundationEssentials
import Imaging
import TestSupport
import Testing

/// libjpeg's own reading of Huffman codes is the oracle of ours.
@Suite(.timeLimit(.minutes(15))) struct EntropyTests {
  private let workspace = ic_jpeg_workspace_make()

  private struct Decoded: Equatable {
    var status: ic_status
    var pixels: [UInt8]
  }

  /// Which part of a picture is decoded, in hundredths of its extents.
  private struct Part {
    var scale: UInt32
    var left: UInt32
    var top: UInt32
    var right: UInt32
    var bottom: UInt32

    static let whole = Part(scale: 8, left: 0, top: 0, right: 100, bottom: 100)

    static func random(_ generator: inout Seeded) -> Part {
      let (left, top) = (UInt32.random(in: 0..<90, using: &generator), UInt32.random(in: 0..<90, using: &generator))
      return Part(
        scale: .random(in: 1...8, using: &generator), left: left, top: top,
        right: .random(in: left + 10...100, using: &generator), bottom: .random(in: top + 10...100, using: &generator))
    }
  }

  @Test func `A file that ends below the wanted part is refused`() throws {
    defer { ic_jpeg_workspace_free(workspace) }
    let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures")
    var upper = Part.whole
    upper.bottom = 30
    for name in ["sampling0.jpg", "sampling2.jpg", "grey.jpg", "cmyk.jpg", "restart.jpg", "ownCodes.jpg"] {
      let file = [UInt8](try Data(contentsOf: fixtures.appendingPathComponent(name)))
      #expect(try decode(file, upper, workspace: workspace).status == IC_OK, "\(name)")
      for missing in [2, 9, 40] {
        let part = Array(file.dropLast(missing))
        #expect(try decode(part, upper, workspace: workspace).status == IC_TRUNCATED, "\(name) without \(missing)")
      }
    }
  }

  @Test func `Damaged files give libjpeg's samples, and cut ones no others`() throws {
    defer { ic_jpeg_workspace_free(workspace) }
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    let folders = [
      tests.appendingPathComponent("Fixtures"),
      tests.deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("examples/photos"),
    ]
    var generator = Seeded(seed: 34)
    var (sound, refused) = (0, 0)
    for folder in folders {
      for name in try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
      where name.hasSuffix(".jpg") {
        let file = [UInt8](try Data(contentsOf: folder.appendingPathComponent(name)))
        let scan = try #require(scanStart(file), "\(name)")
        for round in 0..<(file.count < 5_000 ? 60 : 4) {
          var damaged = file
          for _ in 0..<round % 4 { damage(&damaged, from: scan, &generator) }
          if round % 6 == 5 { damaged.removeLast(Int.random(in: 1..<file.count - scan, using: &generator)) }
          let part = Part.random(&generator)
          let library = try decode(damaged, part, workspace: nil)
          let ours = try decode(damaged, part, workspace: workspace)
          sound += library.status == IC_OK ? 1 : 0
          if library.status == IC_OK && ours.status == IC_TRUNCATED {
            // That the file has no end, libjpeg does not see if it need not read so far.
            let hasEnd = zip(damaged[scan...], damaged[(scan + 1)...]).contains { $0 == 0xFF && $1 == 0xD9 }
            #expect(!hasEnd, "\(name), round \(round)")
            refused += 1
          } else {
            #expect(ours == library, "\(name), round \(round), \(part)")
          }
        }
      }
    }
    #expect(sound > 500 && refused < sound / 20)
  }

  /// Where the first byte of entropy-coded data lies.
  private func scanStart(_ file: [UInt8]) -> Int? {
    var at = 2
    while at + 4 <= file.count {
      let next = at + 2 + Int(file[at + 2]) << 8 + Int(file[at + 3])
      if file[at + 1] == 0xDA { return next }
      at = next
    }
    return nil
  }

  /// Changes a byte, or puts a marker there.
  ///
  /// Two bytes of 0xFF in a row are left out: before a stuffed zero they leave coefficients of a first attempt in
  /// libjpeg's block.
  private func damage(_ file: inout [UInt8], from scan: Int, _ generator: inout Seeded) {
    let before = file
    let at = Int.random(in: scan..<file.count - 1, using: &generator)
    switch Int.random(in: 0..<4, using: &generator) {
    case 0: file[at] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
    case 1: file[at] = .random(in: 0...255, using: &generator)
    case 2: file.removeSubrange(at..<min(file.count, at + Int.random(in: 1...5, using: &generator)))
    default:
      file[at] = 0xFF
      file[at + 1] = .random(in: 0xD0...0xD9, using: &generator)
    }
    if zip(file[scan...], file[(scan + 1)...]).contains(where: { $0 == 0xFF && $1 == 0xFF }) { file = before }
  }

  private func decode(_ file: [UInt8], _ part: Part, workspace: OpaquePointer?) throws -> Decoded {
    let header = try file.withUnsafeBytes { try ImageHeader($0) }
    let (width, height) = (UInt32(header.width), UInt32(header.height))
    let (columns, rows) = ((width * part.scale + 7) / 8, (height * part.scale + 7) / 8)
    let (left, top) = (columns * part.left / 100, rows * part.top / 100)
    var region = ic_region(
      left: left, top: top, width: max(1, columns * part.right / 100 - left),
      height: max(1, rows * part.bottom / 100 - top))
    let margin = UInt32(IC_JPEG_MARGIN)
    var pixels = [UInt8](repeating: 0, count: Int((region.width + margin) * (region.height + margin) * 3))
    var text = [CChar](repeating: 0, count: Int(IC_ERROR_BYTES))
    let capacity = pixels.count
    let status = ic_jpeg_decode(
      file, file.count, width, height, part.scale, &region, 64 << 20, 100, workspace, &pixels, capacity, &text)
    return Decoded(status: status, pixels: status == IC_OK ? pixels : [])
  }
}
