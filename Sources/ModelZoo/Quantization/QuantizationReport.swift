internal import Engine

/// What `lookout quantize` tells about its work.
package struct QuantizationReport: Sendable {
  package let source: String
  package let output: String
  /// Pairs of layers whose ranges were evened out.
  package let equalized: Int
  /// Photos that gave the ranges, and photos that judged.
  package let used: Int
  package let held: Int
  /// Files that are no readable pictures.
  package let unreadable: Int
  package let method: String
  package let agreement: Agreement
  /// Relative root mean square error of each value, in the order of the graph.
  package let layers: [(name: String, error: Double)]

  package init(
    source: String, output: String, equalized: Int, used: Int, held: Int, unreadable: Int, method: String,
    agreement: Agreement, layers: [(name: String, error: Double)]
  ) {
    self.source = source
    self.output = output
    self.equalized = equalized
    self.used = used
    self.held = held
    self.unreadable = unreadable
    self.method = method
    self.agreement = agreement
    self.layers = layers
  }

  /// For people: the verdict and the ten values that are furthest off.
  package var text: String {
    let worst = layers.sorted { $0.error > $1.error }.prefix(10)
    let passed = unreadable > 0 ? ", \(unreadable) unreadable files passed over" : ""
    return """
      \(output): ranges by \(method) from \(used) photos\(passed), \(equalized) pairs of layers equalized
      on \(held) other photos, int8 against \(source):
        same best class          \(Self.percent(agreement.top1))
        best among its five best \(Self.percent(agreement.top5))
        cosine, mean and least   \(Self.digits(agreement.meanCosine)) \(Self.digits(agreement.leastCosine))
      values furthest off, as a part of their size:
      \(worst.map { "  \(Self.percent($0.error))  \($0.name)" }.joined(separator: "\n"))
      """
  }

  /// For scripts: one object.
  package var json: String {
    JSON.object([
      "source": .string(source), "output": .string(output), "method": .string(method),
      "equalized_pairs": .integer(equalized), "calibration_photos": .integer(used), "judging_photos": .integer(held),
      "unreadable_files": .integer(unreadable), "top1": .float(Float(agreement.top1)),
      "top5": .float(Float(agreement.top5)), "mean_cosine": .float(Float(agreement.meanCosine)),
      "least_cosine": .float(Float(agreement.leastCosine)),
      "values": .array(
        layers.map { .object(["name": .string($0.name), "relative_error": .float(Float($0.error))]) }),
    ]).text
  }

  private static func percent(_ part: Double) -> String { "\((part * 1e4).rounded() / 1e2) %" }
  private static func digits(_ number: Double) -> String { "\((number * 1e5).rounded() / 1e5)" }
}
