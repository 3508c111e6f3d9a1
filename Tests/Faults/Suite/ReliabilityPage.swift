internal import Glibc
internal import TestSupport

/// The table of figures in `docs/RELIABILITY.md`, which the suite itself writes.
package enum ReliabilityPage {
  private static let begin = "<!-- figures: written by `make faults` -->"
  private static let end = "<!-- end of figures -->"

  /// Puts the rows of these reports into the page; rows of scenarios that did not run stay.
  package static func update(_ path: String, with reports: [Scenario.Report]) throws {
    let text = Files.text(path)
    guard let start = text.firstRange(of: begin), let stop = text.firstRange(of: end),
      start.upperBound < stop.lowerBound
    else { throw SiteError("\(path): the marks '\(begin)' and '\(end)' are not there") }
    var rows: [String: String] = [:]
    for line in text[start.upperBound..<stop.lowerBound].split(separator: "\n") {
      guard line.hasPrefix("| `"), let name = line.dropFirst(3).split(separator: "`").first else { continue }
      rows[String(name)] = String(line)
    }
    for report in reports { rows[report.scenario] = row(report) }
    var table = [
      begin, "", "| scenario | what happens | verdict | faults | figures | took |", "|---|---|---|---|---|---|",
    ]
    table += Suite.scenarios.compactMap { rows[$0.name] }
    table.append("")
    let page = text[..<start.lowerBound] + table.joined(separator: "\n") + "\n" + text[stop.lowerBound...]
    Files.write(Array(page.utf8), to: path)
  }

  private static func row(_ report: Scenario.Report) -> String {
    let verdict =
      switch report.verdict {
      case .passed: "passed"
      case .failed(let reasons): "**failed**: \(reasons.first ?? "")"
      case .impossible(let reason): "not possible on this machine: \(reason)"
      }
    let figures = report.figures.map { "\($0.name) \($0.value)" }.joined(separator: "; ")
    let cells = [
      "`\(report.scenario)`", report.title, verdict, "\(report.faults)", figures, "\(Int(report.seconds)) s",
    ]
    return "| " + cells.map { $0.split(separator: "|").joined(separator: "/") }.joined(separator: " | ") + " |"
  }
}
