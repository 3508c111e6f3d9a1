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
          let scale = UInt32.random(in: 1...8, using: &generator)
          let library = try decode(damaged, scale: scale, workspace: nil)
          let ours = try decode(damaged, scale: scale, workspace: workspace)
          sound += library.status == IC_OK ? 1 : 0
          if library.status == IC_OK && ours.status == IC_TRUNCATED {
            // libjpeg stops reading at a false marker; that the file has no end, it does not see.
            #expect(round % 6 == 5, "\(name), round \(round)")
            refused += 1
          } else {
            #expect(ours == library, "\(name), round \(round), scale \(scale)")
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

  private func decode(_ file: [UInt8], scale: UInt32, workspace: OpaquePointer?) throws -> Decoded {
    let header = try file.withUnsafeBytes { try ImageHeader($0) }
    let (width, height) = (UInt32(header.width), UInt32(header.height))
    var region = ic_region(left: 0, top: 0, width: (width * scale + 7) / 8, height: (height * scale + 7) / 8)
    var pixels = [UInt8](repeating: 0, count: Int(region.width * region.height * 3))
    var text = [CChar](repeating: 0, count: Int(IC_ERROR_BYTES))
    let capacity = pixels.count
    let status = ic_jpeg_decode(
      file, file.count, width, height, scale, &region, 64 << 20, 100, workspace, &pixels, capacity, &text)
    return Decoded(status: status, pixels: pixels)
  }
}
