internal import FaultCodec
internal import Glibc
internal import TestSupport

extension Scenario {
  /// Small files that announce or unpack to very much: refused, or answered, within bounded memory and without a death.
  static func bombs(_ bench: Bench) throws {
    let site = try Site()
    bench.check(site.service.startReady(), "the daemon does not start", log: site.service.log)
    site.handOver(5)
    bench.settle(site, within: 20, "before the bombs")
    let before = site.service.residentBytes
    let count = drop(refused(site), into: site, fate: .refused) + drop(answered(site), into: site, fate: .answered)
    bench.happened(count)
    var peak = 0
    site.service.tend(
      until: {
        peak = max(peak, site.service.residentBytes)
        return site.oracle.violations().isEmpty
      }, within: 60)
    bench.fresh(site, within: 5)
    bench.check(site.service.deaths == 0, "a bomb killed the daemon", log: site.service.log)
    bench.figure("bombs", "\(count)")
    bench.figure("memory above rest at the bombs", "\((peak - before) >> 20) MiB")
    bench.check(peak - before < 600 << 20, "the bombs took \((peak - before) >> 20) MiB")
    bench.stop(site, "bombs")
    bench.blame(site.oracle.violations())
  }

  private static func drop(
    _ files: [(name: String, file: NumberPicture.File)], into site: Site, fate: Oracle.Fate
  ) -> Int {
    for (name, file) in files {
      let path = Array("\(site.inbox)/\(name)".utf8)
      Files.write(file.bytes, to: path)
      site.oracle.expect(file, at: path, fate: fate)
    }
    return files.count
  }

  /// Headers that lie, pixels that really unpack to more than is allowed, and more scans than anyone draws.
  private static func refused(_ site: Site) -> [(name: String, file: NumberPicture.File)] {
    var bombs: [(name: String, bytes: [UInt8])] = []
    for (index, size) in [(65_535, 65_535), (40_000, 40_000), (32_768, 32_768)].enumerated() {
      bombs.append(("jpeg-\(index).jpg", resizedJPEG(site.picture().number, width: size.0, height: size.1)))
      bombs.append(("png-\(index).png", resizedPNG(site.picture().number, width: size.0, height: size.1)))
    }
    bombs.append(("png-wide.png", resizedPNG(site.picture().number, width: 0x7FFF_FFFF, height: 1)))
    bombs.append(("png-giant.png", blankPNG(width: 30_000, height: 30_000)))
    bombs.append(("scans.jpg", manyScans(site.picture().number, repeats: 1000)))
    return bombs.map { ($0.name, NumberPicture.File(number: 0, bytes: $0.bytes, suffix: "")) }
  }

  /// Sound pictures at the edge of what is allowed, and some with a gigabyte packed beside the pixels.
  private static func answered(_ site: Site) -> [(name: String, file: NumberPicture.File)] {
    let (wide, high) = (11_400, 7_600)
    let progressive = NumberPicture.make(site.picture().number, .progressiveJPEG, width: wide, height: high)
    let plain = NumberPicture.make(site.picture().number, .png, width: wide, height: high)
    let gigabyte = zeros(1 << 30)
    let text = Array("Comment".utf8) + [0, 0] + gigabyte
    let files = [("zTXt", text), ("iCCP", text)].map { type, data in
      let sound = NumberPicture.make(site.picture().number, .png, width: 96, height: 64)
      // The header ends after 8 bytes of signature and 25 of IHDR.
      let bytes = sound.bytes[..<33] + chunk(type, data) + sound.bytes[33...]
      return ("\(type).png", NumberPicture.File(number: sound.number, bytes: Array(bytes), suffix: ".png"))
    }
    return [("large-progressive.jpg", progressive), ("large.png", plain)] + files
  }

  /// A sound JPEG whose frame header says another size.
  private static func resizedJPEG(_ number: Int, width: Int, height: Int) -> [UInt8] {
    var bytes = NumberPicture.make(number, .jpeg, width: 96, height: 64).bytes
    for index in 0..<(bytes.count - 9) where bytes[index] == 0xFF && (0xC0...0xC2).contains(bytes[index + 1]) {
      (bytes[index + 5], bytes[index + 6]) = (UInt8(height >> 8), UInt8(height & 255))
      (bytes[index + 7], bytes[index + 8]) = (UInt8(width >> 8), UInt8(width & 255))
      break
    }
    return bytes
  }

  /// A large progressive JPEG whose last scan stands there again and again.
  private static func manyScans(_ number: Int, repeats: Int) -> [UInt8] {
    let bytes = NumberPicture.make(number, .progressiveJPEG, width: 1200, height: 800).bytes
    let scan = bytes.indices.dropLast().last { bytes[$0] == 0xFF && bytes[$0 + 1] == 0xDA } ?? 0
    let last = bytes[scan..<(bytes.count - 2)]
    return Array(bytes[..<(bytes.count - 2)]) + Array(repeatElement(last, count: repeats).joined()) + bytes.suffix(2)
  }

  /// A sound PNG whose header says another size.
  private static func resizedPNG(_ number: Int, width: Int, height: Int) -> [UInt8] {
    let bytes = NumberPicture.make(number, .png, width: 96, height: 64).bytes
    return bytes[..<8] + chunk("IHDR", bigEndian(width) + bigEndian(height) + bytes[24..<29]) + bytes[33...]
  }

  /// A black RGB picture that unpacks to all its pixels.
  private static func blankPNG(width: Int, height: Int) -> [UInt8] {
    let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
    let pixels = zeros(height * (1 + 3 * width))
    return signature + chunk("IHDR", bigEndian(width) + bigEndian(height) + [8, 2, 0, 0, 0]) + chunk("IDAT", pixels)
      + chunk("IEND", [])
  }

  /// So many zero bytes as a zlib stream, a thousandth in size.
  private static func zeros(_ count: Int) -> [UInt8] {
    var packed: UnsafeMutablePointer<UInt8>?
    let size = faults_compress_zeros(UInt64(count), &packed)
    defer { free(packed) }
    return Array(UnsafeBufferPointer(start: packed, count: size))
  }

  private static func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
    let body = Array(type.utf8) + data
    var sum: UInt32 = 0xFFFF_FFFF
    for byte in body {
      sum ^= UInt32(byte)
      for _ in 0..<8 { sum = sum >> 1 ^ (sum & 1 == 1 ? 0xEDB8_8320 : 0) }
    }
    return bigEndian(data.count) + body + bigEndian(Int(~sum))
  }

  private static func bigEndian(_ value: Int) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) }
  }
}
