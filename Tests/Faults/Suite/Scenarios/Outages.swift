internal import Glibc
internal import TestSupport

extension Scenario {
  /// A sink's peer is away for minutes, rejects every seventh record, or takes a second a record.
  package static let outages = Scenario(
    "outages", "A sink away for minutes, one that rejects every seventh record, one that takes a second a record"
  ) { bench in
    try longOutage(bench)
    try everySeventh(bench)
    try oneASecond(bench)
  }

  static func ids(in site: Site) -> [String] {
    Files.text("\(site.out)/hostile.txt").split(separator: "\n").map(String.init)
  }

  private static func longOutage(_ bench: Bench) throws {
    let site = try hostileSite("outage", after: "move")
    let mark = "\(site.out)/hostile.txt.away"
    Files.write([], to: mark)
    bench.check(site.service.startReady(), "the daemon does not start", log: site.service.log)
    let seconds = Double(bench.scaled(150, short: 4))
    let start = Bench.seconds()
    var resident = 0
    var slowest = 0.0
    while Bench.seconds() - start < seconds {
      let before = site.rowsInArchive()
      let handed = Bench.seconds()
      site.handOver(10)
      site.service.tend(until: { site.rowsInArchive() >= before + 10 }, within: 20)
      slowest = max(slowest, Bench.seconds() - handed)
      site.service.tend(for: 0.2)
      if resident == 0, Bench.seconds() - start > seconds / 5 { resident = site.service.residentBytes }
    }
    let grown = site.service.residentBytes - resident
    let waiting = site.oracle.count
    bench.check(ids(in: site).isEmpty, "the outage never happened")
    bench.happened()
    bench.check(Files.names(in: site.done).isEmpty, "a file left its inbox before its last sink had it")
    let ledger = ["", "-wal"].reduce(0) { $0 + (Files.read("\(site.state)/ledger.db\($1)")?.count ?? 0) }
    bench.check(ledger < (waiting * 4096) + (24 << 20), "the ledger has \(ledger >> 10) KiB for \(waiting) records")
    bench.check(grown < 16 << 20, "resident memory grew by \(grown >> 10) KiB in the outage")
    unlink(mark)
    let ended = Bench.seconds()
    bench.check(
      site.service.tend(until: { ids(in: site).count >= waiting }, within: 75), "the sink did not catch up in 75 s",
      log: site.service.log)
    let caughtUp = Bench.seconds() - ended
    bench.settle(site, within: 30, "after an outage")
    bench.check(
      Set(ids(in: site)).count == waiting && ids(in: site).count == waiting, "not each id once after an outage")
    bench.check(
      site.service.tend(until: { Files.names(in: site.inbox).isEmpty }, within: 60), "files stayed in their inbox")
    bench.fresh(site, within: 5)
    bench.stop(site, "after an outage")
    let left = Site.number("SELECT count(*) FROM records", in: "\(site.state)/ledger.db") ?? -1
    bench.check(left == 0, "\(left) records stayed in the ledger")
    bench.figure("outage", "\(Int(seconds)) s with \(waiting) results")
    bench.figure("slowest healthy batch of 10 in it", Bench.text(slowest) + " s")
    bench.figure("ledger in it", "\(ledger >> 10) KiB")
    bench.figure("memory grown", "\(grown >> 10) KiB")
    bench.figure("caught up after", Bench.text(caughtUp) + " s")
  }

  private static func everySeventh(_ bench: Bench) throws {
    let site = try hostileSite("seventh")
    bench.check(site.service.startReady(), "the daemon does not start", log: site.service.log)
    site.handOver(bench.scaled(210, short: 30))
    bench.settle(site, within: 60, "every seventh is rejected")
    func deadLetters() -> Int { Site.number("SELECT count(*) FROM dead_letters", in: "\(site.state)/ledger.db") ?? -1 }
    let all = site.oracle.count
    bench.check(
      site.service.tend(until: { ids(in: site).count + deadLetters() == all }, within: 30),
      "\(ids(in: site).count) accepted and \(deadLetters()) dead letters are not \(all) records", log: site.service.log)
    let dead = deadLetters()
    bench.happened(dead)
    // The sink takes everything from now on; what was refused is sent again.
    Files.write([], to: "\(site.out)/hostile.txt.away")
    let told = Bench.shell("'\(Bench.products)/lookout' redrive --config '\(site.service.configuration)' hostile")
    bench.check(told == 0, "lookout redrive ended with \(told)")
    bench.check(
      site.service.tend(until: { ids(in: site).count == all }, within: 30),
      "\(all - ids(in: site).count) dead letters were not delivered again", log: site.service.log)
    bench.check(Set(ids(in: site)).count == all, "an id was delivered twice")
    bench.check(deadLetters() == 0, "\(deadLetters()) dead letters are left")
    bench.figure("dead letters redriven", "\(dead)")
    bench.stop(site, "every seventh")
    bench.blame(site.oracle.violations())
  }

  private static func oneASecond(_ bench: Bench) throws {
    let count = bench.scaled(60, short: 6)
    let site = try hostileSite("slow")
    bench.check(site.service.startReady(), "the daemon does not start", log: site.service.log)
    let start = Bench.seconds()
    site.handOver(count)
    let healthy = bench.settle(site, within: 20, "beside a slow sink")
    bench.check(
      site.service.tend(until: { ids(in: site).count >= count }, within: Double(count) * 4 + 60),
      "the slow sink has \(ids(in: site).count) of \(count)", log: site.service.log)
    bench.check(Set(ids(in: site)).count == count, "the slow sink has not each id once")
    bench.figure("\(count) records at one a second", Bench.text(Bench.seconds() - start) + " s")
    bench.figure("healthy sinks beside it", Bench.text(healthy) + " s")
    bench.happened()
    site.service.killNow()
    bench.blame(site.oracle.violations())
  }
}
