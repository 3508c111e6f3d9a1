import FoundationEssentials
import Glibc
import Imaging
import Testing

private let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures")

private func bytes(_ name: String) throws -> [UInt8] {
  [UInt8](try Data(contentsOf: folder.appendingPathComponent(name)))
}

private func pictures() throws -> [String] {
  try FileManager.default.contentsOfDirectory(atPath: folder.path).filter {
    $0 != "resize.png" && ["jpg", "png", "bmp"].contains(URL(fileURLWithPath: $0).pathExtension)
  }.sorted()
}

private func largestDifference(_ grid: PixelGrid, _ expected: [UInt8]) -> Int {
  guard expected.count == grid.width * grid.height * grid.channels else { return 256 }
  var largest = 0
  let line = grid.width * grid.channels
  for index in expected.indices {
    let sample = grid.base[index / line * grid.rowBytes + index % line]
    largest = max(largest, abs(Int(sample) - Int(expected[index])))
  }
  return largest
}

@Suite(.timeLimit(.minutes(15))) struct PreprocessorTests {
  @Test func `Every kind of picture decodes to Pillow's upright pixels`() throws {
    for name in try pictures() {
      let file = try bytes(name)
      let expected = try bytes(String(name.prefix { $0 != "." }) + ".rgb")
      let turned = file.withUnsafeBytes { try? ImageHeader($0) }?.orientation.swapsAxes ?? false
      let extent = Preprocessing.Extent(height: turned ? 37 : 29, width: turned ? 29 : 37)
      let preprocessing = try Preprocessing(
        resize: .exact(extent), filter: .bilinear, scale: 1, mean: [0, 0, 0], std: [1, 1, 1])
      let preprocessor = Preprocessor(preprocessing)
      try file.withUnsafeBytes { raw in
        let (grid, facts) = try preprocessor.resized(raw, fullDecode: true)
        #expect(facts.width == extent.width && facts.height == extent.height, "\(name)")
        #expect(largestDifference(grid, expected) <= 1, "\(name)")
      }
    }
  }

  @Test func `A part of a picture is the same whether the rest is computed or not`() throws {
    let photos = folder.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("examples/photos")
    let files =
      try pictures().map { folder.appendingPathComponent($0) }
      + FileManager.default.contentsOfDirectory(atPath: photos.path).map { photos.appendingPathComponent($0) }
    var generator = SystemRandomNumberGenerator()
    let (whole, part) = (PixelDecoder(), PixelDecoder())
    for file in files.filter({ $0.pathExtension == "jpg" }) {
      let data = [UInt8](try Data(contentsOf: file))
      for scale in [1, 2, 4, 8] {
        try data.withUnsafeBytes { raw in
          let header = try ImageHeader(raw)
          let all = try whole.decode(raw, header: header, scale: scale)
          for _ in 0..<10 {
            let x = Int.random(in: 0..<all.width, using: &generator)
            let y = Int.random(in: 0..<all.height, using: &generator)
            let wanted = PixelRegion(
              left: x, top: y, width: Int.random(in: 1...all.width - x, using: &generator),
              height: Int.random(in: 1...all.height - y, using: &generator))
            let some = try part.decode(raw, header: header, scale: scale, wanted: wanted)
            let isSame = (y..<y + wanted.height).allSatisfy { row in
              memcmp(all.base + row * all.rowBytes + 3 * x, some.base + row * some.rowBytes + 3 * x, 3 * wanted.width)
                == 0
            }
            #expect(isSame, "\(file.lastPathComponent), scale \(scale), \(wanted)")
          }
        }
      }
    }
  }

  @Test func `Blue first is red first turned round`() throws {
    let file = try bytes("rgb.png")
    let extent = Preprocessing.Extent(height: 29, width: 37)
    var answers: [[Float]] = []
    for (channels, mean) in [(Preprocessing.Channels.rgb, [1.0, 2, 3]), (.bgr, [3.0, 2, 1])] {
      let preprocessor = Preprocessor(
        try Preprocessing(
          resize: .exact(extent), filter: .bilinear, channels: channels, scale: 1, mean: mean, std: [2, 4, 2]))
      var slot = [Float](repeating: 0, count: preprocessor.preprocessing.outputCount)
      try file.withUnsafeBytes { raw in
        try slot.withUnsafeMutableBufferPointer { _ = try preprocessor.prepare(raw, into: $0) }
      }
      answers.append(slot)
    }
    for pixel in stride(from: 0, to: answers[0].count, by: 3) {
      #expect(answers[0][pixel..<pixel + 3].reversed().elementsEqual(answers[1][pixel..<pixel + 3]))
    }
  }

  @Test func `A file cut at any length never crashes and never reads past its end`() throws {
    let preprocessor = Preprocessor(try .square(side: 8))
    var slot = [Float](repeating: 0, count: preprocessor.preprocessing.outputCount)
    for name in try pictures() {
      let file = try bytes(name)
      for count in 0..<file.count - 12 {
        let part = Array(file[0..<count])
        let accepted = part.withUnsafeBytes { raw in
          slot.withUnsafeMutableBufferPointer { (try? preprocessor.prepare(raw, into: $0)) != nil }
        }
        #expect(!accepted || count > file.count / 2, "\(name) cut to \(count)")
      }
    }
  }

  @Test func `A header that announces a giant picture is refused before anything is allocated`() throws {
    var file = try bytes("sampling0.jpg")
    let frame = try #require(file.indices.dropLast().first { file[$0] == 0xFF && file[$0 + 1] == 0xC0 })
    for (index, byte) in [UInt8](arrayLiteral: 0xFF, 0xDC, 0xFF, 0xDC).enumerated() { file[frame + 5 + index] = byte }
    #expect(throws: ImagingError.limitExceeded(what: "the width in pixels", value: 65_500, limit: 32_768)) {
      try file.withUnsafeBytes { raw in _ = try ImageHeader(raw) }
    }
  }
}

