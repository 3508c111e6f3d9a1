internal import FoundationEssentials
internal import Glibc

/// `lookout bench`: how fast this installation is on this machine.
enum BenchCommand {
  private static let kinds = ["start", "latency", "memory"]

  static func run(_ words: [String]) throws(Failure) {
    let arguments = try Arguments(
      words, options: ["--model", "--photos", "--count", "--scratch"], switches: ["--json"])
    let wanted = arguments.operands.isEmpty ? kinds : arguments.operands
    for kind in wanted where !kinds.contains(kind) {
      throw .usage("bench measures \(kinds.joined(separator: ", ")), not '\(kind)'")
    }
    let count = try number(arguments, "--count", 1...100_000)
    let benches = DaemonBenches(
      model: try absolute(ClassifyCommand.modelPath(arguments["--model"])),
      photos: try BenchPhotos([arguments["--photos"] ?? "examples/photos"]),
      scratch: arguments["--scratch"] ?? "/tmp")
    var all: [Measurement] = []
    func take(_ measurements: [Measurement]) {
      all += measurements
      guard arguments.has("--json") else { return }
      for measurement in measurements { print(String(decoding: measurement.json, as: UTF8.self)) }
    }
    for kind in wanted {
      switch kind {
      case "start": take([try benches.start(rounds: count ?? 10)])
      case "latency": take([try benches.latency(count: count ?? 300)])
      default: take(try benches.memory(count: count ?? 1000))
      }
    }
    if !arguments.has("--json") { print(BenchTable.text(all)) }
    let broken = all.filter { !$0.isKept }
    if !broken.isEmpty { throw .data("\(broken.map(\.name).joined(separator: ", ")): above the bar") }
  }

  private static func number(
    _ arguments: Arguments, _ option: String, _ range: ClosedRange<Int>
  ) throws(Failure) -> Int? {
    guard let text = arguments[option] else { return nil }
    guard let number = Int(text), range.contains(number) else {
      throw .usage("\(option) takes a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// The daemon's configuration names files by absolute path.
  private static func absolute(_ path: String) throws(Failure) -> String {
    guard access(path, R_OK) == 0 else { throw .input("\(path): \(String(cString: strerror(errno)))") }
    return path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
  }
}
