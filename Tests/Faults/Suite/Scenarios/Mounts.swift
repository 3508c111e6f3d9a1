internal import Glibc
internal import Platform
internal import TestSupport

extension Scenario {
  /// Watches and descriptors run out, and come back.
  package static let limits = Scenario("limits", "Watches and descriptors run out", needsRoot: true) { bench in
    try fewWatches(bench)
    try fewDescriptors(bench)
  }

  private static func fewWatches(_ bench: Bench) throws {
    let site = try Site()
    // The limit belongs to a user namespace, so that nobody else on the machine meets it.
    let allowed = 12
    site.service.prefix = [
      "unshare", "--user", "--map-root-user", "sh", "-c",
      "echo \(allowed) > /proc/sys/user/max_inotify_watches && exec \"$@\"", "sh",
    ]
    for index in 0..<20 { Scenario.makeFolders("\(site.inbox)/before-\(index)") }
    bench.check(site.service.startReady(), "the daemon does not start", log: site.service.log)
    for index in 0..<20 { Scenario.makeFolders("\(site.inbox)/after-\(index)") }
    for name in Files.names(in: site.inbox) { site.handOver(2, into: "\(site.inbox)/\(name)") }
    let took = bench.settle(site, within: 30, "with \(allowed) watches for 41 folders")
    let refused = site.service.lines(containing: "no events for")
    bench.check(refused > 0, "the limit was never met", log: site.service.log)
    bench.happened(refused)
    bench.figure("\(allowed) watches for 41 folders: settled after", Bench.text(took) + " s")
    bench.fresh(site, within: 5)
    bench.stop(site, "few watches")
    bench.blame(site.oracle.violations())
  }

  private static func fewDescriptors(_ bench: Bench) throws {
    let site = try Site(after: "move")
    bench.check(site.service.startReady(), "the daemon does not start", log: site.service.log)
    site.handOver(3)
    bench.settle(site, within: 20, "before descriptors run out")
    // The lowest of some looks, as a file may just be open for a moment.
    var free = Int.max
    for _ in 0..<20 {
      let open = Set(Files.names(in: "/proc/\(site.service.process)/fd").compactMap { Int($0) })
      free = min(free, (0...open.count).first { !open.contains($0) } ?? open.count)
      site.service.tend(for: 0.05)
    }
    try Bench.mustRun("prlimit --pid \(site.service.process) --nofile=\(free):4096")
    site.handOver(12)
    // A file that cannot be looked at is waited for like an unfinished one, and then read.
    func met() -> Int { site.service.lines(containing: "Too many open files") }
    _ = site.service.tend(until: { met() > 0 }, within: 30)
    site.service.tend(for: 3)
    let soft = Bench.shell("prlimit --pid \(site.service.process) --nofile=4096:4096")
    bench.check(soft == 0, "the limit was not raised again")
    let took = bench.settle(site, within: 20, "after descriptors ran out")
    bench.happened(met())
    bench.check(met() > 0, "descriptors never ran out", log: site.service.log)
    bench.check(site.service.deaths == 0, "the daemon died without descriptors", log: site.service.log)
    bench.figure("descriptors came back: settled after", Bench.text(took) + " s")
    bench.fresh(site, within: 5)
    bench.stop(site, "few descriptors")
    bench.blame(site.oracle.violations())
  }

  /// The inbox goes away in every way, and comes back.
  package static let inboxGone = Scenario(
    "inbox", "The inbox unmounted, replaced, renamed, chmod 000, and back", needsRoot: true
  ) { bench in
    let site = try Site()
    Bench.shell("chown -R 65534:65534 '\(site.root)'; chown 65534 '\(site.base)'")
    // Not root, whom no rights stop.
    site.service.prefix = [
      "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all",
    ]
    let inbox = site.inbox
    bench.check(site.service.startReady(), "the daemon does not start", log: site.service.log)
    site.handOver(3)
    bench.settle(site, within: 20, "before the inbox goes")
    var slowest = 0.0
    func stage(_ name: String, _ body: () throws -> Void) throws {
      try body()
      bench.happened()
      let start = Bench.seconds()
      site.handOver(3)
      bench.settle(site, within: 5, name)
      slowest = max(slowest, Bench.seconds() - start)
      bench.say("\(name): answered after \(Bench.text(Bench.seconds() - start)) s")
    }
    try stage("a file system is mounted over the inbox") {
      for path in site.oracle.all { site.oracle.excuse(path.digest, at: path.path) }
      try Bench.mustRun("mount -t tmpfs -o size=8m,mode=777 none '\(inbox)'")
    }
    try stage("it is unmounted, with files in it") {
      for obligation in site.oracle.all { site.oracle.excuse(obligation.digest, at: obligation.path) }
      try Bench.mustRun("umount -l '\(inbox)'")
    }
    try stage("the inbox is replaced by another folder") {
      for obligation in site.oracle.all { site.oracle.excuse(obligation.digest, at: obligation.path) }
      rename(inbox, "\(inbox).old")
      mkdir(inbox, 0o777)
      chmod(inbox, 0o777)
    }
    try stage("the inbox is away for three seconds") {
      rename(inbox, "\(inbox).away")
      site.service.tend(for: 3)
      rename("\(inbox).away", inbox)
    }
    try stage("the inbox is chmod 000 for three seconds") {
      site.handOver(2)
      chmod(inbox, 0)
      site.service.tend(for: 3)
      chmod(inbox, 0o777)
    }
    bench.check(site.service.deaths == 0, "the daemon died by \(site.service.lastDeath)", log: site.service.log)
    bench.figure("slowest fresh result", Bench.text(slowest) + " s")
    bench.stop(site)
    bench.blame(site.oracle.violations())
  }