@Suite(.timeLimit(.minutes(15))) struct ResamplerTests {
  @Test func `Resizing gives Pillow's samples, bit for bit`() throws {
    let file = try bytes("resize.png")
    let decoder = PixelDecoder()
    let resampler = Resampler()
    try file.withUnsafeBytes { raw in
      let source = try decoder.decode(raw, header: ImageHeader(raw))
      for line in String(decoding: try bytes("resize.txt"), as: UTF8.self).split(separator: "\n") {
        let fields = line.split(separator: " ").map(String.init)
        let filter = try #require(ResampleFilter(rawValue: fields[1]))
        let numbers = fields[2...].compactMap(Double.init)
        let box = PixelBox(left: numbers[2], top: numbers[3], right: numbers[4], bottom: numbers[5])
        let (width, height) = (Int(numbers[0]), Int(numbers[1]))
        let result = resampler.resize(
          source, box: box, width: width, height: height, columns: 0..<width, lines: 0..<height, filter: filter)
        #expect(largestDifference(result, try bytes(fields[0])) == 0, "\(line)")
      }
    }
  }
}

@Suite(.timeLimit(.minutes(15))) struct PreprocessingTests {
  @Test func `JSON survives the round trip`() throws {
    for preprocessing in [Preprocessing.efficientNetLite(side: 224), .torchvisionImageNet] {
      #expect(try Preprocessing(json: preprocessing.json()) == preprocessing)
    }
  }

  @Test func `An unknown key is named`() throws {
    let json = try Preprocessing.torchvisionImageNet.json().replacing("\"size\"", with: "\"sise\"")
    #expect {
      try Preprocessing(json: json)
    } throws: { error in
      guard case .preprocessing(let key, _)? = error as? ImagingError else { return false }
      return key == "resize.sise"
    }
  }
}

@Suite(.timeLimit(.minutes(15))) struct ImageFormatTests {
  @Test func `A whole file ends complete and one without its last bytes does not`() throws {
    for name in try pictures() {
      let file = try bytes(name)
      func ends(_ part: [UInt8]) -> Bool {
        part.withUnsafeBytes { all in
          ImageFormat.endsComplete(
            head: UnsafeRawBufferPointer(rebasing: all.prefix(32)),
            tail: UnsafeRawBufferPointer(rebasing: all.suffix(64)), size: part.count)
        }
      }
      #expect(ends(file), "\(name)")
      #expect(!ends(Array(file.dropLast(2))), "\(name)")
    }
  }
}
