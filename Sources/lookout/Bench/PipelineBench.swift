internal import FoundationEssentials
internal import Glibc
internal import Platform

extension DaemonBenches {
  /// A folder of photos through the whole daemon into one CSV file, images a second: from the first rename into the
  /// inbox until the last row stands in the file; and what share that is of what its parts would do.
  ///
  /// `parts` measures how many images a second these processors decode and compute without a daemon; it is asked before
  /// each round, so that both see the same machine.
  func pipeline(
    _ name: String, count: Int, rounds: Int, workers: Int, parts: () throws(Failure) -> Double
  ) throws(Failure) -> [Measurement] {
    var samples: [Double] = []
    var shares: [Double] = []
    for _ in 0..<rounds {
      let alone = try parts()
      let daemon = try BenchDaemon(
        .init(model: model, precision: precision, workers: workers, sinks: ["csv"], moves: false), below: scratch)
      let warmUp = min(count, 4 * workers)
      let names = try photos.write(0..<count + warmUp, to: daemon.staging)
      try daemon.start()
      // The first batches also make plans and buffers.
      for name in names[..<warmUp] { try Self.rename(name, from: daemon.staging, to: daemon.inbox) }
      try waitForRows(warmUp, daemon)
      let begun = Clock.monotonicNanoseconds()
      for name in names[warmUp...] { try Self.rename(name, from: daemon.staging, to: daemon.inbox) }
      try waitForRows(names.count, daemon)
      samples.append(Double(count) * 1e9 / Double(Clock.monotonicNanoseconds() - begun))
      shares.append(samples[samples.count - 1] / alone)
      try daemon.stop()
    }
    let conditions = [
      (name: "folder", value: name), (name: "photos", value: "\(count) photos"),
      (name: "workers", value: "\(workers) workers"),
    ]
    return [
      Measurement(
        "share of its parts", conditions, unit: "", samples: shares,
        bar: .init(statistic: .median, atLeast: 0.93)),
      Measurement("folder to CSV rows", conditions, unit: "images/s", samples: samples),
    ]
  }

  private func waitForRows(_ count: Int, _ daemon: BenchDaemon) throws(Failure) {
    let table = daemon.output(of: "csv")
    var tail = RowCounter(path: table.displayed)
    var end = Clock.monotonicNanoseconds() + 60_000_000_000
    var seen = 0
    while true {
      let rows = tail.count() - 1
      guard rows < count else { break }
      if rows > seen {
        seen = rows
        end = Clock.monotonicNanoseconds() + 60_000_000_000
      }
      guard Clock.monotonicNanoseconds() < end else {
        throw .data("\(rows) of \(count) photos are in \(table.displayed): \(daemon.log)")
      }
      usleep(2000)
    }
    guard !Self.text(of: table).contains(",failed,") else { throw .data("a photo failed: \(daemon.log)") }
  }

  private static func text(of path: Path) -> String {
    String(decoding: FileManager.default.contents(atPath: path.displayed) ?? Data(), as: UTF8.self)
  }

  /// Counts the lines of a growing file, reading only what is new.
  private struct RowCounter {
    let path: String
    private var offset: off_t = 0
    private var lines = 0
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)

    init(path: String) { self.path = path }

    mutating func count() -> Int {
      let file = open(path, O_RDONLY | O_CLOEXEC)
      guard file >= 0 else { return 0 }
      defer { close(file) }
      while case let got = pread(file, &buffer, buffer.count, offset), got > 0 {
        for byte in buffer[..<got] where byte == 0x0A { lines += 1 }
        offset += off_t(got)
      }
      return lines
    }
  }
}
