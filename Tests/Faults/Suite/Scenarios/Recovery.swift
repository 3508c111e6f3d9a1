internal import Glibc

extension Scenario {
  /// A start after SIGKILL with a ledger of a million finished arrivals.
  package static let recovery = Scenario("recovery", "Recovery after SIGKILL with a ledger of a million rows") {
    bench in
    let rows = bench.scaled(1_000_000, short: 50_000)
    let site = try Site(after: "delete")
    bench.check(site.service.startReady(), "the daemon does not start", log: site.service.log)
    bench.stop(site, "before the kills")
    try Site.execute(
      """
      BEGIN;
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(rows))
      INSERT INTO arrivals (state, admitted_ns, finished_ns, device, inode, ctime_ns, mtime_ns, size_bytes, id, watch,
        path, sha256)
      SELECT 2, i, 4102444800000000000 + i, 1, i, i, i, 1000, printf('old-%09d', i), 'inbox',
        CAST('\(site.inbox)/old-' || i AS BLOB), printf('%064d', i) FROM n;
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(rows))
      INSERT INTO answers (answered_ns, sha256, model, scores)
      SELECT 4102444800000000000 + i, printf('%064d', i), 'old', zeroblob(200) FROM n;
      COMMIT;
      """, in: "\(site.state)/ledger.db")
    let bytes = Site.number(
      "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()", in: "\(site.state)/ledger.db")
    var slowest = 0.0
    var slowestResult = 0.0
    bench.check(site.service.startReady(within: 30), "the daemon does not start", log: site.service.log)
    for _ in 0..<3 {
      site.handOver(20)
      site.service.tend(until: { site.rowsInArchive() > site.oracle.count - 20 }, within: 30)
      site.service.killNow()
      bench.happened()
      let killed = Bench.seconds()
      bench.check(site.service.startReady(within: 30), "the daemon does not start again", log: site.service.log)
      slowest = max(slowest, Bench.seconds() - killed)
      bench.settle(site, within: 30, "after a kill with \(rows) rows")
      slowestResult = max(slowestResult, Bench.seconds() - killed)
    }
    bench.figure("rows", "\(rows)")
    bench.figure("ledger", "\((bytes ?? 0) >> 20) MiB")
    bench.figure("slowest start to READY", Bench.text(slowest) + " s")
    bench.figure("slowest to all results", Bench.text(slowestResult) + " s")
    bench.check(
      slowest < 2, "READY came \(Bench.text(slowest)) s after the kill, the bar is 2 s", log: site.service.log)
    bench.stop(site)
  }
}
