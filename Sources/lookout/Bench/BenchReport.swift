internal import LookoutSinkKit

/// One quantity, measured several times.
struct Measurement {
  /// What was measured, as `latency` or `engine`.
  let name: String
  /// Under which circumstances: network, batch, threads, picture size.
  let conditions: [(name: String, value: String)]
  /// As `ms`, `MiB` or `images/s`.
  let unit: String
  /// At least one, in the order taken.
  let samples: [Double]
  /// What the measurement must keep; nil without a promise.
  var bar: Bar?

  /// A promise about one statistic of a measurement.
  struct Bar {
    let statistic: Statistic
    let limit: Double
    let isLowest: Bool

    init(statistic: Statistic, below limit: Double) {
      (self.statistic, self.limit, isLowest) = (statistic, limit, false)
    }

    init(statistic: Statistic, atLeast limit: Double) {
      (self.statistic, self.limit, isLowest) = (statistic, limit, true)
    }

    var text: String { "\(statistic.rawValue) \(isLowest ? "≥" : "<") \(Measurement.text(limit))" }
  }

  enum Statistic: String { case median, p99, max }

  init(
    _ name: String, _ conditions: [(name: String, value: String)] = [], unit: String, samples: [Double],
    bar: Bar? = nil
  ) {
    precondition(!samples.isEmpty, "a measurement has samples")
    self.name = name
    self.conditions = conditions
    self.unit = unit
    self.samples = samples
    self.bar = bar
  }

  /// The same, under one more circumstance.
  func under(_ condition: (name: String, value: String)) -> Measurement {
    Measurement(name, conditions + [condition], unit: unit, samples: samples, bar: bar)
  }

  /// The sample below which this share of all samples lies: the nearest rank.
  func quantile(_ share: Double) -> Double {
    let sorted = samples.sorted()
    return sorted[min(sorted.count - 1, max(0, Int((share * Double(sorted.count)).rounded(.up)) - 1))]
  }

  func value(of statistic: Statistic) -> Double {
    switch statistic {
    case .median: quantile(0.5)
    case .p99: quantile(0.99)
    case .max: quantile(1)
    }
  }

  /// The middle half of the samples as a share of the median: how far to trust it.
  var spread: Double {
    let middle = quantile(0.5)
    return middle == 0 ? 0 : (quantile(0.75) - quantile(0.25)) / middle
  }

  /// Whether the bar holds; true without one.
  var isKept: Bool {
    guard let bar else { return true }
    return bar.isLowest ? value(of: bar.statistic) >= bar.limit : value(of: bar.statistic) < bar.limit
  }

  /// The measurement as one line of JSON.
  var json: [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    json.key("measurement")
    json.value(name)
    for condition in conditions {
      json.key(condition.name)
      json.value(condition.value)
    }
    json.key("unit")
    json.value(unit)
    json.key("samples")
    json.value(samples.count)
    let statistics = [
      ("median", quantile(0.5)), ("min", quantile(0)), ("p99", quantile(0.99)), ("max", quantile(1)),
      ("spread", spread),
    ]
    for (name, value) in statistics {
      json.key(name)
      json.value(value)
    }
    if let bar {
      json.key("bar")
      json.value("\(bar.text) \(unit)")
      json.key("kept")
      json.value(isKept)
    }
    json.endObject()
    return json.bytes
  }

  var row: [String] {
    [
      ([name] + conditions.map(\.value)).joined(separator: " "), unit, Self.text(quantile(0.5)),
      Self.text(quantile(0.99)), Self.text(quantile(1)), "\(Int((spread * 100).rounded())) %", "\(samples.count)",
      bar.map { "\($0.text) \(isKept ? "kept" : "BROKEN")" } ?? "",
    ]
  }

  static let header = ["measurement", "unit", "median", "p99", "max", "spread", "samples", "bar"]

  /// Three significant digits are what a measurement gives.
  static func text(_ value: Double) -> String {
    let digits = value >= 100 ? 0 : value >= 10 ? 1 : 2
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let whole = Int((value * scale).rounded())
    guard digits > 0 else { return "\(whole)" }
    let fraction = String(whole % Int(scale))
    return "\(whole / Int(scale)).\(String(repeating: "0", count: digits - fraction.count))\(fraction)"
  }
}

/// A table of measurements for people, its columns as wide as they must be.
enum BenchTable {
  static func text(_ measurements: [Measurement]) -> String {
    let rows = [Measurement.header] + measurements.map(\.row)
    let widths = Measurement.header.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      row.indices.map { column in
        let blanks = String(repeating: " ", count: widths[column] - row[column].count)
        return column == 0 || column == row.count - 1 ? row[column] + blanks : blanks + row[column]
      }.joined(separator: "  ").trimmingTrailingBlanks
    }.joined(separator: "\n")
  }
}

extension String {
  fileprivate var trimmingTrailingBlanks: String {
    var text = self[...]
    while text.last == " " { text.removeLast() }
    return String(text)
  }
}
