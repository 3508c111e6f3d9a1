internal import Glibc

extension Scenario {
  /// A group of calls, how a process dies at the n-th of them, and what the daemon does with answered files meanwhile.
  private struct Step {
    let name: String
    let calls: FaultControl.Calls
    let action: FaultControl.Action
    var after = "move"
    /// The folder of the files concerned.
    var folder = ""
    /// Whether answered files move to another file system, by copy, comparison and unlink.
    var isAcross = false
  }

  private static let steps = [
    Step(name: "sync", calls: .sync, action: .kill), Step(name: "rename", calls: .rename, action: .kill),
    Step(name: "after rename", calls: .rename, action: .killHalfDone),
    Step(name: "unlink", calls: .unlink, action: .kill, after: "delete"),
    Step(name: "after unlink", calls: .unlink, action: .killHalfDone, after: "delete"),
    Step(name: "truncate", calls: .truncate, action: .kill),
    Step(name: "write", calls: .write, action: .kill), Step(name: "half a write", calls: .write, action: .killHalfDone),
    Step(name: "half a copy", calls: .write, action: .killHalfDone, folder: "/done/", isAcross: true),
    Step(name: "sync of a copy", calls: .sync, action: .kill, folder: "/done/", isAcross: true),
    Step(name: "rename of a copy", calls: .rename, action: .kill, folder: "/done/", isAcross: true),
    Step(name: "unlink of the copied", calls: .unlink, action: .kill, folder: "/inbox/", isAcross: true),
  ]

  /// The daemon, then a sink host, dies at the n-th step of a kind, for every n that there is.
  package static let durableSteps = Scenario(
    "steps", "Death at every sync, rename, unlink, truncation and write", isInShortSelection: true
  ) { bench in
    for program in ["lookoutd", "lookout-sink-host"] {
      for step in steps where !step.isAcross || (program == "lookoutd" && bench.scale == .full && geteuid() == 0) {
        let deaths = try everyDeath(at: step, of: program, bench)
        bench.say("\(program) died at each of \(deaths) \(step.name) steps")
        if deaths > 0 { bench.figure("\(program == "lookoutd" ? "daemon" : "sink host") \(step.name)", "\(deaths)") }
        bench.happened(deaths)
      }
    }
  }

  /// How many deaths there were until a run had fewer steps than the next number.
  private static func everyDeath(at step: Step, of program: String, _ bench: Bench) throws -> Int {
    var deaths = 0
    // A short run takes every 23rd step, beginning anywhere.
    let stride = UInt64(bench.scaled(1, short: 41))
    var number = stride == 1 ? 1 : UInt64.random(in: 1...3)
    while true {
      let site = try Site(after: step.after)
      if step.isAcross { try Bench.mustRun("mount -t tmpfs -o size=16m none \(site.done)") }
      defer { if step.isAcross { Bench.shell("umount -l \(site.done)") } }
      site.watches[0].settleMilliseconds = 20
      site.watches[0].retryAttempts = 0
      site.configure()
      site.control.arm(
        step.calls, step.action, first: number, last: number, program: program,
        path: step.folder.isEmpty ? "\(site.root)/" : "\(site.root)\(step.folder)")
      site.service.start()
      site.handOver(3)
      site.handOverCutShort()
      bench.settle(site, within: 60, "\(program) dies at \(step.name) \(number)")
      let isLast = site.control.struck == 0
      bench.stop(site, "\(program) dies at \(step.name) \(number)")
      bench.blame(site.oracle.violations().map { "\(program) dies at \(step.name) \(number), after the stop: \($0)" })
      if isLast { return deaths }
      deaths += 1
      number += stride
    }
  }

  /// SIGKILL at random moments, to the daemon or to one of its sink hosts, while pictures arrive.
  package static let randomKills = Scenario(
    "kills", "SIGKILL at random moments under load", isInShortSelection: true
  ) { bench in
    let kills = bench.scaled(500, short: 12)
    let site = try Site(after: "move")
    var atWork = 0
    var hosts = 0
    site.service.start()
    while atWork < kills {
      site.handOver(Int.random(in: 2...10))
      site.service.tend(for: Double.random(in: 0.02...0.35))
      let missing = site.oracle.required - site.rowsInArchive()
      let victims = site.service.sinkHosts
      if Int.random(in: 0..<4) == 0, let victim = victims.randomElement() {
        kill(victim, SIGKILL)
        hosts += 1
      } else {
        site.service.killNow()
        site.service.start()
      }
      if missing > 0 { atWork += 1 }
      if atWork % 100 == 99 { bench.say("\(atWork + 1) kills amid the work") }
    }
    let seconds = bench.settle(site, within: 120, "after \(kills) kills")
    bench.happened(atWork)
    bench.figure("pictures", "\(site.oracle.count)")
    bench.figure("kills amid the work", "\(atWork)")
    bench.figure("of sink hosts", "\(hosts)")
    bench.figure("all settled after", Bench.text(seconds) + " s")
    bench.fresh(site, within: 5)
    bench.stop(site)
    bench.blame(site.oracle.violations())
  }
}
