internal import HTTPServer
internal import LookoutSinkKit
internal import Platform

/// How the service is, as a page for a browser: one file without a script, an image or anything from elsewhere.
struct StatusPage {
  let status: ServiceStatus
  let health: Health
  let tally: Tally
  /// The latest files in quarantine, the latest first; nil if the ledger cannot be asked now.
  let failures: [ArrivalHistory]?
  /// Whether the reader may know files by their names; others see only why they were refused.
  let showsNames: Bool

  /// How often a browser asks again.
  private static let refreshSeconds = 5
  private static let style = """
    body{font:15px/1.45 system-ui,sans-serif;margin:1.5rem auto;max-width:70rem;padding:0 1rem;color:#222;background:#fff}
    h1{font-size:1.3rem}h2{font-size:1.05rem;margin:1.4rem 0 .3rem}table{border-collapse:collapse;width:100%}
    th,td{text-align:left;padding:.2rem .8rem .2rem 0;border-bottom:1px solid #ddd;vertical-align:top;overflow-wrap:anywhere}
    th{font-weight:600}.ready{color:#17692f}.degraded,.unready{color:#a4261b}
    @media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}th,td{border-color:#444}
    .ready{color:#7fd196}.degraded,.unready{color:#ff9d92}}
    """

  /// With what keeps a browser from running or loading anything, whatever a name on the page holds.
  var response: Response {
    Response(
      status: 200, contentType: "text/html; charset=utf-8", body: Array(text.utf8),
      headers: [
        ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
        ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"), ("Cache-Control", "no-store"),
      ])
  }

  private var text: String {
    var page = HTMLText()
    page.open(title: "Lookout", style: Self.style, refreshSeconds: Self.refreshSeconds)
    let verdict = health.verdict.rawValue
    page.raw("<h1>Lookout \(HTMLText.escaped(status.version)): <span class=\"\(verdict)\">\(verdict)</span></h1>\n")
    page.list(health.reasons)
    page.table(
      "Service", ["", ""],
      [
        ["up", Self.duration(status.uptimeNanoseconds)], ["workers", "\(status.workers)"],
        ["memory", "\(status.residentBytes >> 20) MiB resident, at most \(status.memoryBoundBytes >> 20) MiB planned"],
        [
          "since start",
          "\(tally.answered.value) answered (\(tally.reused.value) reused), \(tally.failed.value) failed, "
            + "\(tally.quarantined.value) quarantined, \(tally.requested.value) over HTTP",
        ],
        ["oldest unprocessed", Self.duration(status.oldestUnprocessedNanoseconds)],
      ])
    page.table(
      "Watches", ["name", "condition", "folder", "model", "sinks"],
      status.watches.map { [$0.name, $0.condition.rawValue, $0.path, $0.model, $0.sinks.joined(separator: ", ")] })
    page.table("Queues", ["name", "waiting"], status.queues.map { [$0.name, "\($0.depth)"] } + stored)
    page.table(
      "Sinks", ["name", "plugin", "condition", "lag", "dead letters"],
      status.sinks.map { sink in
        [
          sink.name, sink.plugin, sink.isOpen ? "open" : sink.trouble ?? "waiting", Self.number(sink.lag),
          Self.number(sink.deadLetters),
        ]
      })
    page.table(
      "Models", ["name", "digest", "labels", "file"],
      status.models.map { [$0.name, String($0.digest.prefix(12)), "\($0.labels.count)", $0.file] })
    addFailures(to: &page)
    page.close()
    return page.text
  }

  private var stored: [[String]] {
    guard let ledger = status.ledger else { return [] }
    return [
      ["unprocessed", "\(ledger.seen)"], ["for sinks", "\(ledger.awaitingSinks)"],
      ["to leave their folder", "\(ledger.readyToDispose)"],
    ]
  }

  private func addFailures(to page: inout HTMLText) {
    guard let failures else { return page.list(["the ledger cannot be asked now"]) }
    let names = showsNames ? ["file"] : []
    page.table(
      "Last failures", ["time", "watch"] + names + ["reason"],
      failures.map { failure in
        let path = Path(failure.arrival.path).displayed
        let reason = failure.reason ?? ""
        return [
          timestamp(nanoseconds: failure.finishedNanoseconds ?? failure.admittedNanoseconds), failure.arrival.watch,
        ] + (showsNames ? [path, reason] : [reason.replacing(path, with: "the file")])
      })
  }

  private static func number(_ count: Int?) -> String { count.map { "\($0)" } ?? "unknown" }

  private static func duration(_ nanoseconds: Int64) -> String {
    let seconds = nanoseconds / 1_000_000_000
    switch seconds {
    case ..<60: return "\(seconds) s"
    case ..<3600: return "\(seconds / 60) min \(seconds % 60) s"
    default: return "\(seconds / 3600) h \(seconds / 60 % 60) min"
    }
  }
}

/// HTML whose cells are text, whatever they hold.
private struct HTMLText {
  private(set) var text = ""

  mutating func raw(_ more: String) { text += more }

  mutating func open(title: String, style: String, refreshSeconds: Int) {
    text += "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    text += "<meta name=\"viewport\" content=\"width=device-width\">\n"
    text += "<meta http-equiv=\"refresh\" content=\"\(refreshSeconds)\">\n"
    text += "<title>\(Self.escaped(title))</title>\n<style>\n\(style)\n</style>\n</head>\n<body>\n"
  }

  mutating func close() { text += "</body>\n</html>\n" }

  mutating func list(_ items: [String]) {
    guard !items.isEmpty else { return }
    text += "<ul>\n" + items.map { "<li>\(Self.escaped($0))</li>\n" }.joined() + "</ul>\n"
  }

  /// A table below a heading; without rows it says so.
  mutating func table(_ heading: String, _ columns: [String], _ rows: [[String]]) {
    text += "<h2>\(Self.escaped(heading))</h2>\n"
    guard !rows.isEmpty else {
      text += "<p>none</p>\n"
      return
    }
    text += "<table>\n"
    if columns.contains(where: { !$0.isEmpty }) { text += Self.row("th", columns) }
    for row in rows { text += Self.row("td", row) }
    text += "</table>\n"
  }

  private static func row(_ tag: String, _ cells: [String]) -> String {
    "<tr>" + cells.map { "<\(tag)>\(escaped($0))</\(tag)>" }.joined() + "</tr>\n"
  }

  static func escaped(_ text: String) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      case "'": escaped += "&#39;"
      case _ where scalar.value < 0x20 || scalar.value == 0x7F: escaped += "\u{FFFD}"
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}
