package import Engine
internal import Platform
internal import Synchronization

/// Learns at the start what the ledger has answered and how fast the machine computes, and forgets what need not be known
/// any longer, on a thread `upkeep` of its own, in small steps.
package final class Upkeep: Sendable {
  private static let firstAfter = Duration.seconds(60)
  private static let period = Duration.seconds(3600)
  /// Between two steps: the upkeep takes at most about a tenth of the ledger's time.
  private static let rest = Duration.milliseconds(20)

  /// Before each convolution, so that measuring takes no more than about a tenth of a processor.
  private static let restOfMeasuring = Duration.milliseconds(500)

  private let ledger: Ledger
  private let retentionNanoseconds: Int64
  private let algorithms: AlgorithmBook
  private let problems: @Sendable () -> [ConvolutionProblem]
  private let isEnding = Flag()
  private let bell = Bell()
  let heartbeat = Heartbeat(name: "upkeep")

  /// `problems`: the convolutions of the models in service.
  package init(
    ledger: Ledger, retentionSeconds: Int, algorithms: AlgorithmBook,
    problems: @escaping @Sendable () -> [ConvolutionProblem]
  ) {
    self.ledger = ledger
    self.algorithms = algorithms
    self.problems = problems
    retentionNanoseconds = Int64(clamping: retentionSeconds).multipliedReportingOverflow(by: 1_000_000_000).partialValue
  }

  /// Ends `run` soon.
  ///
  /// Any thread.
  package func stop() {
    isEnding.set()
    bell.ring()
  }

  /// Works until stopped.
  package func run() {
    var wait = Self.firstAfter
    heartbeat.begin()
    _ = try? ledger.rememberAnswers(pause: { !isEnding.isSet })
    heartbeat.rest()
    algorithms.measure(problems()) {
      heartbeat.rest()
      bell.wait(for: Self.restOfMeasuring)
      heartbeat.begin()
      return !isEnding.isSet
    }
    heartbeat.rest()
    // Asked before each wait: a pause may have taken the ring that came with the end.
    while !isEnding.isSet {
      bell.wait(for: wait)
      if isEnding.isSet { return }
      wait = Self.period
      heartbeat.begin()
      _ = try? ledger.prune(
        olderThan: Clock.wallNanoseconds() - retentionNanoseconds,
        isNeeded: { history in heartbeat.outside { isNeeded(history) } },
        pause: {
          heartbeat.rest()
          bell.wait(for: Self.rest)
          heartbeat.begin()
          return !isEnding.isSet
        })
      heartbeat.rest()
    }
  }

  private func isNeeded(_ history: ArrivalHistory) -> Bool {
    if history.state == .quarantined, let held = history.finalPath, Self.mayBeThere(Path(held)) { return true }
    let path = Path(history.arrival.path)
    do throws(PlatformError) {
      return try FileStatus.of(path, followingLinks: false).identity == history.arrival.identity
    } catch {
      guard error.isNotFound else { return true }
      // Not there, or its file system is not.
      return !path.isSurelyGone(fromDevice: history.arrival.identity.device)
    }
  }

  private static func mayBeThere(_ path: Path) -> Bool {
    do throws(PlatformError) {
      _ = try FileStatus.of(path, followingLinks: false)
      return true
    } catch {
      return !error.isNotFound
    }
  }
}

extension Path {
  /// Whether a file that is not found is no more, rather than out of reach because its file system is not mounted.
  ///
  /// The nearest folder above it that is there tells: it must lie on the device on which the file was, or hold something,
  /// as the folder under a mount does not. On an overlay folders and files may name different devices, which proves
  /// nothing.
  func isSurelyGone(fromDevice device: UInt64) -> Bool {
    var folder = parent
    while true {
      if let status = try? FileStatus.of(folder, followingLinks: true) {
        return status.device == device || MountKind.mixesDevices(folder)
          || (try? Directory.list(folder))?.isEmpty == false
      }
      let above = folder.parent
      if above == folder { return false }
      folder = above
    }
  }
}
