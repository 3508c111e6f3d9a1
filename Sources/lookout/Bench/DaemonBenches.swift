internal import CSQLite
internal import Engine
internal import FoundationEssentials
internal import Glibc
internal import Platform

/// What is measured through a whole daemon: start, latency of one photo, memory.
struct DaemonBenches {
  let model: String
  let precision: Precision
  let photos: BenchPhotos
  let scratch: String

  /// From exec to READY, over a fresh state folder each time.
  func start(rounds: Int) throws(Failure) -> Measurement {
    var samples: [Double] = []
    for _ in 0..<rounds {
      let daemon = try BenchDaemon(.init(model: model, precision: precision), below: scratch)
      samples.append(Double(try daemon.start()) / 1e6)
      try daemon.stop()
    }
    return Measurement("start to READY", unit: "ms", samples: samples, bar: .init(statistic: .median, below: 300))
  }

  /// One photo at a time into an idle daemon: from its rename into the inbox until it left, which it may only once all
  /// three sinks reported its row durable.
  func latency(count: Int) throws(Failure) -> Measurement {
    let daemon = try BenchDaemon(.init(model: model, precision: precision), below: scratch)
    try daemon.start()
    let names = try photos.write(0..<count + 1, to: daemon.staging)
    var samples: [Double] = []
    for name in names {
      Clock.pause(milliseconds: 20)
      let begun = Clock.monotonicNanoseconds()
      try Self.rename(name, from: daemon.staging, to: daemon.inbox)
      try Self.wait(for: [daemon.done.appending(name).displayed], daemon)
      samples.append(Double(Clock.monotonicNanoseconds() - begun) / 1e6)
    }
    try daemon.stop()
    try checkRows(of: daemon, count: names.count)
    // The first photo also makes plans and buffers.
    return Measurement(
      "rename to durable rows", [("sinks", "csv json sqlite")], unit: "ms", samples: Array(samples.dropFirst()),
      bar: .init(statistic: .p99, below: 250))
  }

  /// Resident memory of an idle daemon after so many photos.
  func memory(count: Int) throws(Failure) -> [Measurement] {
    let daemon = try BenchDaemon(.init(model: model, precision: precision), below: scratch)
    try daemon.start()
    let names = try photos.write(0..<count, to: daemon.staging)
    for name in names { try Self.rename(name, from: daemon.staging, to: daemon.inbox) }
    try Self.wait(for: names.map { daemon.done.appending($0).displayed }, daemon)
    let resident = daemon.residentMebibytes()
    try daemon.stop()
    try checkRows(of: daemon, count: count)
    let conditions = [(name: "photos", value: "after \(count) photos")]
    return [
      Measurement(
        "resident, daemon", conditions, unit: "MiB", samples: [resident.daemon],
        bar: .init(statistic: .max, below: 200)),
      Measurement("resident, sink hosts", conditions, unit: "MiB", samples: [resident.sinks]),
    ]
  }

  static func rename(_ name: String, from: Path, to: Path) throws(Failure) {
    guard Glibc.rename(from.appending(name).displayed, to.appending(name).displayed) == 0 else {
      throw .output("\(to.appending(name).displayed): \(String(cString: strerror(errno)))")
    }
  }

  /// Looks five thousand times a second until every file is there; a minute without a new one is an error.
  private static func wait(for paths: [String], _ daemon: BenchDaemon) throws(Failure) {
    var end = Clock.monotonicNanoseconds() + 60_000_000_000
    for path in paths {
      while access(path, F_OK) != 0 {
        guard Clock.monotonicNanoseconds() < end else { throw .data("\(path) did not come: \(daemon.log)") }
        usleep(200)
      }
      end = Clock.monotonicNanoseconds() + 60_000_000_000
    }
  }

  /// What left the inbox must stand in every sink, once.
  private func checkRows(of daemon: BenchDaemon, count: Int) throws(Failure) {
    let lines = Self.lines(of: daemon.output(of: "json"))
    let rows = ["csv": Self.lines(of: daemon.output(of: "csv")) - 1, "json": lines, "sqlite": records(of: daemon)]
    for (sink, found) in rows where found != count {
      throw .data("sink \(sink) has \(found) rows of \(count) photos: \(daemon.log)")
    }
  }

  static func lines(of path: Path) -> Int {
    (FileManager.default.contents(atPath: path.displayed) ?? Data()).reduce(0) { $0 + ($1 == 0x0A ? 1 : 0) }
  }

  private func records(of daemon: BenchDaemon) -> Int {
    var connection: OpaquePointer?
    var statement: OpaquePointer?
    defer {
      sqlite3_finalize(statement)
      sqlite3_close(connection)
    }
    guard
      sqlite3_open_v2(daemon.output(of: "sqlite").displayed, &connection, SQLITE_OPEN_READONLY, nil) == SQLITE_OK,
      sqlite3_prepare_v2(connection, "SELECT count(*) FROM results WHERE status = 'ok'", -1, &statement, nil)
        == SQLITE_OK, sqlite3_step(statement) == SQLITE_ROW
    else { return 0 }
    return Int(sqlite3_column_int64(statement, 0))
  }
}
