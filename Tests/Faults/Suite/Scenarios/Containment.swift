internal import Glibc
internal import TestSupport

extension Scenario {
  /// How much a crashing sink slows another, sample by sample beside a service without one.
  package static let containment = Scenario(
    "containment", "A sink that crashes at every write beside healthy ones: what it costs them"
  ) { bench in
    let calm = try Site()
    let struck = try hostileSite("segfault")
    for site in [calm, struck] {
      bench.check(site.service.startReady(), "the daemon does not start", log: site.service.log)
      site.handOver(5)
      bench.settle(site, within: 20, "before measuring")
    }
    var latencies: [[Double]] = [[], []]
    for _ in 0..<bench.scaled(300, short: 10) {
      for (index, site) in [calm, struck].enumerated() { latencies[index].append(latency(of: site)) }
    }
    for site in [calm, struck] { bench.settle(site, within: 30, "after measuring") }
    // The journal tells of the first crash alone, but of each opening after one.
    let crashes = struck.service.lines(containing: "sink hostile is open") - 1
    bench.check(crashes > 0, "the sink never crashed", log: struck.service.log)
    bench.happened(crashes)
    let sorted = latencies.map { $0.sorted() }
    func milliseconds(_ site: Int, _ share: Double) -> Double {
      sorted[site][min(sorted[site].count - 1, Int(Double(sorted[site].count) * share))] * 1000
    }
    for (name, share) in [("median", 0.5), ("p99", 0.99)] {
      bench.figure(
        "\(name) without and with the crashing sink",
        "\(Bench.text(milliseconds(0, share))) and \(Bench.text(milliseconds(1, share))) ms")
    }
    let added = milliseconds(1, 0.99) - milliseconds(0, 0.99)
    bench.figure("added to p99", "\(Bench.text(max(0, added))) ms")
    bench.check(added < 50, "a crashing sink adds \(Bench.text(added)) ms to the p99 of another")
    bench.stop(calm)
    struck.service.isRestarted = false
    struck.service.killNow()
    for site in [calm, struck] { bench.blame(site.oracle.violations()) }
  }

  /// Seconds from handing over one picture until its row is in the CSV file.
  private static func latency(of site: Site) -> Double {
    site.service.tend(for: 0.001)
    let file = "\(site.out)/results.csv"
    let before = size(of: file)
    let start = Bench.seconds()
    site.handOver(1)
    while size(of: file) == before, Bench.seconds() - start < 10 { usleep(200) }
    return Bench.seconds() - start
  }

  private static func size(of path: String) -> Int {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : -1
  }
}
