internal import Glibc
internal import TestSupport

extension Scenario {
  /// Many reloads, overlapping, some of them wrong, and model files that come in every bad way.
  package static let reloads = Scenario(
    "reloads",
    "200 reloads, overlapping, invalid files among them; models copied slowly, truncated, swapped in mid-batch"
  ) { bench in
    let site = try Site()
    var sound: [(path: String, tag: String)] = []
    for tag in ["a", "b", "c", "d", "e"] {
      let path = "\(site.base)/\(tag).swiftweights"
      site.oracle.models[try NumberModel.write(to: path, tag: tag)] = tag
      sound.append((path, tag))
    }
    bench.check(site.service.startReady(), "the daemon does not start", log: site.service.log)
    // The ledger's page cache fills before anything is measured.
    site.handOver(bench.scaled(3000, short: 20))
    bench.settle(site, within: Double(bench.scaled(200, short: 20)), "before the reloads")
    let count = bench.scaled(200, short: 10)
    var early = 0
    var refused = 0
    for round in 0..<count {
      site.handOver(2)
      let model = sound[Int.random(in: 0..<sound.count)]
      switch round % 8 {
      case 0:
        // Another model by rename, noticed by the reload.
        Bench.shell("cp '\(model.path)' '\(site.modelFile).new' && mv '\(site.modelFile).new' '\(site.modelFile)'")
      case 1:
        // Truncated, then whole again before the next round.
        let bytes = Files.read(model.path) ?? []
        Files.write(Array(bytes.prefix(bytes.count / 2)), to: site.modelFile)
        refused += 1
      case 2:
        // Copied over the old one in place and slowly, while pictures are answered.
        Bench.shell("pv -q -L 2m '\(model.path)' > '\(site.modelFile)'")
      case 3:
        site.configure(adding: "[nonsense]\nkey = 1\n")
        refused += 1
      case 4: site.watches[0].settleMilliseconds = 50 + round
      case 5: site.maxBatch = 1 + round % 8
      default: break
      }
      if round % 8 != 3 { site.configure() }
      // Signals overlap: a second one comes while the first is at work.
      site.service.signal(SIGHUP)
      if round % 3 == 0 { site.service.signal(SIGHUP) }
      site.handOver(1)
      if round % 2 == 0 { _ = site.service.reload() } else { site.service.tend(for: Double.random(in: 0...0.1)) }
      if round == count / 4 { early = site.service.residentBytes }
      bench.happened()
    }
    Bench.shell("cp '\(sound[0].path)' '\(site.modelFile).new' && mv '\(site.modelFile).new' '\(site.modelFile)'")
    site.configure()
    bench.check(site.service.reload(), "the last reload is not answered", log: site.service.log)
    bench.fresh(site, within: 10)
    bench.settle(site, within: 60, "after \(count) reloads")
    let late = site.service.residentBytes
    bench.check(
      site.service.deaths == 0, "the daemon died in a reload by \(site.service.lastDeath)", log: site.service.log)
    bench.figure("reloads", "\(count), \(refused) of them wrong")
    bench.figure("resident after a quarter", "\(early >> 10) KiB")
    bench.figure("at the end", "\(late >> 10) KiB")
    let growth = Double(late - early) / Double(max(1, early)) * 100
    bench.figure("growth", "\(Bench.text(growth)) %")
    if bench.scale == .full { bench.check(growth < 5, "resident memory grew by \(Bench.text(growth)) %") }
    bench.stop(site)
    bench.blame(site.oracle.violations())
  }
}
