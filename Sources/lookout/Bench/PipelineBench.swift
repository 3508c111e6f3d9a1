internal import FoundationEssentials
internal import Glibc
internal import Platform

extension DaemonBenches {
  /// A folder of photos through the whole daemon into one CSV file, images a second: from the first rename into the
  /// inbox until the last row stands in the file.
  func pipeline(count: Int, rounds: Int, workers: Int) throws(Failure) -> Measurement {
    var samples: [Double] = []
    for _ in 0..<rounds {
      let daemon = try BenchDaemon(
        .init(model: model, workers: workers, sinks: ["csv"], moves: false), below: scratch)
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
      try daemon.stop()
    }
    return Measurement(
      "folder to CSV rows", [("photos", "\(count) photos"), ("workers", "\(workers) workers")], unit: "images/s",
      samples: samples)
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
