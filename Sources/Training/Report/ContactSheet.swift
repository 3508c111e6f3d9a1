package import Imaging

/// Many small pictures side by side.
package struct ContactSheet: Sendable {
  private var sheet: Picture
  private let columns: Int
  private let cell: (width: Int, height: Int)
  private static let gap = 2

  /// An empty sheet for so many pictures of one size; white between them.
  package init(count: Int, width: Int, height: Int) {
    columns = max(1, Int(Double(count).squareRoot().rounded(.up)))
    cell = (width + Self.gap, height + Self.gap)
    let rows = (count + columns - 1) / columns
    let size = (width: columns * cell.width + Self.gap, height: max(1, rows) * cell.height + Self.gap)
    sheet = Picture(
      width: size.width, height: size.height, channels: 3,
      samples: [UInt8](repeating: 255, count: size.width * size.height * 3))
  }

  /// Puts a picture, grey or RGB, into a cell.
  package mutating func set(_ index: Int, _ picture: Picture) {
    let left = index % columns * cell.width + Self.gap
    let top = index / columns * cell.height + Self.gap
    for y in 0..<min(picture.height, cell.height - Self.gap) {
      for x in 0..<min(picture.width, cell.width - Self.gap) {
        for c in 0..<3 { sheet[left + x, top + y, c] = picture[x, y, picture.channels == 3 ? c : 0] }
      }
    }
  }

  package func png() throws(ImagingError) -> [UInt8] {
    try PNGWriter.encode(width: sheet.width, height: sheet.height, channels: 3, samples: sheet.samples)
  }
}

extension Preprocessing {
  /// A network's input as a picture again: normalisation undone, cut to 8 bits, RGB order.
  package func picture(ofInput floats: UnsafePointer<Float>) -> Picture {
    let (size, count) = (output, channels.count)
    var samples = [UInt8](repeating: 0, count: outputCount)
    for index in samples.indices {
      let c = index % count
      let value = (Double(floats[index]) * std[c] + mean[c]) / scale
      let target = channels == .bgr ? index - c + (count - 1 - c) : index
      samples[target] = UInt8(max(0, min(255, value.isFinite ? value.rounded() : 0)))
    }
    return Picture(width: size.width, height: size.height, channels: count, samples: samples)
  }
}
