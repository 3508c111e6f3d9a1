internal import Glibc
internal import TestSupport

extension Scenario {
  /// Names, inodes, times and clocks that mislead.
  package static let identity = Scenario(
    "identity",
    "Overwritten names, reused inodes, hard links, equal bytes, odd times, clock steps, odd names, files dropped again"
  ) { bench in
    let site = try Site()
    bench.check(site.service.startReady(), "the daemon does not start", log: site.service.log)
    overwrite(site, bench)
    try reuseInodes(site, bench)
    linkAndCopy(site, bench)
    oddTimes(site, bench)
    oddNames(site, bench)
    stepClock(site, bench)
    dropAgain(site, bench)
    Scenario.listAgain(site, bench)
    changeMetadata(site, bench)
    bench.stop(site)
    bench.blame(site.oracle.violations())
  }

  /// One name, several contents within a second, in place and by rename.
  private static func overwrite(_ site: Site, _ bench: Bench) {
    var written = 0
    for round in 0..<bench.scaled(40, short: 4) {
      let path = "\(site.inbox)/same-\(round)"
      var last: NumberPicture.File?
      for turn in 0..<4 {
        let file = site.picture()
        if let last { site.oracle.excuse(last.digest, at: Array(path.utf8)) }
        site.oracle.expect(file, at: Array(path.utf8))
        if turn % 2 == 0 {
          Files.write(file.bytes, to: path)
        } else {
          Files.write(file.bytes, to: "\(site.inbox)/.same")
          rename("\(site.inbox)/.same", path)
        }
        Site.sync(path)
        last = file
        written += 1
        site.service.tend(for: Double.random(in: 0...0.06))
      }
    }
    bench.happened(written)
    bench.figure("overwrites", "\(written)")
    bench.settle(site, within: 40, "overwritten names")
  }

  /// A file is answered and removed; the next one gets its inode.
  private static func reuseInodes(_ site: Site, _ bench: Bench) throws {
    var reused = 0
    var inodes: Set<UInt> = []
    for round in 0..<bench.scaled(60, short: 3) {
      let file = site.picture()
      let path = "\(site.inbox)/inode-\(round % 3)\(file.suffix)"
      Site.writeDurably(file.bytes, to: path)
      site.oracle.expect(file, at: Array(path.utf8))
      var status = stat()
      if stat(path, &status) == 0, !inodes.insert(UInt(status.st_ino)).inserted { reused += 1 }
      let before = site.oracle.required
      site.service.tend(until: { site.rowsInArchive() >= before }, within: 20)
      site.oracle.excuse(file.digest, at: Array(path.utf8))
      unlink(path)
    }
    bench.happened(reused)
    bench.figure("inodes met again", "\(reused)")
  }

  /// Hard links and copies: each name is an arrival of its own.
  private static func linkAndCopy(_ site: Site, _ bench: Bench) {
    let file = site.picture()
    let first = "\(site.inbox)/original\(file.suffix)"
    Site.writeDurably(file.bytes, to: first)
    site.oracle.expect(file, at: Array(first.utf8))
    for index in 0..<bench.scaled(40, short: 4) {
      let path = "\(site.inbox)/twin-\(index)\(file.suffix)"
      if index % 2 == 0 { link(first, path) } else { Site.writeDurably(file.bytes, to: path) }
      site.oracle.expect(file, at: Array(path.utf8))
      bench.happened()
    }
    bench.settle(site, within: 40, "hard links and equal bytes")
  }

  private static func oddTimes(_ site: Site, _ bench: Bench) {
    for (index, time) in ["1970-01-01 00:00:01", "1901-12-14", "2038-01-19 03:14:08", "2099-12-31"].enumerated() {
      let file = site.picture()
      let path = "\(site.inbox)/time-\(index)\(file.suffix)"
      Files.write(file.bytes, to: "\(site.inbox)/.time")
      Bench.shell("touch -d '\(time)' '\(site.inbox)/.time'")
      rename("\(site.inbox)/.time", path)
      site.oracle.expect(file, at: Array(path.utf8))
      bench.happened()
    }
    bench.settle(site, within: 20, "old and future times")
  }

