internal import Glibc
internal import TestSupport

extension Scenario {
  /// The watchdog and a stage that is slow, then the real systemd in a booted root.
  package static let manager = Scenario(
    "manager", "The manager's contract: watchdog, stop amid 100,000 files, 100 restarts, memory squeeze, journal away",
    needsRoot: true
  ) { bench in
    try slowDisk(bench)
    squeeze(try Site(after: "move"), bench)
    try realManager(bench)
  }

  /// Each sync takes a second and a half: the watchdog must not fire.
  private static func slowDisk(_ bench: Bench) throws {
    let site = try Site(after: "move")
    site.service.watchdogSeconds = 4
    bench.check(site.service.startReady(), "the daemon does not start", log: site.service.log)
    site.control.arm(.sync, .delay(milliseconds: 1500), path: "\(site.root)/")
    site.handOver(12)
    site.service.tend(for: Double(bench.scaled(25, short: 3)))
    bench.happened(site.control.struck)
    bench.figure("slow syncs", "\(site.control.struck)")
    site.control.disarm()
    bench.check(site.service.watchdogAborts == 0, "the watchdog fired on a slow disk", log: site.service.log)
    bench.settle(site, within: 60, "after a slow disk")
    bench.stop(site, "slow disk")
    bench.blame(site.oracle.violations())
  }

