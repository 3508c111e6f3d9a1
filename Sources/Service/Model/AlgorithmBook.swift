package import Engine
package import Platform
internal import Synchronization

/// Which algorithm computes each convolution the fastest on this machine, measured once and kept in `state_dir/algorithms`.
///
/// One line names machine and version, and makes the rest worthless elsewhere; then one line a convolution: algorithm, tab,
/// the problem's key. Who wants another one for a convolution alone edits its line, and who wants them measured anew removes
/// the file. Any thread.
package final class AlgorithmBook: Sendable {
  private let path: Path
  private let machine: String
  private let entries: Mutex<[String: ConvolutionAlgorithm]>

  /// A faster rival must win by so much, or noise would decide.
  private static let advantage = 0.95
  /// Processor time for each candidate, in nanoseconds.
  private static let budget = 10_000_000.0

  /// Reads what an earlier run measured on this machine; nothing if there is none, or if it cannot be read.
  ///
  /// `machine`: what the measurements hold for.
  package init(stateDir: Path, machine: String = thisMachine) {
    path = stateDir.appending("algorithms")
    self.machine = machine
    entries = Mutex(Self.read(path, machine))
  }

  /// Processor, instructions and version.
  package static var thisMachine: String {
    "lookout algorithms 1, \(Processor.name), \(InstructionSet.best.rawValue), \(Version.text)"
  }

  /// For `EngineOptions`.
  package var measured: [String: ConvolutionAlgorithm] { entries.withLock { $0 } }

  /// Measures those problems that are not in the book and writes it; what it tells holds from the next loading on.
  ///
  /// `pause` is called before each problem; false ends it early, with what is measured so far.
  package func measure(_ problems: [ConvolutionProblem], pause: () -> Bool) {
    var found: [String: ConvolutionAlgorithm] = [:]
    let known = measured
    for problem in problems where known[problem.key] == nil && found[problem.key] == nil {
      guard pause() else { break }
      let clock = { Double(Clock.threadNanoseconds()) }
      guard let times = try? problem.times(budget: Self.budget, clock: clock) else { continue }
      // The first is what rules choose.
      let best = times.indices.min { times[$0] < times[$1] } ?? 0
      found[problem.key] = problem.candidates[times[best] < times[0] * Self.advantage ? best : 0]
    }
    guard !found.isEmpty else { return }
    let text = entries.withLock { entries in
      entries.merge(found) { $1 }
      return self.text(entries)
    }
    Memory.giveBack()
    do throws(PlatformError) {
      try AtomicFile.write(path, Array(text.utf8), mode: 0o640)
    } catch {
      Journal.log(.warning, "measured algorithms are not kept, the next start measures again: \(error)", id: .status)
    }
  }

  private func text(_ entries: [String: ConvolutionAlgorithm]) -> String {
    let lines = entries.sorted { $0.key < $1.key }.map { "\($0.value.rawValue)\t\($0.key)\n" }
    return "\(machine)\n" + lines.joined()
  }

  private static func read(_ path: Path, _ machine: String) -> [String: ConvolutionAlgorithm] {
    guard let bytes = try? AtomicFile.read(path, limit: 1 << 20) else { return [:] }
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    guard let first = lines.first, first == machine else { return [:] }
    var entries: [String: ConvolutionAlgorithm] = [:]
    for line in lines.dropFirst() {
      let words = line.split(separator: "\t", maxSplits: 1)
      guard words.count == 2, let algorithm = ConvolutionAlgorithm(rawValue: String(words[0])) else { continue }
      entries[String(words[1])] = algorithm
    }
    return entries
  }
}
