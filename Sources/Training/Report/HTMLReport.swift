/// An evaluation as one HTML page that needs nothing else: tables, plots as SVG, pictures as data.
struct HTMLReport {
  private let evaluation: ModelEvaluation
  private let history: [EpochRecord]

  init(_ evaluation: ModelEvaluation, history: [EpochRecord]) {
    self.evaluation = evaluation
    self.history = history
  }

  private static let style = """
    body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
    table{border-collapse:collapse}td,th{padding:.2rem .7rem;text-align:right;border-bottom:1px solid #ddd}
    td:first-child,th:first-child{text-align:left}figure{display:inline-block;margin:.5rem;width:9rem;font-size:12px}
    figure img{width:8rem;image-rendering:pixelated}svg{max-width:100%}.num{font-size:2rem;margin-right:2rem}
    """

  var text: String {
    let m = evaluation.metrics
    var parts = [
      "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Evaluation</title><style>\(Self.style)</style>",
      "<h1>Evaluation</h1><p>\(Self.escaped(evaluation.modelPath))<br><small>\(evaluation.digest)</small></p>",
      "<p><span class=num>\(Self.percent(m.accuracy))</span>of \(m.count) pictures right · \(headline)macro F1 "
        + "\(Self.percent(m.macro.f1)) · log loss \(Self.short(m.logLoss)) · calibration error "
        + "\(Self.percent(m.calibrationError))</p>",
    ]
    if !history.isEmpty { parts += ["<h2>Curves</h2>", TrainingCurves(history).svg] }
    parts += ["<h2>Classes</h2>", classTable]
    if m.multiLabel == nil { parts += ["<h2>Confusion</h2>", confusionPlot] }
    parts += ["<h2>Calibration</h2>", calibration]
    if !evaluation.mistakes.isEmpty { parts += ["<h2>Worst mistakes</h2>", mistakes] }
    if !evaluation.unreadable.isEmpty {
      parts.append("<h2>Left out</h2><ul>")
      parts += evaluation.unreadable.map { "<li>\(Self.escaped($0.name)): \(Self.escaped($0.reason))</li>" }
      parts.append("</ul>")
    }
    return parts.joined(separator: "\n") + "\n"
  }

  private var headline: String {
    let m = evaluation.metrics
    if let topFive = m.topFive { return "among the first five \(Self.percent(topFive)) · " }
    guard let more = m.multiLabel else { return "" }
    return "in every class · mean average precision \(Self.percent(more.meanAveragePrecision)) · wrong decisions "
      + "\(Self.percent(more.hammingLoss)) · "
  }

  private var classTable: String {
    let m = evaluation.metrics
    let rows = m.classes.indices.map { c in
      let row = m.perClass[c]
      var text =
        "<tr><td>\(Self.escaped(m.classes[c]))<td>\(Self.percent(row.precision))<td>\(Self.percent(row.recall))"
        + "<td>\(Self.percent(row.f1))<td>\(row.support)"
      if let more = m.multiLabel {
        let decisions = more.decisions[c]
        text += "<td>\(Self.percent(more.averagePrecision[c]))<td>\(decisions.truePositives)"
        text += "<td>\(decisions.falsePositives)<td>\(decisions.falseNegatives)<td>\(decisions.trueNegatives)"
      }
      return text
    }
    let more = "<th>average precision<th>found<th>wrongly said<th>missed<th>rightly not said"
    return "<table><tr><th>class<th>precision<th>recall<th>F1<th>pictures\(m.multiLabel == nil ? "" : more)"
      + "\(rows.joined())</table>"
  }