  /// Too little memory for some seconds: the kernel kills, the manager starts again, nothing is lost.
  private static func squeeze(_ site: Site, _ bench: Bench) {
    let isOld = access("/sys/fs/cgroup/memory", F_OK) == 0
    let group = (isOld ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup") + "/lookout-faults-\(getpid())"
    let limit = isOld ? "\(group)/memory.limit_in_bytes" : "\(group)/memory.max"
    defer {
      site.service.killNow()
      for _ in 0..<100 where rmdir(group) != 0 { usleep(50_000) }
    }
    guard mkdir(group, 0o755) == 0, access(limit, W_OK) == 0 else {
      return bench.figure("memory squeeze", "not possible on this machine: no memory controller for \(group)")
    }
    site.service.prefix = ["sh", "-c", "echo $$ > '\(group)/cgroup.procs' && exec \"$@\"", "sh"]
    bench.check(site.service.startReady(), "the daemon does not start", log: site.service.log)
    site.handOver(20)
    bench.settle(site, within: 20, "before memory is short")
    site.service.killNow()
    var megabytes = 24
    Bench.shell("echo \(megabytes)M > '\(limit)'")
    site.service.start()
    for _ in 0..<bench.scaled(16, short: 6) {
      if site.service.deaths == 0 {
        // How much it needs depends on the build and the machine. A limit below what a process holds is refused, so that
        // it must start under it.
        site.service.killNow()
        megabytes = max(4, megabytes - 3)
        Bench.shell("echo \(megabytes)M > '\(limit)'")
        site.service.start()
      }
      site.handOver(3)
      site.service.tend(for: 0.5)
    }
    let kills = site.service.deaths
    Bench.shell("echo \(isOld ? "-1" : "max") > '\(limit)'")
    bench.happened(kills)
    bench.figure("killed for lack of memory", "\(kills) times below \(megabytes) MiB")
    bench.check(kills > 0, "memory was never short")
    bench.settle(site, within: 60, "after memory was short")
    bench.stop(site, "memory squeeze")
    bench.blame(site.oracle.violations())
  }

  /// Where the Debian root is made and kept.
  private static let rootFolder = "/var/tmp/lookout-faults-root"

  private static func realManager(_ bench: Bench) throws {
    for tool in ["debootstrap", "systemd-nspawn"] where Bench.shell("command -v \(tool)") != 0 {
      throw Impossible("\(tool) is missing: apt-get install debootstrap systemd-container")
    }
    let root = rootFolder
    if !Files.exists("\(root)/usr/bin/bc") {
      bench.say("making a Debian root in \(root)")
      try Bench.mustRun(
        "rm -rf '\(root)' && debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,libopenblas0-pthread,"
          + "libjpeg62-turbo,libpng16-16,libsqlite3-0,libssl3,libsystemd0,libcurl4,libmicrohttpd12,sqlite3,procps,bc bookworm '\(root)'"
      )
    }
    try Bench.mustRun(
      "cd '\(Bench.repository)' && rm -rf '\(root)/etc/lookout' '\(root)/var/lib/lookout' '\(root)/srv/lookout' "
        + "'\(root)/transcript' && PREFIX=/usr DESTDIR='\(root)' scripts/install.sh && "
        + "install -m 755 Tests/Faults/manager.sh '\(root)/usr/local/sbin/try-faults'")
    Scenario.makeFolders("\(root)/var/lib/lookout/results")
    Scenario.makeFolders("\(root)/srv/lookout/inbox")
    Scenario.makeFolders("\(root)/etc/lookout")
    let model = "/var/lib/lookout/number.swiftweights"
    let oracle = Oracle(sinks: [
      SinkOutput(name: "table", form: .csv, path: "\(root)/var/lib/lookout/results/results.csv"),
      SinkOutput(name: "lines", form: .json, path: "\(root)/var/lib/lookout/results/results.jsonl"),
      SinkOutput(name: "archive", form: .sqlite, path: "\(root)/var/lib/lookout/results/results.db"),
    ])
    oracle.models[try NumberModel.write(to: "\(root)\(model)", tag: "a")] = "a"
    oracle.quarantines = ["\(root)/var/lib/lookout/quarantine/inbox"]
    writeConfiguration(in: root, model: model)
    let backlog = bench.scaled(100_000, short: 500)
    let restarts = bench.scaled(100, short: 5)
    for number in 1...backlog {
      let file = NumberPicture.make(number, .png, width: 48, height: 32)
      let path = "/srv/lookout/inbox/\(number % 100)/\(number).png"
      mkdir("\(root)/srv/lookout/inbox/\(number % 100)", 0o777)
      Files.write(file.bytes, to: "\(root)\(path)")
      oracle.expect(file, at: Array(path.utf8))
    }
    for number in 0..<300 {
      let bytes = Array("no picture \(number)\n".utf8)
      oracle.expect(
        NumberPicture.File(number: number, bytes: bytes, suffix: ".jpg"),
        at: Array("/srv/lookout/inbox/bad/\(number).jpg".utf8), fate: .refused)
    }
    bench.say("a backlog of \(backlog) files; booting")
    try boot(root, command: "/usr/local/sbin/try-faults \(backlog) \(restarts)")
    let transcript = Files.text("\(root)/transcript")
    for line in transcript.split(separator: "\n") {
      if line.hasPrefix("figure "), let equals = line.firstRange(of: " = ") {
        bench.figure(String(line[..<equals.lowerBound].dropFirst(7)), String(line[equals.upperBound...]))
      } else if line.hasPrefix("fault "), let count = Int(line.dropFirst(6)) {
        bench.happened(count)
      } else if line.hasPrefix("NOT OK") {
        bench.blame([String(line)])
      }
    }
    bench.check(
      transcript.hasSuffix("done\n"), "the run inside the root did not come to its end: \(transcript.suffix(300))")
    oracle.folderPrefix = Array(root.utf8)
    bench.blame(oracle.violations())
  }

  private static func writeConfiguration(in root: String, model: String) {
    Files.write(
      Array(
        """
        [models.default]
        file = "\(model)"
        top_k = \(NumberPicture.digits)
        [watches.inbox]
        path = "/srv/lookout/inbox"
        sinks = ["table", "lines", "archive"]
        settle_ms = 200
        retry_attempts = 0
        [sinks.table]
        plugin = "csv"
        top_k = \(NumberPicture.digits)
        path = "/var/lib/lookout/results/results.csv"
        [sinks.lines]
        plugin = "json"
        top_k = \(NumberPicture.digits)
        path = "/var/lib/lookout/results/results.jsonl"
        [sinks.archive]
        plugin = "sqlite"
        top_k = \(NumberPicture.digits)
        path = "/var/lib/lookout/results/results.db"

        """.utf8), to: "\(root)/etc/lookout/lookout.toml")
  }

  /// Boots the root, runs a command in it as a unit, and waits until it powers off.
  private static func boot(_ root: String, command: String) throws {
    let unit = """
      [Unit]
      Description=Tries lookout.service and powers off
      After=dbus.service systemd-tmpfiles-setup.service

      [Service]
      Type=oneshot
      ExecStart=/bin/sh -c '\(command) >/transcript 2>&1'
      ExecStopPost=/bin/systemctl --no-block poweroff
      TimeoutStartSec=7000

      """
    let folder = "\(root)/etc/systemd/system"
    Scenario.makeFolders("\(folder)/multi-user.target.wants")
    for name in Files.names(in: "\(folder)/multi-user.target.wants") where name.hasPrefix("try-") {
      unlink("\(folder)/multi-user.target.wants/\(name)")
    }
    Files.write(Array(unit.utf8), to: "\(folder)/try-faults.service")
    symlink("../try-faults.service", "\(folder)/multi-user.target.wants/try-faults.service")
    let status = Bench.shell(
      "timeout 7200 systemd-nspawn --quiet -D '\(root)' --boot --register=no --keep-unit < /dev/null",
      log: "\(root)/console")
    guard Files.exists("\(root)/transcript") else {
      throw Impossible(
        "systemd-nspawn --boot ended with \(status): \(Files.text("\(root)/console").split(separator: "\n").suffix(2).joined(separator: " | "))"
      )
    }
  }
}
