internal import Glibc
internal import Platform
internal import TestSupport

extension Scenario {
  /// A folder of the daemon and what stands in its way.
  private struct Obstacle {
    let name: String
    /// Makes a site whose folder lies on a file system that can fail.
    let prepare: @Sendable (_ folder: String) throws -> Void
    /// Begins the fault; gives a check that it is really there.
    let begin: @Sendable (_ site: Site, _ folder: String) throws -> Void
    let end: @Sendable (_ site: Site, _ folder: String) throws -> Void
    /// How often the fault was met, asked before it ends.
    let met: @Sendable (_ site: Site, _ folder: String) -> Int
  }

  private static let obstacles = [
    Obstacle(
      name: "full",
      prepare: { try Bench.mustRun("mount -t tmpfs -o size=6m,mode=777 none '\($0)'") },
      begin: { _, folder in Bench.shell("dd if=/dev/zero of='\(folder)/.filler' bs=4k count=4000") },
      end: { _, folder in unlink("\(folder)/.filler") },
      met: { _, folder in Int(freeBytes(folder) < 4096 ? 1 : 0) }),
    Obstacle(
      name: "over quota",
      prepare: { folder in
        let image = "\(folder).btrfs"
        guard Bench.shell("command -v mkfs.btrfs") == 0 else {
          throw Impossible("a quota needs btrfs-progs (this kernel has no quota format for ext4, XFS or tmpfs)")
        }
        try Bench.mustRun(
          "truncate -s 160m '\(image)' && mkfs.btrfs -q '\(image)' && mount -o loop '\(image)' '\(folder)' "
            + "&& btrfs quota enable '\(folder)' && btrfs subvolume create '\(folder)/sub' && btrfs qgroup limit 6M "
            + "'\(folder)/sub' && mount --bind '\(folder)/sub' '\(folder)' && chmod 777 '\(folder)'")
      },
      begin: { _, folder in
        // The file system reserves more than it needs; what a sync gives back is filled again.
        Bench.shell(
          "for i in 1 2 3 4 5 6; do dd if=/dev/zero of='\(folder)/.filler'$i bs=4k count=4000; sync -f '\(folder)'; done"
        )
      },
      end: { _, folder in Bench.shell("rm -f '\(folder)'/.filler*; sync -f '\(folder)'") },
      met: { _, folder in
        Bench.shell(
          "dd if=/dev/zero of='\(folder)/.probe' bs=64k count=8 conv=fsync; s=$?; rm -f '\(folder)/.probe'; exit $s")
          != 0
          ? 1 : 0
      }),
    Obstacle(
      name: "read-only", prepare: { _ in },
      begin: { site, folder in
        site.control.arm([.write, .rename, .unlink, .truncate, .sync], .fail(errno: EROFS), path: "\(folder)/")
      },
      end: { site, _ in site.control.disarm() }, met: { site, _ in site.control.struck }),
    Obstacle(
      name: "I/O errors", prepare: { _ in },
      begin: { site, folder in
        let reads: FaultControl.Calls = folder == site.inbox ? [.read] : []
        site.control.arm([.write, .rename, .unlink, .truncate, .sync, reads], .fail(errno: EIO), path: "\(folder)/")
      },
      end: { site, _ in site.control.disarm() }, met: { site, _ in site.control.struck }),
    Obstacle(
      name: "fsync errors", prepare: { _ in },
      begin: { site, folder in site.control.arm(.sync, .fail(errno: EIO), path: folder) },
      end: { site, _ in site.control.disarm() }, met: { site, _ in site.control.struck }),
    Obstacle(
      name: "remounted read-only",
      prepare: { try Bench.mustRun("mount -t tmpfs -o size=6m,mode=777 none '\($0)'") },
      begin: { _, folder in try Bench.mustRun("mount -o remount,ro '\(folder)'") },
      end: { _, folder in try Bench.mustRun("mount -o remount,rw '\(folder)'") },
      met: { _, folder in access(folder, W_OK) != 0 && errno == EROFS ? 1 : 0 }),
  ]

  private static func freeBytes(_ folder: String) -> UInt64 {
    var status = statvfs()
    return statvfs(folder, &status) == 0 ? UInt64(status.f_bavail) * UInt64(status.f_frsize) : .max
  }

