/// How a run went, as a picture: loss and share of right answers over the epochs.
///
/// A whole SVG document that needs no style sheet, so that it serves as a file and within a page.
struct TrainingCurves {
  private let history: [EpochRecord]

  init(_ history: [EpochRecord]) { self.history = history }

  var svg: String {
    let plots = [
      LinePlot(
        title: "loss",
        lines: [("training", history.map(\.trainLoss)), ("validation", history.compactMap(\.validationLoss))]),
      LinePlot(
        title: "share right",
        lines: [
          ("training", history.map(\.trainAccuracy)), ("validation", history.compactMap(\.validationAccuracy)),
        ]),
    ]
    let (width, height) = (LinePlot.outerWidth * Double(plots.count), LinePlot.outerHeight)
    var svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(width) \(height)\" width=\"\(width)\" "
    svg += "font-family=\"sans-serif\" font-size=\"11\"><rect width=\"\(width)\" height=\"\(height)\" fill=\"#fff\"/>"
    for (index, plot) in plots.enumerated() {
      svg += "\n<g transform=\"translate(\(LinePlot.outerWidth * Double(index)),0)\">\(plot.body)</g>"
    }
    return svg + "</svg>\n"
  }
}

/// Lines over epochs.
struct LinePlot {
  let title: String
  let lines: [(name: String, values: [Double])]

  private static let (width, height, left) = (320.0, 160.0, 40.0)
  static let outerWidth = width + left + 20
  static let outerHeight = height + 40
  private static let colours = ["#2266bb", "#cc5522"]

  /// The elements, from 0, 0 to `outerWidth`, `outerHeight`.
  var body: String {
    let (width, height, left) = (Self.width, Self.height, Self.left)
    let all = lines.flatMap(\.values).filter(\.isFinite)
    guard let least = all.min(), let most = all.max() else { return "" }
    let span = most > least ? most - least : 1
    let longest = lines.map(\.values.count).max() ?? 1
    func short(_ value: Double) -> String { HTMLReport.short(value) }
    var svg = "<rect x=\"\(left)\" y=\"10\" width=\"\(width)\" height=\"\(height)\" fill=\"none\" stroke=\"#bbb\"/>"
    svg += "<text x=\"\(left - 4)\" y=\"20\" text-anchor=\"end\">\(short(most))</text>"
    svg += "<text x=\"\(left - 4)\" y=\"\(height + 10)\" text-anchor=\"end\">\(short(least))</text>"
    svg += "<text x=\"\(left)\" y=\"\(height + 28)\">\(title), epochs 1 to \(longest)</text>"
    for (line, colour) in zip(lines, Self.colours) where !line.values.isEmpty {
      let points = line.values.enumerated().filter { $0.element.isFinite }.map { epoch, value in
        let x = left + width * Double(epoch) / Double(max(1, longest - 1))
        return "\(short(x)),\(short(10 + height * (1 - (value - least) / span)))"
      }
      svg +=
        "<polyline fill=\"none\" stroke=\"\(colour)\" stroke-width=\"2\" points=\"\(points.joined(separator: " "))\"/>"
    }
    for (index, line) in lines.enumerated() where !line.values.isEmpty {
      svg += "<text x=\"\(left + width / 2)\" y=\"\(height / 2 + 16 * Double(index))\" "
      svg += "fill=\"\(Self.colours[index % Self.colours.count])\">\(line.name)</text>"
    }
    return svg
  }
}