  private static func oddNames(_ site: Site, _ bench: Bench) {
    let long = [UInt8](repeating: UInt8(ascii: "n"), count: 251)
    let names: [[UInt8]] = [
      long + Array(".jpg".utf8), [0xFF, 0xFE, 0x80] + Array(".jpg".utf8), Array("caf\u{E9} \u{1F989}.jpg".utf8),
      Array("new\nline\r\n.jpg".utf8), Array("=1+1,\"quoted\".jpg".utf8), Array("'apostrophe.jpg".utf8),
      Array(" leading and trailing .jpg".utf8), Array("back\\slash\t%s%n.jpg".utf8), [0x1B] + Array("[31mred.jpg".utf8),
    ]
    for name in names {
      let file = site.picture()
      let path = Array("\(site.inbox)/".utf8) + name
      Files.write(file.bytes, to: path)
      site.oracle.expect(file, at: path)
      let cut = site.picture()
      let cutFile = NumberPicture.File(number: cut.number, bytes: Array(cut.bytes.prefix(300)), suffix: ".jpg")
      // A name of the greatest length must also find a place in quarantine, note and all.
      let cutPath =
        Array("\(site.inbox)/".utf8) + (name.count > 200 ? Array(name.dropFirst()) : [UInt8(ascii: "c")] + name)
      Files.write(cutFile.bytes, to: cutPath)
      site.oracle.expect(cutFile, at: cutPath, fate: .refused)
      bench.happened()
    }
    bench.settle(site, within: 30, "odd names")
  }

  /// The wall clock jumps while files arrive.
  private static func stepClock(_ site: Site, _ bench: Bench) {
    let hour: Int64 = 3_600_000_000_000
    for step in [hour, -hour, 24 * 365 * 10 * hour, -24 * 365 * 20 * hour, 0] {
      site.handOver(3)
      site.control.clockOffsetNanoseconds = step
      site.handOver(3)
      let took = bench.settle(site, within: 20, "the clock stepped by \(step / hour) h")
      bench.check(took < 15, "with the clock off by \(step / hour) h results took \(Bench.text(took)) s")
      bench.happened()
    }
    bench.check(site.control.clockReadings > 0, "the daemon never asked the stepped clock")
    bench.figure("clock readings", "\(site.control.clockReadings)")
  }

  /// Answered files are moved out and back, or overwritten by the same bytes with the same times, and touched.
  private static func dropAgain(_ site: Site, _ bench: Bench) {
    let paths = site.handOver(bench.scaled(24, short: 6))
    bench.settle(site, within: 20, "before files are dropped again")
    for (index, path) in paths.enumerated() {
      guard let bytes = Files.read(path), let number = Int(path.split(separator: "/").last?.prefix { $0 != "." } ?? "")
      else { continue }
      switch index % 3 {
      case 0:
        rename(path, "\(site.base)/away")
        rename("\(site.base)/away", path)
      case 1:
        Files.write(bytes, to: path)
        var past = [timeval(tv_sec: 981_173_106, tv_usec: 0), timeval(tv_sec: 981_173_106, tv_usec: 0)]
        utimes(path, &past)
      default:
        let file = open(path, O_WRONLY | O_CLOEXEC)
        futimens(file, nil)
        close(file)
        continue
      }
      site.oracle.expect(NumberPicture.File(number: number, bytes: bytes, suffix: ""), at: Array(path.utf8))
      bench.happened()
    }
    bench.settle(site, within: 20, "files dropped again")
  }

  /// Rights, owner, links and times of answered files change: none is a new arrival.
  private static func changeMetadata(_ site: Site, _ bench: Bench) {
    site.handOver(8)
    bench.settle(site, within: 20, "before metadata change")
    let names = Files.names(in: site.inbox).filter { !$0.hasPrefix(".") }
    for (index, name) in names.enumerated() {
      switch index % 3 {
      case 0: chmod("\(site.inbox)/\(name)", 0o600)
      case 1: link("\(site.inbox)/\(name)", "\(site.base)/link-\(index)")
      default:
        // To the present both times would be alike, which stands for a file dropped again.
        var past = [timeval(tv_sec: 981_173_106, tv_usec: 0), timeval(tv_sec: 981_173_106, tv_usec: 0)]
        utimes("\(site.inbox)/\(name)", &past)
      }
      bench.happened()
    }
    Scenario.listAgain(site, bench)
  }
}
