internal import Glibc
internal import TestSupport

/// A real `lookoutd` under what a service manager does for it: start it again when it dies, feed on its watchdog messages.
package final class Supervised {
  package let configuration: String
  package let logPath: String
  package private(set) var process: Int32 = 0
  /// How often it died without being asked to, and by what at last: an exit status, or minus a signal.
  package private(set) var deaths = 0
  package private(set) var lastDeath: Int32 = 0
  /// Whether it is started again when it dies.
  package var isRestarted = true
  /// After so long without a message the manager aborts it (WatchdogSec).
  package var watchdogSeconds: Double?
  package private(set) var watchdogAborts = 0
  /// Words in front of the program, such as those of `prlimit` or `setpriv`.
  package var prefix: [String] = []
  package private(set) var isReady = false
  package private(set) var readyCount = 0
  package private(set) var refusedReloads = 0
  package private(set) var secondsToReady: Double = 0
  /// The last STATUS line.
  package private(set) var status = ""

  private let notify: NotifySocket
  private let environment: [String]
  private var lastSign: Double = 0
  private var startedAt: Double = 0

  init(configuration: String, log: String, notifyPath: String, environment: [String]) {
    self.configuration = configuration
    logPath = log
    self.environment = environment
    notify = NotifySocket(path: notifyPath)
    chmod(notifyPath, 0o777)
  }

  deinit { killNow() }

  package var log: String { Files.text(logPath) }

  /// Starts the daemon; it is ready some time later.
  package func start() {
    isReady = false
    startedAt = Bench.seconds()
    lastSign = startedAt
    var variables =
      environment + [
        "NOTIFY_SOCKET=\(notify.path)", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
        "LD_PRELOAD=\(Bench.products)/liblookout-faults-hooks.so",
      ]
    if let watchdogSeconds { variables.append("WATCHDOG_USEC=\(Int(watchdogSeconds * 1_000_000))") }
    process = Program.start(
      prefix + ["\(Bench.products)/lookoutd", "--config", configuration], environment: variables, log: logPath)
  }

  /// Starts it and waits until it is ready; false if it is not within the bound.
  package func startReady(within seconds: Double = 60) -> Bool {
    start()
    return tend(until: { self.isReady }, within: seconds)
  }

  /// Hears messages, reaps, aborts and restarts, for so long.
  package func tend(for seconds: Double) {
    let end = Bench.seconds() + seconds
    repeat {
      hear(withinMilliseconds: Int32(max(1, min(20, (end - Bench.seconds()) * 1000))))
      guard process > 0 else { continue }
      if let watchdogSeconds, isReady, Bench.seconds() - lastSign > watchdogSeconds {
        watchdogAborts += 1
        kill(process, SIGABRT)
        lastSign = Bench.seconds() + 5
      }
      if let end = Program.reap(process) {
        process = 0
        deaths += 1
        lastDeath = end
        if isRestarted { start() }
      }
    } while Bench.seconds() < end
  }

  /// Tends until the condition holds; false if it does not within the bound.
  @discardableResult
  package func tend(until condition: () -> Bool, within seconds: Double) -> Bool {
    let end = Bench.seconds() + seconds
    while !condition() {
      if Bench.seconds() > end { return false }
      tend(for: 0.01)
    }
    return true
  }

  private func hear(withinMilliseconds limit: Int32) {
    guard let message = notify.next(withinMilliseconds: limit) else { return }
    for line in message.split(separator: "\n") {
      if line == "WATCHDOG=1" || line == "READY=1" { lastSign = Bench.seconds() }
      if line == "READY=1" {
        if !isReady { secondsToReady = Bench.seconds() - startedAt }
        isReady = true
        readyCount += 1
      }
      if line.hasPrefix("STATUS=") { status = String(line.dropFirst(7)) }
    }
  }

  package func signal(_ number: Int32) {
    if process > 0 { kill(process, number) }
  }

  /// Kills it by SIGKILL, as a fault, and reaps it; it is not started again by this.
  package func killNow() {
    guard process > 0 else { return }
    kill(process, SIGKILL)
    var status: Int32 = 0
    waitpid(process, &status, 0)
    process = 0
  }

  /// Asks it to stop and gives its exit status, or minus the signal; nil if it did not end and was killed.
  package func stop(within seconds: Double = 90) -> Int32? {
    guard process > 0 else { return lastDeath }
    kill(process, SIGTERM)
    let end = Bench.seconds() + seconds
    while Bench.seconds() < end {
      hear(withinMilliseconds: 5)
      if let status = Program.reap(process) {
        process = 0
        return status
      }
    }
    killNow()
    return nil
  }

  /// The sink hosts that the daemon runs now.
  package var sinkHosts: [Int32] {
    // Not every kernel lists the children of a thread, but each process tells its parent after its name and state.
    Files.names(in: "/proc").compactMap { Int32($0) }.filter { other in
      let words = (Files.text("/proc/\(other)/stat").split(separator: ")").last ?? "").split(separator: " ")
      return words.count > 1 && Int32(words[1]) == process
    }
  }

  /// Resident bytes of the daemon now.
  package var residentBytes: Int {
    let words = Files.text("/proc/\(process)/statm").split(separator: " ")
    return words.count > 1 ? (Int(words[1]) ?? 0) * 4096 : 0
  }

  /// Reloads and waits for the answer; whether one came.
  package func reload(within seconds: Double = 30) -> Bool {
    let before = readyCount
    signal(SIGHUP)
    return tend(until: { self.readyCount > before }, within: seconds)
  }

  /// How many lines of the journal hold a text.
  package func lines(containing text: String) -> Int {
    log.split(separator: "\n").lazy.filter { $0.contains(text) }.count
  }
}
