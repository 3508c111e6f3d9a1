internal import Engine
internal import FoundationEssentials
internal import Glibc
internal import Platform

/// `lookout bench`: how fast this installation is on this machine.
struct BenchCommand {
  private static let kinds = ["machine", "engine", "decode", "pipeline", "start", "latency", "memory"]
  /// Measured when they are asked for by name.
  private static let details = ["layers", "algorithms"]
  private let wanted: [String]
  private let isJSON: Bool
  private let models: [String]
  private let photos: [String]
  private let scratch: String
  private let count: Int?
  private let batches: [Int]
  private let threads: [Int]
  private let precision: Precision
  private let compute: ComputeBenches

  static func run(_ words: [String]) throws(Failure) {
    if words.first == "training" { return try TrainingBench.run(Array(words.dropFirst())) }
    if words.first == "driven" { return try DrivenBench.run(Array(words.dropFirst())) }
    let broken = try BenchCommand(words).measure().filter { !$0.isKept }
    if !broken.isEmpty { throw .data("\(broken.map(\.name).joined(separator: ", ")): the bar is not kept") }
  }

  private init(_ words: [String]) throws(Failure) {
    let arguments = try Arguments(
      words,
      options: [
        "--model", "--photos", "--count", "--scratch", "--batch", "--threads", "--seconds", "--rounds",
        "--precision",
      ], switches: ["--json"])
    wanted = arguments.operands.isEmpty ? Self.kinds : arguments.operands
    let known = Self.kinds + Self.details
    for kind in wanted where !known.contains(kind) {
      throw .usage("bench measures \(known.joined(separator: ", ")), not '\(kind)'")
    }
    isJSON = arguments.has("--json")
    models = (arguments["--model"] ?? ClassifyCommand.modelPath(nil)).split(separator: ",").map(String.init)
    photos = (arguments["--photos"] ?? "examples/photos").split(separator: ",").map(String.init)
    scratch = arguments["--scratch"] ?? "/tmp"
    count = try Self.numbers(arguments, "--count", 1...100_000)?.first
    batches = try Self.numbers(arguments, "--batch", 1...256) ?? [1, 8, 32]
    threads = try Self.numbers(arguments, "--threads", 1...256) ?? Array(Set([1, Processors.count])).sorted()
    precision = try arguments.precision()
    guard let seconds = Double(arguments["--seconds"] ?? "0.5"), seconds > 0, seconds <= 60 else {
      throw .usage("--seconds takes a number above 0 and at most 60")
    }
    compute = ComputeBenches(
      seconds: seconds, rounds: try Self.numbers(arguments, "--rounds", 1...1000)?.first ?? 5)
  }

  /// Whole numbers, separated by commas.
  private static func numbers(
    _ arguments: Arguments, _ option: String, _ range: ClosedRange<Int>
  ) throws(Failure) -> [Int]? {
    guard let text = arguments[option] else { return nil }
    var numbers: [Int] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      guard let number = Int(part), range.contains(number) else {
        throw .usage("\(option) takes numbers from \(range.lowerBound) to \(range.upperBound)")
      }
      numbers.append(number)
    }
    return numbers
  }

  private func measure() throws(Failure) -> [Measurement] {
    var all: [Measurement] = []
    func take(_ measurement: Measurement) {
      all.append(measurement)
      if isJSON { print(String(decoding: measurement.json, as: UTF8.self)) }
    }
    func take(computed measurement: Measurement) {
      guard precision != .automatic else { return take(measurement) }
      take(measurement.under((name: "precision", value: precision.rawValue)))
    }
    if wanted.contains("machine") { for threads in threads { take(try compute.machine(threads: threads)) } }
    // Where few images pass at a time, batches of several sizes are the same problem.
    var known: Set<String> = []
    for path in models {
      for batch in wanted.contains(where: ["engine", "layers", "algorithms"].contains) ? batches : [] {
        let model = try PictureModel(path: path, precision: precision, expectedBatch: batch)
        for threads in wanted.contains("engine") ? threads : [] {
          take(computed: try compute.engine(model, batch: batch, threads: threads))
        }
        for layer in wanted.contains("layers") ? try compute.layers(model, batch: batch) : [] { take(computed: layer) }
        for algorithm in wanted.contains("algorithms") ? try compute.algorithms(model, known: &known) : [] {
          take(computed: algorithm)
        }
      }
      if wanted.contains("decode") {
        let model = try PictureModel(path: path, precision: precision)
        for isFull in [false, true] { take(try compute.decode(BenchPhotos(photos), model, isFull: isFull)) }
      }
    }
    guard wanted.contains(where: { ["pipeline", "start", "latency", "memory"].contains($0) }) else {
      return finish(all)
    }
    for path in models {
      let benches = try daemonBenches(path, photos)
      for folder in wanted.contains("pipeline") ? photos : [] {
        for measurement in try pipeline(path, folder) { take(computed: measurement) }
      }
      if wanted.contains("start") { take(computed: try benches.start(rounds: count ?? 10)) }
      if wanted.contains("latency") { take(computed: try benches.latency(count: count ?? 300)) }
      for measurement in wanted.contains("memory") ? try benches.memory(count: count ?? 1000) : [] {
        take(computed: measurement)
      }
    }
    return finish(all)
  }

  private func daemonBenches(_ path: String, _ photos: [String]) throws(Failure) -> DaemonBenches {
    DaemonBenches(
      model: try Self.absolute(path), precision: precision, photos: try BenchPhotos(photos), scratch: scratch)
  }

  /// A folder's photos through a daemon; its batches have at most the eight images that are the configuration's default.
  private func pipeline(_ path: String, _ folder: String) throws(Failure) -> [Measurement] {
    let benches = try daemonBenches(path, [folder])
    let model = try PictureModel(path: path, precision: precision, expectedBatch: 8)
    let workers = threads.last ?? 1
    return try benches.pipeline(
      Path(folder).lastComponent.isEmpty ? folder : String(decoding: Path(folder).lastComponent, as: UTF8.self),
      count: count ?? 1000, rounds: compute.rounds, workers: workers
    ) { () throws(Failure) in try compute.parts(benches.photos, model, batch: 8, threads: workers) }
  }

  /// The table, and how busy the machine was besides.
  private func finish(_ all: [Measurement]) -> [Measurement] {
    guard !isJSON else { return all }
    print(BenchTable.text(all))
    var loads = [Double](repeating: 0, count: 3)
    if getloadavg(&loads, 3) == 3 { print("load of the machine, last minute: \(Measurement.text(loads[0]))") }
    return all
  }

  /// The daemon's configuration names files by absolute path.
  private static func absolute(_ path: String) throws(Failure) -> String {
    guard access(path, R_OK) == 0 else { throw .input("\(path): \(String(cString: strerror(errno)))") }
    return path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
  }
}
