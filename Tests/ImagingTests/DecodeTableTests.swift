import FoundationEssentials
import Glibc
import Imaging
import Testing

/// A table that `benchmarks/accuracy/golden.py` wrote about any pictures; `make accuracy` names it here.
private let table = getenv("LOOKOUT_DECODE_TABLE").map { String(cString: $0) }

/// What Pillow says of one picture.
private struct PillowRow {
  let path: String
  let isAccepted: Bool
  let width: Int
  let height: Int
  let means: [Double]

  init?(_ line: Substring) {
    let fields = line.split(separator: ",", omittingEmptySubsequences: false)
    guard fields.count > 2, fields[1] == "ok" || fields[1] == "failed" else { return nil }
    path = String(fields[0])
    isAccepted = fields[1] == "ok"
    guard isAccepted else {
      (width, height, means) = (0, 0, [])
      return
    }
    guard fields.count > 7, let width = Int(fields[3]), let height = Int(fields[4]) else { return nil }
    self.width = width
    self.height = height
    means = fields[5...7].compactMap { Double($0) }
  }
}

@Suite(.enabled(if: table != nil)) struct DecodeTableTests {
  @Test func `Every picture of the table is accepted, refused and coloured as by Pillow`() throws {
    let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: #require(table))), as: UTF8.self)
    let rows = text.split(separator: "\n").dropFirst()
    #expect(!rows.isEmpty)
    for line in rows {
      let row = try #require(PillowRow(line), "\(line)")
      let file = [UInt8](try Data(contentsOf: URL(fileURLWithPath: row.path)))
      let extent = Preprocessing.Extent(height: max(1, row.height), width: max(1, row.width))
      let preprocessor = Preprocessor(
        try Preprocessing(resize: .exact(extent), filter: .bilinear, scale: 1, mean: [0, 0, 0], std: [1, 1, 1]))
      file.withUnsafeBytes { raw in
        do throws(ImagingError) {
          let (grid, facts) = try preprocessor.resized(raw, fullDecode: true)
          #expect(row.isAccepted, "\(row.path): Pillow refuses it")
          guard row.isAccepted else { return }
          #expect(facts.width == row.width && facts.height == row.height, "\(row.path)")
          for (channel, mean) in row.means.enumerated() {
            #expect(abs(meanLevel(grid, channel: channel) - mean) <= 0.5, "\(row.path), channel \(channel)")
          }
        } catch {
          #expect(!row.isAccepted || isStricter(error), "\(row.path): \(error)")
        }
      }
    }
  }

  /// Where Lookout refuses what Pillow takes, on purpose (docs/decisions): other formats, and a PNG that is cut short or
  /// breaks its own checksum.
  private func isStricter(_ error: ImagingError) -> Bool {
    switch error {
    case .unreadableFormat, .truncated(.png): true
    case .corrupt(.png, let reason): reason.contains("CRC")
    default: false
    }
  }

  private func meanLevel(_ grid: PixelGrid, channel: Int) -> Double {
    var sum = 0
    for y in 0..<grid.height {
      for x in 0..<grid.width { sum += Int(grid.base[y * grid.rowBytes + 3 * x + channel]) }
    }
    return Double(sum) / Double(grid.width * grid.height)
  }
}