  private var confusionPlot: String {
    let m = evaluation.metrics
    let cell = m.classes.count <= 20 ? 36 : max(4, 720 / m.classes.count)
    let margin = 120
    let side = margin + cell * m.classes.count
    var svg = "<svg viewBox=\"0 0 \(side + 8) \(side + 8)\" width=\"\(side)\" font-size=\"11\">"
    for (row, counts) in m.confusion.enumerated() {
      let total = max(1, counts.reduce(0, +))
      for (column, count) in counts.enumerated() where count > 0 {
        let share = Double(count) / Double(total)
        let colour = row == column ? "30,120,60" : "190,40,30"
        let (x, y) = (margin + column * cell, margin + row * cell)
        svg += "<rect x=\"\(x)\" y=\"\(y)\" width=\"\(cell - 1)\" height=\"\(cell - 1)\" "
        svg += "fill=\"rgba(\(colour),\(Self.short(0.08 + 0.92 * share)))\"><title>\(Self.escaped(m.classes[row])) as "
        svg += "\(Self.escaped(m.classes[column])): \(count)</title></rect>"
        if m.classes.count <= 20 {
          svg += "<text x=\"\(x + cell / 2)\" y=\"\(y + cell / 2 + 4)\" text-anchor=\"middle\">\(count)</text>"
        }
      }
    }
    if m.classes.count <= 20 {
      for (index, name) in m.classes.enumerated() {
        let place = margin + index * cell + cell / 2 + 4
        svg += "<text x=\"\(margin - 6)\" y=\"\(place)\" text-anchor=\"end\">\(Self.escaped(name))</text>"
        svg += "<text transform=\"translate(\(place),\(margin - 6)) rotate(-60)\">\(Self.escaped(name))</text>"
      }
    }
    return svg + "</svg><p>Rows: what the pictures show. Columns: the answers.</p>"
  }

  private var calibration: String {
    let size = 240.0
    var svg = "<svg viewBox=\"-30 -10 300 290\" width=\"300\" font-size=\"11\">"
    svg += "<rect width=\"\(size)\" height=\"\(size)\" fill=\"none\" stroke=\"#bbb\"/>"
    svg += "<line x1=\"0\" y1=\"\(size)\" x2=\"\(size)\" y2=\"0\" stroke=\"#bbb\" stroke-dasharray=\"4\"/>"
    for bin in evaluation.metrics.calibration where bin.count > 0 {
      svg +=
        "<circle cx=\"\(Self.short(bin.confidence * size))\" cy=\"\(Self.short(size - bin.accuracy * size))\" r=\"5\" "
      svg += "fill=\"#2a6\"><title>\(bin.count) pictures</title></circle>"
    }
    return svg + "<text x=\"0\" y=\"\(size + 20)\">how sure (0 to 1), upwards: how often right</text></svg>"
  }

  private var mistakes: String {
    evaluation.mistakes.map { mistake in
      "<figure><img alt=\"\" src=\"data:image/png;base64,\(Base64.encode(mistake.thumbnail))\"><figcaption>"
        + "\(Self.escaped(mistake.truth)), taken for <b>\(Self.escaped(mistake.answer))</b> "
        + "(\(Self.percent(mistake.confidence)))<br><small>\(Self.escaped(mistake.name))</small></figcaption></figure>"
    }.joined(separator: "\n")
  }

  static func escaped(_ text: String) -> String {
    var result = ""
    for character in text {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      default: result.append(character)
      }
    }
    return result
  }

  static func percent(_ share: Double) -> String { short(share * 100) + " %" }

  /// Two digits behind the point.
  static func short(_ value: Double) -> String {
    guard value.isFinite, value.magnitude < 1e15 else { return "–" }
    let hundredths = Int((value * 100).rounded())
    let rest = hundredths.magnitude % 100
    return "\(hundredths < 0 ? "-" : "")\(hundredths.magnitude / 100).\(rest < 10 ? "0" : "")\(rest)"
  }
}

/// RFC 4648.
package enum Base64 {
  package static func encode(_ bytes: [UInt8]) -> String {
    let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count + 2) / 3 * 4)
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let part = bytes[start..<min(bytes.count, start + 3)]
      let bits = part.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - part.count))
      for position in 0..<4 {
        text.append(position <= part.count ? letters[bits >> (18 - 6 * position) & 63] : UInt8(ascii: "="))
      }
    }
    return String(decoding: text, as: UTF8.self)
  }
}
