internal import Glibc
internal import Platform
internal import TestSupport

/// A way in which some program brings a file into a folder; `source` lies on the same file system.
private struct Writer: Sendable {
  let name: String
  /// Brings the file; runs on a thread of its own and returns when the writer is done with it.
  let bring: @Sendable (_ file: NumberPicture.File, _ source: String, _ target: String) -> Void
}

/// Writes part of a file's bytes through an open descriptor.
private func put(_ bytes: ArraySlice<UInt8>, to file: Int32) {
  var rest = bytes
  while !rest.isEmpty {
    let count = rest.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
    guard count > 0 else { return }
    rest = rest.dropFirst(count)
  }
}

private func wait(milliseconds: UInt32) { usleep(milliseconds * 1000) }

extension Scenario {
  private static let writers: [Writer] = [
    Writer(name: "slow pv") { file, source, target in
      Bench.shell("pv -q -L \(max(1000, file.bytes.count)) '\(source)' > '\(target)'")
    },
    Writer(name: "write, close, reopen") { file, _, target in
      let half = file.bytes.count / 2
      for part in [file.bytes[..<half], file.bytes[half...]] {
        let output = open(target, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        put(part, to: output)
        close(output)
        wait(milliseconds: 60)
      }
    },
    Writer(name: "fallocate, then fill") { file, _, target in
      let output = open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
      posix_fallocate(output, 0, off_t(file.bytes.count))
      for start in stride(from: 0, to: file.bytes.count, by: max(1, file.bytes.count / 8)) {
        put(file.bytes[start..<min(file.bytes.count, start + max(1, file.bytes.count / 8))], to: output)
        wait(milliseconds: 50)
      }
      close(output)
    },
    Writer(name: "mmap") { file, _, target in
      let output = open(target, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
      ftruncate(output, off_t(file.bytes.count))
      let map = mmap(nil, file.bytes.count, PROT_READ | PROT_WRITE, MAP_SHARED, output, 0)
      close(output)
      guard let map, map != MAP_FAILED else { return }
      wait(milliseconds: 150)
      file.bytes.withUnsafeBytes { bytes in
        if let base = bytes.baseAddress { memcpy(map, base, bytes.count) }
      }
      wait(milliseconds: 50)
      munmap(map, file.bytes.count)
    },
    Writer(name: "rsync") { _, source, target in Bench.shell("rsync -t --bwlimit=200 '\(source)' '\(target)'") },
    Writer(name: "rsync --inplace") { _, source, target in
      Bench.shell("rsync -t --inplace --bwlimit=200 '\(source)' '\(target)'")
    },
    Writer(name: "scp") { file, source, target in
      // The receiving end of scp, fed as the sending end would.
      let name = target.split(separator: "/").last ?? ""
      let folder = target.dropLast(name.count)
      Bench.shell(
        "{ printf 'C0644 \(file.bytes.count) \(name)\\n'; cat '\(source)'; printf '\\0'; } | scp -t '\(folder)'")
    },
    Writer(name: ".part, then rename") { file, _, target in
      let output = open("\(target).part", O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
      put(file.bytes[..<(file.bytes.count / 3)], to: output)
      wait(milliseconds: 300)
      put(file.bytes[(file.bytes.count / 3)...], to: output)
      close(output)
      wait(milliseconds: 50)
      rename("\(target).part", target)
    },
    Writer(name: "hard link") { _, source, target in link(source, target) },
    Writer(name: "empty, then filled") { file, _, target in
      close(open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644))
      wait(milliseconds: 450)
      let output = open(target, O_WRONLY | O_CLOEXEC)
      put(file.bytes[...], to: output)
      close(output)
    },
    Writer(name: "stalls beyond the settle time") { file, _, target in
      let output = open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
      put(file.bytes[..<(file.bytes.count / 2)], to: output)
      wait(milliseconds: 900)
      put(file.bytes[(file.bytes.count / 2)...], to: output)
      close(output)
    },
    Writer(name: "cp -p, old time") { _, source, target in
      Bench.shell("touch -d 1999-12-31 '\(source)' && cp -p '\(source)' '\(target)'")
    },
    Writer(name: "copy, then set the times") { _, source, target in
      // As shutil.copy2, unzip and FTP servers do: the times are set when the file is closed already.
      Bench.shell("cp '\(source)' '\(target)'; sleep 0.2; touch -d 2001-02-03 '\(target)'")
    },
  ]

  /// Every way in which programs bring files, many at once.
  package static let oddWriters = Scenario(
    "writers", "Odd writers: slow, in parts, in place, mapped, renamed, linked, stalled, never closed"
  ) { bench in
    let site = try Site()
    site.watches[0].settleMilliseconds = 200
    site.watches[0].retryAttempts = 3
    site.configure()
    let sources = "\(site.root)/sources"
    mkdir(sources, 0o755)
    bench.check(site.service.startReady(), "the daemon does not start", log: site.service.log)
    let started = Bench.seconds()
    for _ in 0..<bench.scaled(15, short: 1) {
      var threads: [OwnedThread] = []
      for (index, writer) in writers.enumerated() {
        let file = site.picture()
        let source = "\(sources)/\(file.number)\(file.suffix)"
        let target = "\(site.inbox)/w\(index)-\(file.number)\(file.suffix)"
        Site.writeDurably(file.bytes, to: source)
        site.oracle.expect(file, at: Array(target.utf8))
        threads.append(OwnedThread(name: "writer") { writer.bring(file, source, target) })
        bench.happened()
      }
      for thread in threads {
        thread.join()
        site.service.tend(for: 0.001)
      }
    }
    let brought = Bench.seconds()
    // Writers that never close: whole, they are answered; cut short for longer than all patience, they are refused, and
    // what they write later lies in quarantine with the rest.
    let whole = site.picture()
    let late = site.picture()
    let wholePath = "\(site.inbox)/open-\(whole.number)\(whole.suffix)"
    let latePath = "\(site.inbox)/late-\(late.number)\(late.suffix)"
    let wholeFile = open(wholePath, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
    let lateFile = open(latePath, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
    put(whole.bytes[...], to: wholeFile)
    put(late.bytes[..<(late.bytes.count / 2)], to: lateFile)
    site.oracle.expect(whole, at: Array(wholePath.utf8))
    site.oracle.expect(late, at: Array(latePath.utf8), fate: .refused)
    site.service.tend(until: { !Files.exists(latePath) }, within: 20)
    put(late.bytes[(late.bytes.count / 2)...], to: lateFile)
    let settled = bench.settle(site, within: 20, "odd writers")
    close(wholeFile)
    close(lateFile)
    bench.checkRescans(site)
    bench.figure("ways to write", "\(writers.count + 2)")
    bench.figure("files", "\(site.oracle.count)")
    bench.figure("settled after the last", Bench.text(settled) + " s")
    bench.figure("whole run", Bench.text(brought - started) + " s")
    // Two sweeps later there must be no second row of anything.
    Scenario.listAgain(site, bench)
    bench.stop(site)
    bench.blame(site.oracle.violations())
  }

  /// Lets the daemon list its folders anew, as a sweep would, by a restart; nothing known may come again.
  static func listAgain(_ site: Site, _ bench: Bench) {
    bench.stop(site, "before a listing")
    bench.check(site.service.startReady(), "the daemon does not start again", log: site.service.log)
    bench.fresh(site, within: 5)
    site.service.tend(for: 0.5)
    bench.settle(site, within: 10, "after a listing")
  }
}
