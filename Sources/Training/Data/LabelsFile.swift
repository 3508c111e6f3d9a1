internal import Engine
internal import Platform

/// A text file that names pictures and their classes: CSV with the header `filename,label`, or JSON Lines of such keys.
///
/// Where a picture may show several classes or none the second is called `labels`: in CSV their names with semicolons between
/// them, in JSON a list of strings. Names of files are relative to the folder of pictures.
enum LabelsFile {
  static func read(_ path: String, folder: Path, classes: [String]?) throws(TrainingError) -> Dataset {
    let bytes = try WholeFile.read(path)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw .dataset(path: path, place: "line 1", reason: "it is no UTF-8 text")
    }
    let isJSON = path.hasSuffix(".jsonl") || path.hasSuffix(".ndjson") || text.first == "{"
    let rows = isJSON ? try jsonRows(text, path) : try csvRows(text, path)
    let names =
      classes ?? Array(Set(rows.flatMap(\.labels))).sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
    let numbers = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, $0) })
    var samples: [Dataset.Sample] = []
    for row in rows {
      let file = row.file.hasPrefix("/") ? Path(row.file) : folder.appending(row.file)
      guard (try? FileStatus.of(file, followingLinks: true))?.kind == .regular else {
        throw .dataset(path: path, place: "line \(row.line)", reason: "there is no file \(file.displayed)")
      }
      var labels: [Int] = []
      for name in row.labels {
        guard let label = numbers[name] else {
          throw .dataset(path: path, place: "line \(row.line)", reason: "the training data has no class '\(name)'")
        }
        labels.append(label)
      }
      samples.append(
        Dataset.Sample(place: .file(file), truth: row.isList ? .several(labels.sorted()) : .one(labels[0])))
    }
    guard !samples.isEmpty else { throw .dataset(path: path, place: "line 1", reason: "it names no picture") }
    return Dataset(classes: names, samples: samples)
  }

  /// `labels` is exactly one unless the file lists them.
  private typealias Row = (line: Int, file: String, labels: [String], isList: Bool)

  private static func checked(_ row: Row, _ path: String) throws(TrainingError) -> Row {
    guard !row.file.isEmpty, !row.file.utf8.contains(0), !row.labels.contains("") else {
      throw .dataset(path: path, place: "line \(row.line)", reason: "the filename or a label is empty")
    }
    if let name = row.labels.repeated {
      throw .dataset(path: path, place: "line \(row.line)", reason: "the label '\(name)' stands there twice")
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
          let label = members.first(where: { $0.name == "label" || $0.name == "labels" })
        else { throw JSON.Fault(offset: 0, reason: "an object with filename and label, or labels, is wanted") }
        let isList = label.name == "labels"
        var labels: [String] = []
        for element in isList ? try label.value.elements("labels") : [label.value] {
          labels.append(try element.string("label"))
        }
        rows.append((index + 1, try file.value.string("filename"), labels, isList))
      } catch {
        throw .dataset(path: path, place: "line \(index + 1)", reason: error.reason)
      }
    }
    return try rows.map { row throws(TrainingError) in try checked(row, path) }
  }

  private static func csvRows(_ text: String, _ path: String) throws(TrainingError) -> [Row] {
    var rows: [Row] = []
    var columns: (file: Int, label: Int, isList: Bool, count: Int)?
    for (line, fields) in try CSV.records(text, path) {
      guard let columns else {
        guard let file = fields.firstIndex(of: "filename"),
          let label = fields.firstIndex(where: { $0 == "label" || $0 == "labels" })
        else {
          throw .dataset(
            path: path, place: "line \(line)", reason: "the header must name filename and label, or labels")
        }
        columns = (file, label, fields[label] == "labels", fields.count)
        continue
      }
      guard fields.count == columns.count else {
        throw .dataset(
          path: path, place: "line \(line)", reason: "\(fields.count) fields, the header has \(columns.count)")
      }
      var labels = [fields[columns.label]]
      if columns.isList { labels = labels[0].isEmpty ? [] : labels[0].fields(between: ";") }
      rows.append(try checked((line, fields[columns.file], labels, columns.isList), path))
    }
    return rows
  }
}

extension String {
  /// The parts between separators, empty ones too.
  fileprivate func fields(between separator: Character) -> [String] {
    split(separator: separator, omittingEmptySubsequences: false).map(String.init)
  }
}
