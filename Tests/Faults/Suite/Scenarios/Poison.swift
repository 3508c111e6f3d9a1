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
    bench.fresh(site, within: 5)
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
    bench.fresh(site, within: 5)
    bench.stop(site, "loop")
    bench.blame(site.oracle.violations())
  }
}
