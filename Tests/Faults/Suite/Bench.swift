internal import Glibc
internal import TestSupport

/// What a scenario is given: its scale, where to print, and what it found.
package final class Bench {
  package enum Scale: Sendable { case short, full }

  package let scale: Scale
  package private(set) var figures: [(name: String, value: String)] = []
  package private(set) var violations: [String] = []
  package private(set) var faults = 0
  private let name: String

  package init(name: String, scale: Scale) {
    self.name = name
    self.scale = scale
  }

  /// The number for a full run, or the smaller one for `make test`.
  package func scaled(_ full: Int, short: Int) -> Int { scale == .full ? full : short }

  /// Notes a figure for the table.
  package func figure(_ name: String, _ value: String) { figures.append((name, value)) }

  /// Notes how often the fault really happened; a scenario without one has not passed.
  package func happened(_ times: Int = 1) { faults += times }

  /// Notes what breaks the promise.
  package func blame(_ findings: [String], log: String = "") {
    guard !findings.isEmpty else { return }
    violations += findings
    for finding in findings.prefix(12) { say("NOT OK: \(finding)") }
    if !log.isEmpty { say(log.split(separator: "\n").suffix(12).joined(separator: "\n    ")) }
  }

  package func check(_ isRight: Bool, _ complaint: @autoclosure () -> String, log: String = "") {
    if !isRight { blame([complaint()], log: log) }
  }

  package func say(_ text: String) {
    Self.print("  [\(name)] \(text)")
  }

  /// Prints a line at once.
  package static func print(_ line: String) {
    Swift.print(line)
    fflush(nil)
  }

  /// Settles the site's books, or blames it; the seconds it took.
  @discardableResult
  package func settle(_ site: Site, within seconds: Double, _ what: String) -> Double {
    let (took, amiss) = site.settled(within: seconds)
    if let took { return took }
    blame(amiss.map { "\(what): \($0)" }, log: site.service.log)
    return seconds
  }

  /// Stops the daemon, which must end by itself with status 0; one that the armed hooks kill meanwhile is started again.
  package func stop(_ site: Site, _ what: String = "at the end") {
    // A start that has not yet got as far as to answer signals is ended by them, and rightly.
    site.service.tend(until: { site.service.isReady }, within: 60)
    var end = site.service.stop()
    if end == -SIGKILL, site.control.struck > 0 {
      site.control.disarm()
      _ = site.service.startReady()
      end = site.service.stop()
    }
    let told = end.map { "\($0)" } ?? "not by itself"
    check(end == 0, "\(what): the daemon ended with status \(told)", log: site.service.log)
  }

  /// Hands over fresh pictures, waits for their results, and notes the time they took after the end of a fault.
  package func fresh(_ site: Site, within bound: Double) {
    let start = Bench.seconds()
    site.handOver(3)
    settle(site, within: bound, "fresh pictures within \(Int(bound)) s after the fault")
    figure("fresh after", Bench.text(Bench.seconds() - start) + " s")
  }

  /// Notes and checks how many files only a sweep found: on a local file system every file must come by an event.
  package func checkRescans(_ site: Site) {
    guard let found = site.metric("lookout_rescan_found_files_total") else {
      return blame(["the daemon tells no lookout_rescan_found_files_total"], log: site.service.log)
    }
    figure("found only by rescan", "\(Int(found))")
    check(found == 0, "\(Int(found)) files were found by a rescan only")
  }

  // MARK: The machine

  package static func seconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  package static func text(_ seconds: Double) -> String {
    let hundredths = Int((seconds.magnitude * 100).rounded())
    let sign = seconds < 0 && hundredths > 0 ? "-" : ""
    return "\(sign)\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100)"
  }

  /// Runs a command of the shell; its exit status.
  @discardableResult
  package static func shell(_ command: String, log: String = "/dev/null") -> Int32 {
    let process = Program.start(
      ["/bin/sh", "-c", command], environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C"],
      log: log)
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0, errno == EINTR {}
    return status & 0x7f == 0 ? (status >> 8) & 0xff : -(status & 0x7f)
  }

  /// Runs a command that must work.
  package static func mustRun(_ command: String) throws {
    let log = "/tmp/lookout-faults-\(getpid()).log"
    unlink(log)
    defer { unlink(log) }
    let status = shell(command, log: log)
    guard status == 0 else {
      let said = Files.text(log).split(separator: "\n").suffix(3).joined(separator: " | ")
      throw SiteError("`\(command)` ended with \(status): \(said)")
    }
  }

  /// The source tree that this suite was built from.
  package static let repository = "/" + #filePath.split(separator: "/").dropLast(4).joined(separator: "/")

  /// Where this build's programs and plugins are.
  package static let products: String = {
    var path = [UInt8](repeating: 0, count: 4096)
    let count = path.withUnsafeMutableBytes { bytes -> Int in
      guard let base = bytes.bindMemory(to: CChar.self).baseAddress else { return -1 }
      return readlink("/proc/self/exe", base, bytes.count)
    }
    var program = String(decoding: path[..<max(0, count)], as: UTF8.self)
    if let bundle = CommandLine.arguments.first(where: { $0.hasSuffix(".xctest") }) { program = bundle }
    return String(program[..<(program.lastIndex(of: "/") ?? program.endIndex)])
  }()
}
