internal import CSQLite
internal import Engine
internal import TestSupport

/// One record as a user finds it in a sink's output.
package struct SinkRow: Equatable, Sendable {
  package var id: String
  package var watch: String
  package var path: [UInt8]
  package var sha256: String
  package var isOK: Bool
  package var error: String
  package var modelDigest: String
  /// Best first.
  package var labels: [String]
}

/// Where a sink of the suite writes, and in which form.
package struct SinkOutput: Sendable {
  package enum Form: String, Sendable { case csv, json, sqlite }

  package let name: String
  package let form: Form
  package let path: String

  package init(name: String, form: Form, path: String) {
    self.name = name
    self.form = form
    self.path = path
  }

  /// All rows in order, and what is torn or unreadable among them.
  package func read() -> (rows: [SinkRow], torn: [String]) {
    switch form {
    case .csv: readCSV()
    case .json: readJSON()
    case .sqlite: readSQLite()
    }
  }

  private func readCSV() -> ([SinkRow], [String]) {
    let bytes = Files.read(path) ?? []
    if bytes.isEmpty { return ([], []) }
    guard let table = CSVText.rows(of: bytes), let header = table.first else {
      return ([], ["\(name): the file does not end with a whole row"])
    }
    var rows: [SinkRow] = []
    var torn: [String] = []
    for (index, fields) in table.enumerated().dropFirst() {
      guard fields.count == header.count, fields.count >= 11 else {
        torn.append("\(name): row \(index + 1) has \(fields.count) fields instead of \(header.count)")
        continue
      }
      func text(_ column: Int) -> String { String(decoding: Self.bare(fields[column]), as: UTF8.self) }
      rows.append(
        SinkRow(
          id: text(0), watch: text(2), path: Self.bare(fields[3]), sha256: text(4), isOK: text(5) == "ok",
          error: text(6), modelDigest: text(10),
          labels: stride(from: 11, to: fields.count, by: 2).map(text).filter { !$0.isEmpty }))
    }
    return (rows, torn)
  }

  /// A field without the apostrophe that disarms formulas.
  private static func bare(_ field: [UInt8]) -> [UInt8] {
    field.first == UInt8(ascii: "'") ? Array(field.dropFirst()) : field
  }

  private func readJSON() -> ([SinkRow], [String]) {
    let bytes = Files.read(path) ?? []
    var rows: [SinkRow] = []
    var torn: [String] = []
    if let last = bytes.last, last != 0x0A { torn.append("\(name): the last line does not end") }
    for line in bytes.split(separator: 0x0A) {
      do {
        rows.append(try Self.row(json: Array(line)))
      } catch {
        torn.append("\(name): \(error): \(String(decoding: line.prefix(120), as: UTF8.self))")
      }
    }
    return (rows, torn)
  }

  private static func row(json line: [UInt8]) throws -> SinkRow {
    let json = try line.withUnsafeBytes { try JSON(parsing: $0) }
    var fields = try json.fields("record")
    var labels: [String] = []
    for prediction in try fields.take("predictions").elements("predictions") {
      var parts = try prediction.fields("prediction")
      labels.append(try parts.take("label").string("label"))
    }
    let error = try fields.take("error")
    var text = ""
    if case .string(let reason) = error.value { text = reason }
    let path = try fields.take("path").string("path")
    let raw = try fields.takeIfPresent("path_base64").map { try $0.string("path_base64") }
    return SinkRow(
      id: try fields.take("id").string("id"), watch: try fields.take("watch").string("watch"),
      path: raw.flatMap(Self.bytes(ofBase64:)) ?? Array(path.utf8), sha256: try fields.take("sha256").string("sha256"),
      isOK: try fields.take("status").string("status") == "ok", error: text,
      modelDigest: try fields.take("model_digest").string("model_digest"), labels: labels)
  }

  private static func bytes(ofBase64 text: String) -> [UInt8] {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var bytes: [UInt8] = []
    var (bits, count) = (0, 0)
    for value in text.utf8.compactMap({ alphabet.firstIndex(of: $0) }) {
      (bits, count) = ((bits << 6 | value) & 0xFFFF, count + 6)
      if count >= 8 {
        count -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> count))
      }
    }
    return bytes
  }

  private func readSQLite() -> ([SinkRow], [String]) {
    guard Files.exists(path) else { return ([], []) }
    var database: OpaquePointer?
    guard sqlite3_open_v2(path, &database, SQLITE_OPEN_READONLY, nil) == SQLITE_OK else {
      return ([], ["\(name): the database does not open"])
    }
    defer { sqlite3_close(database) }
    sqlite3_busy_timeout(database, 5000)
    var statement: OpaquePointer?
    let query = """
      SELECT id, watch, path, sha256, status, error, model_digest,
        (SELECT group_concat(label, char(31)) FROM (SELECT label FROM predictions WHERE result_id = id ORDER BY rank))
      FROM results ORDER BY id
      """
    guard sqlite3_prepare_v2(database, query, -1, &statement, nil) == SQLITE_OK else { return ([], []) }
    defer { sqlite3_finalize(statement) }
    func bytes(_ column: Int32) -> [UInt8] {
      guard let start = sqlite3_column_blob(statement, column) else { return [] }
      return [UInt8](UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(statement, column))))
    }
    func text(_ column: Int32) -> String { String(decoding: bytes(column), as: UTF8.self) }
    var rows: [SinkRow] = []
    while true {
      switch sqlite3_step(statement) {
      case SQLITE_ROW:
        rows.append(
          SinkRow(
            id: text(0), watch: text(1), path: bytes(2), sha256: text(3), isOK: text(4) == "ok", error: text(5),
            modelDigest: text(6), labels: text(7).split(separator: "\u{1F}").map(String.init)))
      case SQLITE_DONE: return (rows, [])
      default: return (rows, ["\(name): \(String(cString: sqlite3_errmsg(database)))"])
      }
    }
  }
}

/// RFC 4180.
package enum CSVText {
  /// The records of a text, each a list of fields; nil if it does not end with a whole record.
  package static func rows(of bytes: [UInt8]) -> [[[UInt8]]]? {
    let (comma, quote, feed, carriage) = (UInt8(ascii: ","), UInt8(ascii: "\""), UInt8(0x0A), UInt8(0x0D))
    var rows: [[[UInt8]]] = []
    var row: [[UInt8]] = []
    var field: [UInt8] = []
    var isQuoted = false
    var index = 0
    while index < bytes.count {
      let byte = bytes[index]
      index += 1
      if isQuoted {
        if byte != quote {
          field.append(byte)
        } else if index < bytes.count, bytes[index] == quote {
          field.append(quote)
          index += 1
        } else {
          isQuoted = false
        }
      } else if byte == quote, field.isEmpty {
        isQuoted = true
      } else if byte == comma {
        row.append(field)
        field = []
      } else if byte == carriage, index < bytes.count, bytes[index] == feed {
        index += 1
        rows.append(row + [field])
        (row, field) = ([], [])
      } else {
        field.append(byte)
      }
    }
    return isQuoted || !row.isEmpty || !field.isEmpty ? nil : rows
  }
}
