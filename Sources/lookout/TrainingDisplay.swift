internal import Glibc
internal import Platform
internal import Training

/// Shows how a run goes: one line that moves on a terminal, plain lines elsewhere.
final class TrainingDisplay {
  private let isTerminal = isatty(STDOUT_FILENO) == 1
  private var losses: [Double] = []
  private var lastShown: Int64 = 0
  private var unreadable = 0

  /// Between two lines where nobody watches, and between two pictures of the moving one.
  private static let plainPause: Int64 = 30_000_000_000
  private static let movingPause: Int64 = 100_000_000

  func show(_ event: TrainingEvent) {
    switch event {
    case .start(let lines): for line in lines { note(line) }
    case .step(let record): show(record)
    case .epoch(let record, let epochs):
      var line = "epoch \(record.epoch)/\(epochs)  loss \(fixed(record.trainLoss, 4))"
      line += "  right \(percent(record.trainAccuracy))"
      if let loss = record.validationLoss, let accuracy = record.validationAccuracy {
        line += "  validation loss \(fixed(loss, 4))  right \(percent(accuracy))"
      }
      note(line + "  \(fixed(Double(record.images) / max(record.seconds, 1e-9), 0)) images/s")
    case .checkpoint: break
    case .unreadable(let picture):
      unreadable += 1
      if unreadable <= 10 { note("left out: \(picture.name): \(picture.reason)") }
      if unreadable == 11 { note("further pictures that cannot be read are left out silently") }
    case .note(let text): note(text)
    }
  }

  /// A whole line.
  func note(_ text: String) {
    if isTerminal { write("\r\u{1B}[K") }
    write(text + "\n")
  }

  func finish(_ end: TrainingEnd, _ run: TrainingRun) {
    switch end {
    case .finished, .early:
      note("\(end == .early ? "stopped early" : "done"): \(run.modelPath.displayed)")
    case .interrupted: note("stopped; the same command goes on from \(run.checkpointPath.displayed)")
    }
  }

  private func show(_ record: StepRecord) {
    losses.append(record.loss)
    if losses.count > 4096 { losses.removeFirst(2048) }
    let now = Clock.monotonicNanoseconds()
    guard now - lastShown > (isTerminal ? Self.movingPause : Self.plainPause) else { return }
    lastShown = now
    let line =
      "epoch \(record.epoch)/\(record.epochs)  \(record.batch)/\(record.batches)  loss \(fixed(record.meanLoss, 4))  "
      + "right \(percent(record.accuracy))  \(fixed(record.imagesPerSecond, 0)) images/s  "
      + "\(Self.duration(record.secondsLeft)) left"
    if isTerminal {
      write("\r\u{1B}[K\("\(line)  \(Self.sparkline(losses))".prefix(Self.columns - 1))")
    } else {
      write(line + "\n")
    }
  }

  /// The width of the terminal as it is now; a line that wrapped could not be written over.
  private static var columns: Int {
    var size = winsize()
    guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 1 else { return 80 }
    return Int(size.ws_col)
  }

  /// The last losses as 24 bars, each a mean.
  private static func sparkline(_ losses: [Double]) -> String {
    let bars = Array("▁▂▃▄▅▆▇█")
    let count = min(24, losses.count)
    guard count > 0 else { return "" }
    let means = (0..<count).map { index -> Double in
      let part = losses[(losses.count * index / count)..<(losses.count * (index + 1) / count)]
      return part.reduce(0, +) / Double(part.count)
    }
    guard let least = means.min(), let most = means.max() else { return "" }
    return String(
      means.map { mean in
        let height = most > least ? (mean - least) / (most - least) : 0
        return bars[max(0, min(7, Int(height.isFinite ? height * 7.99 : 0)))]
      })
  }

  private static func duration(_ seconds: Double) -> String {
    guard seconds.isFinite else { return "?" }
    let whole = Int(seconds)
    if whole >= 3600 { return "\(whole / 3600) h \(whole / 60 % 60) min" }
    return whole >= 60 ? "\(whole / 60) min \(whole % 60) s" : "\(whole) s"
  }

  private func write(_ text: String) {
    let bytes = Array(text.utf8)
    _ = Glibc.write(STDOUT_FILENO, bytes, bytes.count)
  }
}
