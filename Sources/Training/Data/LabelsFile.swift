internal import Engine
internal import Platform

/// A text file that names pictures and their classes: CSV with the header `filename,label`, or JSON Lines of such keys.
///
/// Names are relative to the folder of pictures.
enum LabelsFile {
  static func read(_ path: String, folder: Path, classes: [String]?) throws(TrainingError) -> Dataset {
    let bytes = try WholeFile.read(path)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw .dataset(path: path, place: "line 1", reason: "it is no UTF-8 text")
    }
    let isJSON = path.hasSuffix(".jsonl") || path.hasSuffix(".ndjson") || text.first == "{"
    let rows = isJSON ? try jsonRows(text, path) : try csvRows(text, path)
    let names =
      classes ?? Array(Set(rows.map(\.label))).sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
    let numbers = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, $0) })
    var samples: [Dataset.Sample] = []
    for row in rows {
      let file = row.file.hasPrefix("/") ? Path(row.file) : folder.appending(row.file)
      guard (try? FileStatus.of(file, followingLinks: true))?.kind == .regular else {
        throw .dataset(path: path, place: "line \(row.line)", reason: "there is no file \(file.displayed)")
      }
      guard let label = numbers[row.label] else {
        throw .dataset(path: path, place: "line \(row.line)", reason: "the training data has no class '\(row.label)'")
      }
      samples.append(Dataset.Sample(place: .file(file), label: label))
    }
    guard !samples.isEmpty else { throw .dataset(path: path, place: "line 1", reason: "it names no picture") }
    return Dataset(classes: names, samples: samples)
  }

  private typealias Row = (line: Int, file: String, label: String)

  private static func checked(_ row: Row, _ path: String) throws(TrainingError) -> Row {
    guard !row.file.isEmpty, !row.file.utf8.contains(0), !row.label.isEmpty else {
      throw .dataset(path: path, place: "line \(row.line)", reason: "the filename or the label is empty")
    }
    return row
  }

  private static func jsonRows(_ text: String, _ path: String) throws(TrainingError) -> [Row] {
    var rows: [Row] = []
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
    where !line.allSatisfy(\.isWhitespace) {
      do throws(JSON.Fault) {
        let json = try JSON(parsing: String(line))
        guard case .object(let members) = json.value,
          let file = members.first(where: { $0.name == "filename" }),
          let label = members.first(where: { $0.name == "label" })
        else { throw JSON.Fault(offset: 0, reason: "an object with filename and label is wanted") }
        rows.append((index + 1, try file.value.string("filename"), try label.value.string("label")))
      } catch {
        throw .dataset(path: path, place: "line \(index + 1)", reason: error.reason)
      }
    }
    return try rows.map { row throws(TrainingError) in try checked(row, path) }
  }

  private static func csvRows(_ text: String, _ path: String) throws(TrainingError) -> [Row] {
    var rows: [Row] = []
    var columns: (file: Int, label: Int, count: Int)?
    for (line, fields) in try CSV.records(text, path) {
      guard let columns else {
        guard let file = fields.firstIndex(of: "filename"), let label = fields.firstIndex(of: "label") else {
          throw .dataset(path: path, place: "line \(line)", reason: "the header must name filename and label")
        }
        columns = (file, label, fields.count)
        continue
      }
      guard fields.count == columns.count else {
        throw .dataset(
          path: path, place: "line \(line)", reason: "\(fields.count) fields, the header has \(columns.count)")
      }
      rows.append(try checked((line, fields[columns.file], fields[columns.label]), path))
    }
    return rows
  }
}

/// Comma-separated records as RFC 4180 has them.
enum CSV {
  static func records(_ text: String, _ path: String) throws(TrainingError) -> [(line: Int, fields: [String])] {
    var records: [(line: Int, fields: [String])] = []
    var (line, start) = (1, 1)
    var fields: [String] = []
    var field: [UInt8] = []
    var isQuoted = false
    var isBlank = true
    let bytes = Array(text.utf8)
    var index = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
    func end() {
      fields.append(String(decoding: field, as: UTF8.self))
      field = []
    }
    while index < bytes.count {
      let byte = bytes[index]
      index += 1
      if byte == UInt8(ascii: "\n") { line += 1 }
      if isQuoted {
        if byte != UInt8(ascii: "\"") {
          field.append(byte)
        } else if index < bytes.count, bytes[index] == byte {
          field.append(byte)
          index += 1
        } else {
          isQuoted = false
        }
        continue
      }
      switch byte {
      case UInt8(ascii: "\"") where field.isEmpty:
        isQuoted = true
        isBlank = false
      case UInt8(ascii: ","):
        end()
        isBlank = false
      case UInt8(ascii: "\r") where index < bytes.count && bytes[index] == UInt8(ascii: "\n"): continue
      case UInt8(ascii: "\n"):
        end()
        if !isBlank { records.append((start, fields)) }
        (fields, start, isBlank) = ([], line, true)
      default:
        field.append(byte)
        isBlank = false
      }
    }
    guard !isQuoted else { throw .dataset(path: path, place: "line \(start)", reason: "a quote is never closed") }
    if !isBlank {
      end()
      records.append((start, fields))
    }
    return records
  }
}
