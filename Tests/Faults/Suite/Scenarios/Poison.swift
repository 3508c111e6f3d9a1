internal import Glibc
internal import TestSupport

extension Scenario {
  /// Pictures that crash the decoder, turn it for ever, or promise more than memory holds.
  package static let poison = Scenario(
    "poison", "Poison images: decoder crash, endless loop, header and memory bombs"
  ) { bench in
    try crashes(bench)
    try loops(bench)
    try bombs(bench)
  }

  private static func poisoned(_ site: Site, width: Int, name: String) -> [UInt8] {
    let file = NumberPicture.make(site.picture().number, .jpeg, width: width, height: 64)
    let path = Array("\(site.inbox)/\(name).jpg".utf8)
    Files.write(file.bytes, to: path)
    site.oracle.expect(file, at: path, fate: .refused)
    return path
  }

  /// The culprit alone is refused after two deaths, named in the journal.
  private static func crashes(_ bench: Bench) throws {
    let site = try Site()
    site.control.isPoisonous = true
    bench.check(site.service.startReady(), "the daemon does not start", log: site.service.log)
    site.handOver(40)
    _ = poisoned(site, width: FaultControl.crashWidth, name: "crash")
    site.handOver(40)
    bench.settle(site, within: 90, "a picture that crashes the decoder")
    bench.check(site.service.deaths <= 2, "\(site.service.deaths) deaths of one picture")
    bench.check(site.service.deaths > 0, "the decoder never crashed")
    bench.check(site.service.lastDeath == -SIGSEGV, "the daemon died by \(site.service.lastDeath), not by SIGSEGV")
    bench.check(
      site.service.tend(until: { site.service.lines(containing: "crash.jpg is quarantined") == 1 }, within: 5),
      "the journal does not name the culprit",
      log: site.service.log)
    bench.happened(site.control.poisoned)
    bench.figure("deaths of a crashing picture", "\(site.service.deaths)")
    bench.stop(site, "crash")
    bench.blame(site.oracle.violations())
  }

  /// A decoder that never returns: the watchdog ends it, and after two such deaths the culprit is refused.
  private static func loops(_ bench: Bench) throws {
    let site = try Site()
    site.control.isPoisonous = true
    site.service.watchdogSeconds = 4
    bench.check(site.service.startReady(), "the daemon does not start", log: site.service.log)
    site.handOver(20)
    _ = poisoned(site, width: FaultControl.loopWidth, name: "loop")
    site.handOver(20)
    let took = bench.settle(site, within: 120, "a picture that turns for ever")
    bench.happened(site.control.poisoned)
    bench.check(site.service.deaths <= 2, "\(site.service.deaths) deaths of one picture")
    bench.check(site.service.watchdogAborts > 0, "the watchdog never fired on a decoder that turns for ever")
    bench.check(
      site.service.tend(until: { site.service.lines(containing: "loop.jpg is quarantined") == 1 }, within: 5),
      "the journal does not name the culprit",
      log: site.service.log)
    bench.figure("deaths of an endless one", "\(site.service.deaths)")
    bench.figure("endless one refused after", Bench.text(took) + " s at WatchdogSec=4")
    site.service.isRestarted = false
    bench.stop(site, "loop")
    bench.blame(site.oracle.violations())
  }

  /// Small files that announce or unpack to very much: refused, or answered, within bounded memory and without a death.
  private static func bombs(_ bench: Bench) throws {
    let site = try Site()
    bench.check(site.service.startReady(), "the daemon does not start", log: site.service.log)
    site.handOver(5)
    bench.settle(site, within: 20, "before the bombs")
    let before = site.service.residentBytes
    var bombs: [(name: String, bytes: [UInt8])] = []
    for (index, size) in [(65_535, 65_535), (40_000, 40_000), (32_768, 32_768)].enumerated() {
      bombs.append(("jpeg-\(index).jpg", resizedJPEG(site.picture().number, width: size.0, height: size.1)))
      bombs.append(("png-\(index).png", resizedPNG(site.picture().number, width: size.0, height: size.1)))
    }
    bombs.append(("png-wide.png", resizedPNG(site.picture().number, width: 0x7FFF_FFFF, height: 1)))
    for (name, bytes) in bombs {
      let path = Array("\(site.inbox)/\(name)".utf8)
      Files.write(bytes, to: path)
      site.oracle.expect(NumberPicture.File(number: 0, bytes: bytes, suffix: ""), at: path, fate: .refused)
      bench.happened()
    }
    var peak = 0
    site.service.tend(
      until: {
        peak = max(peak, site.service.residentBytes)
        return site.oracle.violations().isEmpty
      }, within: 60)
    bench.fresh(site, within: 20)
    bench.check(site.service.deaths == 0, "a bomb killed the daemon", log: site.service.log)
    bench.figure("bombs", "\(bombs.count)")
    bench.figure("memory above rest at the bombs", "\((peak - before) >> 20) MiB")
    bench.check(peak - before < 600 << 20, "the bombs took \((peak - before) >> 20) MiB")
    bench.stop(site, "bombs")
    bench.blame(site.oracle.violations())
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

  /// A sound PNG whose header says another size, with the checksum that belongs to it.
  private static func resizedPNG(_ number: Int, width: Int, height: Int) -> [UInt8] {
    var bytes = NumberPicture.make(number, .png, width: 96, height: 64).bytes
    for (offset, value) in [(16, width), (20, height)] {
      for place in 0..<4 { bytes[offset + place] = UInt8(truncatingIfNeeded: value >> (24 - 8 * place)) }
    }
    var sum: UInt32 = 0xFFFF_FFFF
    for byte in bytes[12..<29] {
      sum ^= UInt32(byte)
      for _ in 0..<8 { sum = sum >> 1 ^ (sum & 1 == 1 ? 0xEDB8_8320 : 0) }
    }
    sum = ~sum
    for place in 0..<4 { bytes[29 + place] = UInt8(truncatingIfNeeded: sum >> (24 - 8 * UInt32(place))) }
    return bytes
  }
}
