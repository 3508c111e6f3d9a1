internal import Engine
internal import Platform

/// The service's state as lines for people.
struct StatusView {
  private let status: JSON
  private let before: (status: JSON, seconds: Double)?

  /// `before`: an earlier state and how many seconds lie between, for rates.
  init(_ status: JSON, before: (status: JSON, seconds: Double)?) {
    self.status = status
    self.before = before
  }

  var lines: [String] {
    var lines = [
      "lookout \(text("version"))   \(text("status"))\(status["paused"]?.flag == true ? ", paused" : "")   "
        + "up \(Self.duration(status["uptime_s"]?.number ?? 0))   \(whole("workers")) workers   "
        + "\(whole("resident_bytes") >> 20) MiB"
    ]
    for reason in status["reasons"]?.items ?? [] { lines.append("  ! \(shown(reason.asText ?? ""))") }
    lines += ["", counts, waiting, ""]
    for watch in status["watches"]?.items ?? [] {
      let sinks = (watch["sinks"]?.items ?? []).compactMap(\.asText).joined(separator: ", ")
      lines.append(
        "watch  \(Self.padded(watch["name"]?.asText, 14)) \(Self.padded(watch["condition"]?.asText, 8)) "
          + "\(shown(watch["path"]?.asText ?? "")) → \(watch["model"]?.asText ?? "") → \(sinks)")
    }
    for sink in status["sinks"]?.items ?? [] {
      let condition = sink["open"]?.flag == true ? "open" : "waiting"
      lines.append(
        "sink   \(Self.padded(sink["name"]?.asText, 14)) \(Self.padded(condition, 8)) \(sink["plugin"]?.asText ?? ""), "
          + "lag \(sink["lag"]?.whole ?? 0), dead letters \(sink["dead_letters"]?.whole ?? 0)")
    }
    for model in status["models"]?.items ?? [] {
      lines.append(
        "model  \(Self.padded(model["name"]?.asText, 14)) \((model["digest"]?.asText ?? "").prefix(12)) "
          + "\(model["labels"]?.whole ?? 0) labels, \(shown(model["file"]?.asText ?? ""))")
    }
    return lines
  }

  private var counts: String {
    let now = status["since_start"]
    func count(_ name: String) -> Int { now?[name]?.whole ?? 0 }
    var line =
      "since start   \(count("answered")) answered (\(count("reused")) reused), \(count("failed")) failed, "
      + "\(count("quarantined")) quarantined, \(count("requested")) over HTTP"
    if let before, before.seconds > 0 {
      let earlier = before.status["since_start"]
      let done = ["answered", "failed", "requested"].reduce(0) { $0 + count($1) - (earlier?[$1]?.whole ?? 0) }
      line += "   \(Self.decimal(Double(max(0, done)) / before.seconds)) images/s"
    }
    return line
  }

  private var waiting: String {
    let queues = (status["queues"]?.items ?? []).map { "\($0["images"]?.whole ?? 0) \($0["name"]?.asText ?? "")" }
    let ledger = status["ledger"]
    let stored = [
      "\(ledger?["unprocessed"]?.whole ?? 0) unprocessed", "\(ledger?["awaiting_sinks"]?.whole ?? 0) for sinks",
      "\(ledger?["awaiting_disposal"]?.whole ?? 0) to leave",
    ]
    return "waiting       \((queues + stored).joined(separator: ", "))   "
      + "oldest \(Self.duration(status["oldest_unprocessed_s"]?.number ?? 0))"
  }

  private func text(_ name: String) -> String { status[name]?.asText ?? "" }

  private func whole(_ name: String) -> Int { status[name]?.whole ?? 0 }

  /// Control characters must not reach a terminal.
  private func shown(_ text: String) -> String { Path(Array(text.utf8.filter { $0 != 0 })).displayed }

  private static func padded(_ text: String?, _ width: Int) -> String {
    let text = text ?? ""
    return text + String(repeating: " ", count: max(0, width - text.count))
  }

  private static func decimal(_ value: Double) -> String {
    let tenths = Int((value * 10).rounded())
    return "\(tenths / 10).\(tenths % 10)"
  }

  static func duration(_ seconds: Double) -> String {
    let whole = Int(seconds)
    switch whole {
    case ..<60: return "\(decimal(seconds)) s"
    case ..<3600: return "\(whole / 60) min \(whole % 60) s"
    case ..<86_400: return "\(whole / 3600) h \(whole / 60 % 60) min"
    default: return "\(whole / 86_400) d \(whole / 3600 % 24) h"
    }
  }
}