  /// Each folder of the daemon meets each obstacle for some seconds.
  package static let disks = Scenario(
    "disks", "Disk full, quota, read-only, I/O errors: results, state, inbox, quarantine", needsRoot: true
  ) { bench in
    var impossible: Set<String> = []
    var slowest = 0.0
    for part in ["out", "state", "inbox", "quarantine", "done"] {
      for obstacle in obstacles {
        // A file system with a file open for writing refuses to become read-only.
        if obstacle.name == "remounted read-only", ["out", "state"].contains(part) { continue }
        do {
          slowest = max(slowest, try meet(obstacle, at: part, bench))
        } catch let error as Impossible {
          if impossible.insert(error.description).inserted { bench.say("not possible: \(error)") }
        }
      }
    }
    bench.figure("slowest recovery", Bench.text(slowest) + " s")
    try stopWhileNothingCanLeave(bench)
    for reason in impossible { bench.figure("not possible", reason) }
  }

  private static func meet(_ obstacle: Obstacle, at part: String, _ bench: Bench) throws -> Double {
    let site = try Site(after: "move")
    let folder = "\(site.root)/\(part)"
    defer {
      site.service.killNow()
      Bench.shell("umount -l '\(folder)'; umount -l '\(folder)'")
    }
    try obstacle.prepare(folder)
    site.watches[0].settleMilliseconds = 50
    site.watches[0].retryAttempts = 0
    site.configure()
    bench.check(site.service.startReady(), "the daemon does not start", log: site.service.log)
    site.handOver(3)
    site.handOverCutShort()
    bench.settle(site, within: 20, "before \(part) is \(obstacle.name)")
    let what = "\(part) \(obstacle.name)"
    // Before the daemon goes on: the first file that leaves may end what was begun.
    var metAtOnce = 0
    if part == "inbox" {
      // What is to be worked on must be there before, or could not come.
      site.service.signal(SIGSTOP)
      site.handOver(4)
      site.handOverCutShort()
      try obstacle.begin(site, folder)
      metAtOnce = obstacle.met(site, folder)
      site.service.signal(SIGCONT)
    } else {
      try obstacle.begin(site, folder)
      site.handOver(4)
      site.handOverCutShort()
    }
    metAtOnce = max(metAtOnce, obstacle.met(site, folder))
    site.service.tend(for: 2)
    let met = max(metAtOnce, obstacle.met(site, folder))
    let deaths = site.service.deaths
    bench.check(met > 0, "\(what): the fault never happened")
    bench.happened(met > 0 ? 1 : 0)
    bench.check(deaths == 0, "\(what): the daemon died by \(site.service.lastDeath)", log: site.service.log)
    let ended = Bench.seconds()
    try obstacle.end(site, folder)
    // A sink's back-off and the pause between tries of the disposer are the bound.
    bench.settle(site, within: 10, "after \(what)")
    site.handOver(2)
    bench.settle(site, within: 5, "fresh pictures after \(what)")
    let took = Bench.seconds() - ended
    bench.say("\(what): recovered in \(Bench.text(took)) s")
    bench.stop(site, what)
    bench.blame(site.oracle.violations().map { "\(what), after the stop: \($0)" })
    return took
  }

  /// A stop does not wait for files that cannot leave their folder.
  private static func stopWhileNothingCanLeave(_ bench: Bench) throws {
    let site = try Site(after: "move")
    site.watches[0].settleMilliseconds = 20
    site.watches[0].retryAttempts = 0
    site.configure()
    bench.check(site.service.startReady(), "the daemon does not start", log: site.service.log)
    // Slow and in vain, so that the first files are due again before the last was tried.
    site.control.arm([.rename], .fail(errno: EACCES), path: "\(site.inbox)/")
    site.handOver(300)
    site.service.tend(until: { site.rowsInArchive() >= 300 }, within: 60)
    let start = Bench.seconds()
    let end = site.service.stop(within: 80)
    let took = Bench.seconds() - start
    bench.check(site.control.struck > 0, "nothing was kept from leaving")
    bench.happened(site.control.struck > 0 ? 1 : 0)
    bench.check(end == 0, "the stop ended with \(end ?? -1) while nothing could leave", log: site.service.log)
    bench.figure("stop while 300 files cannot leave", Bench.text(took) + " s")
    site.control.disarm()
    bench.check(site.service.startReady(), "the daemon does not start again", log: site.service.log)
    bench.settle(site, within: 60, "after files could not leave")
    bench.check(
      site.service.tend(until: { Files.names(in: site.inbox).isEmpty }, within: 70), "files stayed in their inbox")
    bench.stop(site, "after files could not leave")
    bench.blame(site.oracle.violations())
  }
}
