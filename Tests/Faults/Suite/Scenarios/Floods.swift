internal import Glibc
internal import Platform
internal import TestSupport

extension Scenario {
  /// More arrivals than the kernel's event queue holds, while the daemon is stopped.
  package static let overflow = Scenario("overflow", "The event queue overflows while the daemon is stopped") { bench in
    let limit = Int(Files.text("/proc/sys/fs/inotify/max_queued_events").split(separator: "\n").first ?? "") ?? 16_384
    let files = bench.scaled(limit + 2_000, short: 200)
    let site = try Site(after: "delete")
    bench.check(site.service.startReady(), "the daemon does not start", log: site.service.log)
    site.service.signal(SIGSTOP)
    // Small ones: the count is what matters.
    for _ in 0..<files {
      let file = NumberPicture.make(site.picture().number, .png, width: 48, height: 32)
      let path = "\(site.inbox)/\(file.number).png"
      Files.write(file.bytes, to: path)
      site.oracle.expect(file, at: Array(path.utf8))
    }
    sync()
    bench.say("\(files) files while the daemon is stopped")
    let released = Bench.seconds()
    site.service.signal(SIGCONT)
    site.service.tend(until: { site.rowsInArchive() >= files }, within: 600)
    let took = Bench.seconds() - released
    bench.settle(site, within: 60, "after an overflow")
    let overflows = Int(site.metric("lookout_event_overflows_total") ?? 0)
    bench.happened(overflows)
    bench.figure("files", "\(files)")
    bench.figure("overflows", "\(overflows)")
    bench.figure("all answered after", Bench.text(took) + " s")
    bench.fresh(site, within: 20)
    // Some file systems take minutes to remove so many files, longer than a stop waits.
    site.service.tend(until: { Files.names(in: site.inbox).isEmpty }, within: 300)
    bench.stop(site)
    bench.blame(site.oracle.violations())
  }

  /// Folders that come, go and move while files are written into them.
  package static let subtrees = Scenario(
    "subtrees", "Races with new folders, trees moved in and out, folders renamed during a copy, 50 levels"
  ) { bench in
    let site = try Site()
    bench.check(site.service.startReady(), "the daemon does not start", log: site.service.log)
    let total = bench.scaled(10_000, short: 60)
    let start = Bench.seconds()
    var made = 0
    var round = 0
    /// Writes a picture and notes it under the path where it will be in the end.
    func put(_ folder: String, finally: String? = nil) {
      let file = NumberPicture.make(site.picture().number, .png, width: 48, height: 32)
      let name = "\(file.number).png"
      Files.write(file.bytes, to: "\(folder)/\(name)")
      site.oracle.expect(file, at: Array("\(finally ?? folder)/\(name)".utf8))
      made += 1
    }
    while made < total {
      round += 1
      let top = "\(site.inbox)/r\(round)"
      switch round % 4 {
      case 0:
        // mkdir -p a/b/c/d && cp, at once.
        Self.makeFolders("\(top)/a/b/c/d")
        for folder in [top, "\(top)/a", "\(top)/a/b/c", "\(top)/a/b/c/d"] { put(folder) }
      case 1:
        // A populated tree is moved in.
        let outside = "\(site.root)/outside-\(round)"
        Self.makeFolders("\(outside)/x/y")
        for (folder, finally) in [("\(outside)/x/y", "\(top)/x/y"), ("\(outside)/x", "\(top)/x"), (outside, top)] {
          for _ in 0..<3 { put(folder, finally: finally) }
        }
        rename(outside, top)
      case 2:
        // A folder is renamed while a file is being written into it.
        Self.makeFolders("\(top)/before")
        let file = NumberPicture.make(site.picture().number, .png, width: 48, height: 32)
        let output = open("\(top)/before/\(file.number).png", O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
        let half = file.bytes.count / 2
        _ = file.bytes.withUnsafeBytes { write(output, $0.baseAddress, half) }
        rename("\(top)/before", "\(top)/after")
        _ = file.bytes.withUnsafeBytes { write(output, $0.baseAddress?.advanced(by: half), file.bytes.count - half) }
        close(output)
        site.oracle.expect(file, at: Array("\(top)/after/\(file.number).png".utf8))
        made += 1
        put("\(top)/after")
      default:
        // A tree is moved out, and in again elsewhere.
        Self.makeFolders("\(top)/deep/er")
        rename(top, "\(site.root)/away-\(round)")
        for (folder, finally) in [("deep/er", "deep/er"), ("deep", "deep")] {
          put("\(site.root)/away-\(round)/\(folder)", finally: "\(top)-back/\(finally)")
        }
        rename("\(site.root)/away-\(round)", "\(top)-back")
      }
      bench.happened()
      if round % 50 == 0 { site.service.tend(for: 0.01) }
    }
    // Fifty levels, made from the bottom of a shell's loop and filled at once.
    var folder = "\(site.inbox)/levels"
    for level in 0..<50 {
      folder += "/\(level)"
      Self.makeFolders(folder)
      if level % 10 == 9 { put(folder) }
    }
    let written = Bench.seconds()
    site.service.tend(until: { site.rowsInArchive() >= made }, within: 300)
    let answered = Bench.seconds()
    bench.settle(site, within: 30, "subtree races")
    bench.checkRescans(site)
    bench.figure("files", "\(made) of \(made)")
    bench.figure("folders raced", "\(round)")
    bench.figure("written in", Bench.text(written - start) + " s")
    bench.figure("answered after", Bench.text(answered - written) + " s")
    bench.fresh(site, within: 5)
    bench.stop(site)
    bench.blame(site.oracle.violations())
  }

  static func makeFolders(_ path: String) {
    var made = ""
    for part in path.split(separator: "/") {
      made += "/\(part)"
      mkdir(made, 0o755)
    }
  }
}
