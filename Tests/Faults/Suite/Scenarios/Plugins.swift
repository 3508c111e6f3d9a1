internal import Glibc
internal import TestSupport

extension Scenario {
  /// What the hostile sink does, as the name of its file.
  private static let hostileModes = [
    "segfault", "abort", "exit", "hang", "abi", "short", "null", "constructor", "verdicts", "status", "position",
    "leak",
    "slow-open", "exit-open", "keeps", "crash-close", "symbol",
  ]

  /// One sink breaks every rule; the others must not notice.
  package static let hostilePlugins = Scenario(
    "plugins", "Hostile plugins: crash, abort, exit, hang, wrong ABI, garbage, leak, slow open, kept pointers"
  ) { bench in
    var worst = 0.0
    for mode in hostileModes {
      let site = try hostileSite(mode)
      site.service.start()
      // A plugin that does not open must not keep the service from starting for longer than its patience.
      let isReady = site.service.tend(until: { site.service.isReady }, within: 60)
      guard isReady else {
        bench.blame(["\(mode): the service does not come up"], log: site.service.log)
        continue
      }
      var latencies: [Double] = []
      for _ in 0..<bench.scaled(30, short: 5) {
        let start = Bench.seconds()
        let before = site.rowsInArchive()
        site.handOver(1)
        site.service.tend(until: { site.rowsInArchive() > before }, within: 20)
        latencies.append(Bench.seconds() - start)
      }
      bench.settle(site, within: 20, "\(mode): healthy sinks")
      let harm = harm(mode, in: site, bench)
      bench.check(harm > 0, "\(mode): the plugin never did harm", log: site.service.log)
      bench.happened(harm)
      bench.check(site.service.deaths == 0, "\(mode): the daemon died", log: site.service.log)
      latencies.sort()
      worst = max(worst, latencies[latencies.count * 9 / 10])
      bench.say("\(mode): 9 of 10 results within \(Bench.text(latencies[latencies.count * 9 / 10] * 1000)) ms")
      site.service.isRestarted = false
      site.service.killNow()
      bench.blame(site.oracle.violations().map { "\(mode): \($0)" })
    }
    bench.figure("slowest 9th of 10 results beside a hostile sink", Bench.text(worst * 1000) + " ms")
  }

  /// How often the plugin was seen to break its rule.
  private static func harm(_ mode: String, in site: Site, _ bench: Bench) -> Int {
    switch mode {
    case "leak":
      // A host that keeps 64 MiB of each call, or was ended for it.
      let sizes = site.service.sinkHosts.map { Files.text("/proc/\($0)/statm").split(separator: " ") }
      let largest = sizes.compactMap { $0.count > 1 ? Int($0[1]) : nil }.max() ?? 0
      return largest * 4096 / (64 << 20) + site.service.lines(containing: "was killed by signal")
    case "keeps":
      // Each call after the first reads what the one before it kept.
      return max(0, ids(in: site).count - 1)
    case "crash-close":
      bench.stop(site, mode)
      return site.service.lines(containing: "was killed by signal")
    default:
      return site.service.lines(containing: "sink hostile is out of service")
        + site.service.lines(containing: "was killed by signal") + (ids(in: site).isEmpty ? 1 : 0)
    }
  }

  /// A site with a fourth sink that is hostile.
  static func hostileSite(_ mode: String, after: String = "keep") throws -> Site {
    let site = try Site(after: after)
    let plugin = mode == "symbol" ? "faults-hooks" : "faults-hostile-sink"
    Files.write(
      Files.read("\(Bench.products)/liblookout-\(plugin).so") ?? [],
      to: "\(site.base)/plugins/lookout-sink-\(mode).so")
    site.sinks.append(Site.Sink(name: "hostile", plugin: mode, path: "\(site.out)/hostile.txt"))
    site.watches[0].sinks.append("hostile")
    site.configure()
    return site
  }
}
