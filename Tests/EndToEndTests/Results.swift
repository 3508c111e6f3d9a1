import CSQLite
import TestSupport

/// What came out of the three sinks of a `DaemonProcess`, read as a user would.
struct Results {
  /// Base names of the pictures in the order of the rows.
  var csv: [String]
  var json: [String]
  var sqlite: [String]
  /// Whether every line of the text files is whole.
  var isWhole: Bool

  init(of daemon: DaemonProcess) {
    let csvText = String(Files.text(daemon.csv).unicodeScalars.filter { $0 != "\r" })
    let rows = csvText.split(separator: "\n").dropFirst()
    csv = rows.map { Self.base(String($0.split(separator: ",", omittingEmptySubsequences: false)[3])) }
    let columns = csvText.split(separator: "\n").first?.split(separator: ",").count ?? 0
    let jsonText = Files.text(daemon.json)
    let lines = jsonText.split(separator: "\n")
    json = lines.compactMap { line in
      guard let start = line.firstRange(of: "\"path\":\"") else { return nil }
      return Self.base(String(line[start.upperBound...].prefix { $0 != "\"" }))
    }
    sqlite = Self.paths(in: daemon.database).map(Self.base)
    isWhole =
      (csvText.isEmpty || csvText.hasSuffix("\n")) && (jsonText.isEmpty || jsonText.hasSuffix("\n"))
      && lines.allSatisfy { $0.hasPrefix("{") && $0.hasSuffix("}") }
      && rows.allSatisfy { $0.split(separator: ",", omittingEmptySubsequences: false).count >= columns }
  }

  private static func base(_ path: String) -> String { String(path.split(separator: "/").last ?? "") }

  private static func paths(in database: String) -> [String] {
    var connection: OpaquePointer?
    guard sqlite3_open_v2(database, &connection, SQLITE_OPEN_READONLY, nil) == SQLITE_OK else { return [] }
    defer { sqlite3_close(connection) }
    var statement: OpaquePointer?
    guard sqlite3_prepare_v2(connection, "SELECT path FROM results ORDER BY id", -1, &statement, nil) == SQLITE_OK
    else { return [] }
    defer { sqlite3_finalize(statement) }
    var paths: [String] = []
    while sqlite3_step(statement) == SQLITE_ROW {
      if let text = sqlite3_column_text(statement, 0) { paths.append(String(cString: text)) }
    }
    return paths
  }
}
