internal import FoundationEssentials

/// The names of a model's classes, from a text or CSV file.
enum LabelList {
  /// One label a line, or the column `name` (else the last) of a CSV file with a header.
  static func read(_ path: String) throws(Failure) -> [String] {
    guard let data = FileManager.default.contents(atPath: path) else { throw .input("\(path): cannot be read") }
    guard let text = String(validating: data, as: UTF8.self) else { throw .data("\(path): is no UTF-8 text") }
    var lines = text.split(whereSeparator: \.isNewline).map(String.init)
    guard path.hasSuffix(".csv"), let header = lines.first else { return lines }
    lines.removeFirst()
    let columns = header.split(separator: ",", omittingEmptySubsequences: false)
    let column = columns.firstIndex(of: "name") ?? columns.count - 1
    var labels: [String] = []
    for (index, line) in lines.enumerated() {
      let fields = line.split(separator: ",", omittingEmptySubsequences: false)
      guard fields.count == columns.count, !line.contains("\"") else {
        throw .data("\(path): line \(index + 2) does not have \(columns.count) plain fields; use one label a line")
      }
      labels.append(String(fields[column].map { $0 == "_" ? " " : $0 }))
    }
    return labels
  }
}