  /// A file system that tells nothing, and one that hangs.
  package static let strangers = Scenario(
    "strangers", "A file system without events, and one that hangs: other folders and the watchdog unharmed",
    needsRoot: true
  ) { bench in
    guard Bench.shell("command -v bindfs") == 0, access("/dev/fuse", F_OK) == 0 else {
      throw Impossible("bindfs or /dev/fuse is missing")
    }
    let site = try Site()
    let (source, mount) = ("\(site.root)/remote-source", "\(site.root)/remote")
    for folder in [source, mount] { mkdir(folder, 0o777) }
    let server = Program.start(
      ["bindfs", "-f", source, mount], environment: ["PATH=/usr/bin:/bin:/usr/sbin:/sbin"],
      log: "\(site.base)/bindfs.log")
    defer {
      kill(server, SIGCONT)
      Bench.shell("umount -l '\(mount)'")
      kill(server, SIGKILL)
      var status: Int32 = 0
      waitpid(server, &status, 0)
    }
    site.service.tend(until: { Bench.shell("mountpoint -q '\(mount)'") == 0 }, within: 10)
    var remote = site.watches[0]
    remote.name = "remote"
    remote.path = mount
    site.watches.append(remote)
    site.stopTimeoutSeconds = 2
    site.configure()
    site.service.watchdogSeconds = 4
    site.service.isRestarted = false
    bench.check(site.service.startReady(), "the daemon does not start", log: site.service.log)
    // No event comes of what is written behind the mount.
    for _ in 0..<5 {
      let file = site.picture()
      Site.writeDurably(file.bytes, to: "\(source)/\(file.number)\(file.suffix)")
      site.oracle.expect(file, at: Array("\(mount)/\(file.number)\(file.suffix)".utf8))
      bench.happened()
    }
    let silent = bench.settle(site, within: 10, "a file system without events")
    bench.figure("without events: answered after", Bench.text(silent) + " s")
    // Files wait there while it hangs.
    kill(server, SIGSTOP)
    for _ in 0..<8 {
      let file = site.picture()
      Site.writeDurably(file.bytes, to: "\(source)/\(file.number)\(file.suffix)")
    }
    site.service.tend(for: 3)
    let hung = Bench.seconds()
    var slowest = 0.0
    while Bench.seconds() - hung < Double(bench.scaled(20, short: 6)) {
      let start = Bench.seconds()
      let before = site.rowsInArchive()
      site.handOver(2)
      guard site.service.tend(until: { site.rowsInArchive() >= before + 2 }, within: 15) else {
        bench.blame(["the local folder stands still while another file system hangs"], log: site.service.log)
        break
      }
      slowest = max(slowest, Bench.seconds() - start)
      site.service.tend(for: 0.5)
    }
    bench.check(site.service.watchdogAborts == 0, "the watchdog ended a service that only waits for a file system")
    bench.figure("slowest local result while another hangs", Bench.text(slowest) + " s")
    reloadWhileOneHangs(site, bench)
    kill(server, SIGCONT)
    for name in Files.names(in: source) {
      guard let bytes = Files.read("\(source)/\(name)") else { continue }
      let number = Int(name.split(separator: ".").first ?? "") ?? -1
      let file = NumberPicture.File(number: number, bytes: bytes, suffix: "")
      if !site.oracle.all.contains(where: { $0.digest == file.digest }) {
        site.oracle.expect(file, at: Array("\(mount)/\(name)".utf8))
      }
    }
    bench.settle(site, within: 60, "after the file system answers again")
    bench.fresh(site, within: 5)
    bench.stop(site)
    bench.blame(site.oracle.violations())
  }

  /// A reload cannot end the stage that waits for the file system: the service starts anew, and other folders go on.
  private static func reloadWhileOneHangs(_ site: Site, _ bench: Bench) {
    site.service.isRestarted = true
    site.watches[0].settleMilliseconds += 50
    site.configure()
    let start = Bench.seconds()
    site.service.signal(SIGHUP)
    bench.check(
      site.service.tend(until: { site.service.deaths > 0 && site.service.isReady }, within: 60),
      "no other daemon after a reload that cannot end", log: site.service.log)
    bench.check(site.service.lastDeath == 75, "the reload ended the daemon with \(site.service.lastDeath)")
    bench.figure("reload while another hangs: ready anew after", Bench.text(Bench.seconds() - start) + " s")
    let before = site.rowsInArchive()
    site.handOver(2)
    bench.check(
      site.service.tend(until: { site.rowsInArchive() >= before + 2 }, within: 15),
      "the local folder stands still after a reload while another file system hangs", log: site.service.log)
    site.service.isRestarted = false
  }
}
