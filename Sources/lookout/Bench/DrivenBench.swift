internal import Engine
internal import Glibc
internal import Platform

/// `lookout bench driven`: a network that measures and answers as it is told, line by line on standard input.
///
/// For whoever measures it in turn with other engines, all of them loaded and warm: `benchmarks/peers/run.py`.
///
/// - `setup BATCH THREADS FORM` makes plans: `replicas` gives each thread a batch of its own, `lanes` has all threads
///   work on one; it is answered by `ready`.
/// - `run SECONDS` is answered by images a second.
/// - `answer FILE`, a file of N×C×H×W floats as they lie in memory, is answered by `written` when FILE.out has the
///   network's N answers.
struct DrivenBench {
  private let path: String
  private let products: EngineOptions.Products
  private let precision: Precision
  private var network: any Network
  private let lanes: LaneGroup
  private var setup: Setup?

  /// The plans under measurement.
  private struct Setup {
    let batch: Int
    let runners: [BatchRunner]

    func run(for seconds: Double) -> Double {
      WorkRate.measured(of: runners.map { runner in { runner.runOnce() } }, each: batch, seconds: seconds)
    }
  }

  static func run(_ words: [String]) throws(Failure) {
    let arguments = try Arguments(words, options: ["--model", "--engine", "--precision"], switches: [])
    guard arguments.operands.isEmpty else { throw .usage("bench driven takes no operands") }
    let path = try arguments.required("--model")
    let isLibrary = arguments["--engine"] == "openblas"
    guard isLibrary || ["auto", nil].contains(arguments["--engine"]) else {
      throw .usage("--engine is auto or openblas")
    }
    let precision = try arguments.precision()
    guard precision != .bf16 || !isLibrary else {
      throw .usage("--engine openblas multiplies in fp32, which --precision bf16 contradicts")
    }
    let lanes = LaneGroup.processors()
    let products = isLibrary ? EngineOptions.Products.openBLAS : .automatic
    var bench = DrivenBench(
      path: path, products: products, precision: precision,
      network: try load(path, products, precision, batch: 1, lanes), lanes: lanes)
    while let line = readLine() {
      print(try bench.obey(line))
      // Who waits for the answer reads from a pipe.
      fflush(nil)
    }
  }

  /// The network as a service makes it ready whose batches are of so many images.
  private static func load(
    _ path: String, _ products: EngineOptions.Products, _ precision: Precision, batch: Int, _ lanes: LaneGroup
  ) throws(Failure) -> any Network {
    defer { Memory.giveBack() }
    do throws(EngineError) {
      let options = EngineOptions(products: products, usesBF16: precision == .bf16, expectedBatch: batch)
      return try WeightsFile.load(path: path, precision: precision, options: options, lanes: lanes).network
    } catch {
      if case .file = error { throw .input("\(error)") }
      throw .data("\(error)")
    }
  }

  private mutating func obey(_ line: String) throws(Failure) -> String {
    let words = line.split(separator: " ").map(String.init)
    switch (words.first, words.count) {
    case ("setup", 4):
      guard let batch = Int(words[1]), let threads = Int(words[2]), (1...256).contains(batch),
        (1...256).contains(threads)
      else { break }
      setup = nil
      network = try Self.load(path, products, precision, batch: batch, lanes)
      setup = try Self.setup(network, batch: batch, threads: threads, form: words[3])
      return "ready"
    case ("run", 2):
      guard let setup, let seconds = Double(words[1]), seconds > 0, seconds <= 60 else { break }
      return "\(setup.run(for: seconds))"
    case ("answer", 2):
      try answer(words[1])
      return "written"
    default: break
    }
    throw .usage("'\(line)' is neither setup BATCH THREADS FORM, run SECONDS after it, nor answer FILE")
  }

  private static func setup(_ network: any Network, batch: Int, threads: Int, form: String) throws(Failure) -> Setup {
    do throws(EngineError) {
      switch form {
      case "replicas":
        var runners: [BatchRunner] = []
        let images = BatchImages(network.inputShape, count: batch)
        for _ in 0..<threads { runners.append(BatchRunner(try network.plan(batchCapacity: batch), images)) }
        for runner in runners { runner.runOnce() }
        return Setup(batch: batch, runners: runners)
      case "lanes":
        guard let network = network as? CompiledNetwork else { break }
        let lanes = LaneGroup(LanePool(count: threads, name: "lane"))
        let runner = BatchRunner(
          try InferencePlan(network: network, batchCapacity: batch, lanes: lanes),
          BatchImages(network.inputShape, count: batch))
        runner.runOnce()
        return Setup(batch: batch, runners: [runner])
      default: break
      }
    } catch {
      throw .data("\(error)")
    }
    throw .usage("a network in floats computes as replicas or lanes, one in bytes as replicas, not as '\(form)'")
  }

  private func answer(_ path: String) throws(Failure) {
    let bytes: [UInt8]
    do throws(PlatformError) { bytes = try AtomicFile.read(Path(path), limit: 1 << 30) } catch {
      throw .input("\(path): \(error)")
    }
    let shape = network.inputShape
    let each = shape.countPerImage * 4
    guard !bytes.isEmpty, bytes.count % each == 0 else {
      throw .data("\(path): \(bytes.count) bytes are no number of \(shape.c)×\(shape.h)×\(shape.w) floats")
    }
    var answers: [Float] = []
    do throws(EngineError) {
      let plan = try network.plan(batchCapacity: 1, lanes: lanes)
      for start in stride(from: 0, to: bytes.count, by: each) {
        let planar = [Float](unsafeUninitializedCapacity: shape.countPerImage) { floats, count in
          bytes[start..<start + each].withUnsafeBytes { UnsafeMutableRawBufferPointer(floats).copyMemory(from: $0) }
          count = shape.countPerImage
        }
        answers += plan.answer(to: shape.channelsLast(planar))
      }
    } catch {
      throw .data("\(error)")
    }
    do throws(PlatformError) {
      try FileDescriptor.open(Path(path + ".out"), flags: [.writeOnly, .create, .truncate], mode: 0o644)
        .writeAll(answers.withUnsafeBytes { Array($0) })
    } catch {
      throw .output("\(error)")
    }
  }
}
