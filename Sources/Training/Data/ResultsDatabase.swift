internal import CSQLite
internal import Platform

/// A Lookout results database (the SQLite sink's file): rows that somebody reviewed become labels.
///
/// A review is a row of the table `reviews (result_id TEXT PRIMARY KEY, label TEXT NOT NULL)`, which whoever reviews
/// makes beside `results`; its label is what the picture really shows.
enum ResultsDatabase {
  static func read(_ path: String, classes: [String]?) throws(TrainingError) -> Dataset {
    var handle: OpaquePointer?
    defer { sqlite3_close(handle) }
    func fault(_ reason: String) -> TrainingError { .dataset(path: path, place: "the database", reason: reason) }
    guard sqlite3_open_v2(path, &handle, SQLITE_OPEN_READONLY, nil) == SQLITE_OK else {
      throw fault("it cannot be opened: \(message(handle))")
    }
    var statement: OpaquePointer?
    defer { sqlite3_finalize(statement) }
    let query = """
      SELECT results.path, reviews.label FROM reviews JOIN results ON results.id = reviews.result_id
      WHERE results.status = 'ok' ORDER BY results.id
      """
    guard sqlite3_prepare_v2(handle, query, -1, &statement, nil) == SQLITE_OK else {
      throw fault(
        "\(message(handle)); reviewed rows stand in a table reviews (result_id TEXT PRIMARY KEY, label TEXT NOT NULL)")
    }
    var rows: [(path: Path, label: String)] = []
    while true {
      let code = sqlite3_step(statement)
      if code == SQLITE_DONE { break }
      guard code == SQLITE_ROW else { throw fault(message(handle)) }
      let count = Int(sqlite3_column_bytes(statement, 0))
      guard let bytes = sqlite3_column_blob(statement, 0), let text = sqlite3_column_text(statement, 1) else {
        continue
      }
      let name = Array(UnsafeRawBufferPointer(start: bytes, count: count))
      guard !name.contains(0) else { throw fault("a path holds a NUL") }
      rows.append((Path(name), String(cString: text)))
    }
    guard !rows.isEmpty else { throw fault("no reviewed row") }
    let names = classes ?? Array(Set(rows.map(\.label))).sorted()
    var samples: [Dataset.Sample] = []
    for row in rows {
      guard let label = names.firstIndex(of: row.label) else {
        throw fault("the label '\(row.label)' is no class of the training data")
      }
      samples.append(Dataset.Sample(place: .file(row.path), label: label))
    }
    return Dataset(classes: names, samples: samples)
  }

  private static func message(_ handle: OpaquePointer?) -> String {
    sqlite3_errmsg(handle).map { String(cString: $0) } ?? "out of memory"
  }
}
