/// Builds the text that Prometheus reads (exposition format 0.0.4).
struct MetricsText {
  private(set) var text = ""

  /// One family: its head, then its samples.
  mutating func add(_ metric: Metric, _ samples: [(labels: KeyValuePairs<String, String>, value: Double)]) {
    guard !samples.isEmpty else { return }
    head(metric)
    for sample in samples { line(metric.rawValue, Array(sample.labels), sample.value) }
  }

  mutating func add(_ metric: Metric, _ value: Double) { add(metric, [([:] as KeyValuePairs<String, String>, value)]) }

  mutating func add(_ metric: Metric, _ value: Int) { add(metric, Double(value)) }

  /// A family of histograms; `unit` turns what they hold into what Prometheus wants.
  mutating func add(
    _ metric: Metric, _ samples: [(labels: KeyValuePairs<String, String>, reading: Histogram.Reading)], unit: Double
  ) {
    guard !samples.isEmpty else { return }
    head(metric)
    for (labels, reading) in samples {
      let labels = Array(labels)
      for (bound, count) in zip(reading.bounds, reading.cumulative) {
        line(
          "\(metric.rawValue)_bucket", labels + [("le", Self.number(Self.rounded(Double(bound) * unit)))], Double(count)
        )
      }
      line("\(metric.rawValue)_bucket", labels + [("le", "+Inf")], Double(reading.count))
      line("\(metric.rawValue)_sum", labels, Double(reading.sum) * unit)
      line("\(metric.rawValue)_count", labels, Double(reading.count))
    }
  }

  /// Without the last bits that a product leaves: 0.0005, not 0.0005000000000000001.
  private static func rounded(_ value: Double) -> Double { (value * 1e6).rounded() / 1e6 }

  private mutating func head(_ metric: Metric) {
    text += "# HELP \(metric.rawValue) \(metric.help)\n# TYPE \(metric.rawValue) \(metric.kind.rawValue)\n"
  }

  private mutating func line(_ name: String, _ labels: [(key: String, value: String)], _ value: Double) {
    text += name
    if !labels.isEmpty {
      text += "{" + labels.map { "\($0.key)=\"\(Self.escaped($0.value))\"" }.joined(separator: ",") + "}"
    }
    text += " \(Self.number(value))\n"
  }

  private static func number(_ value: Double) -> String {
    if let whole = Int64(exactly: value) { return "\(whole)" }
    return "\(value)"
  }

  private static func escaped(_ text: String) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": escaped += "\\\\"
      case "\"": escaped += "\\\""
      case "\n": escaped += "\\n"
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}
