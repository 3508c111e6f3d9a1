internal import Engine
internal import Glibc
internal import Imaging
internal import ModelZoo
internal import Platform

/// `lookout quantize`: a weights file becomes one that computes in bytes.
enum QuantizeCommand {
  static func run(_ words: [String]) throws(Failure) {
    let arguments = try Arguments(
      words, options: ["--calibrate", "--method", "--percentile", "--photos", "-o"],
      switches: ["--no-equalize", "--json"])
    guard arguments.operands.count == 1 else { throw .usage("quantize takes one weights file") }
    let source = arguments.operands[0]
    let output = try arguments.required("-o")
    let methods = try methods(arguments)
    guard let limit = Int(arguments["--photos"] ?? "256"), (1...100_000).contains(limit) else {
      throw .usage("--photos takes a number from 1 to 100000")
    }
    let files = try PictureList.files(of: [try arguments.required("--calibrate")])
    do throws(EngineError) {
      try MatrixLibrary.prove()
      let weights = try WeightsFile.open(path: source)
      let preprocessing = try preprocessing(of: weights)
      var folded = try FoldedNetwork(graph: weights.graph, weights: weights)
      let equalized = arguments.has("--no-equalize") ? 0 : try folded.equalize()
      let photos = try photos(files, limit: limit, preprocessing, progress: arguments)
      let trial = try QuantizationTrial(of: folded, photos: photos, input: inputScales(preprocessing, photos, folded))
      let best = try trial.best(of: methods)
      let report = QuantizationReport(
        source: source, output: output, equalized: equalized, used: trial.calibrationCount, held: trial.heldCount,
        unreadable: files.count > limit ? 0 : files.count - photos.count, method: best.method.name,
        agreement: best.agreement, layers: try trial.errors(of: best))
      let draft = ModelDraft(
        graph: best.folded.graph, labels: weights.labels, preprocessing: weights.preprocessingJSON,
        provenance: "\(weights.provenance); lookout quantize, \(best.method.name), of \(weights.digest)",
        tensors: best.folded, storage: .i8, quantization: best.quantization)
      try draft.writeWithCanary(to: output)
      print(arguments.has("--json") ? report.json : report.text)
    } catch {
      if case .file = error { throw .output("\(error)") }
      throw .data("\(source): \(error)")
    }
  }

  private static func methods(_ arguments: Arguments) throws(Failure) -> [RangeMethod] {
    guard let kept = Double(arguments["--percentile"] ?? "99.99"), kept > 50, kept < 100 else {
      throw .usage("--percentile takes a number above 50 and below 100")
    }
    let percentile = RangeMethod.Cut.percentile(cut: 1 - kept / 100)
    let cuts: [RangeMethod.Cut]
    switch arguments["--method"] ?? "auto" {
    case "minmax": cuts = [.minMax]
    case "percentile": cuts = [percentile]
    case "entropy": cuts = [.entropy]
    case "auto": cuts = [.minMax, percentile, .percentile(cut: 1e-3), .entropy]
    case let other: throw .usage("--method is minmax, percentile, entropy or auto, not '\(other)'")
    }
    return cuts.flatMap { cut in [0, 0.5, 1].map { RangeMethod(cut, ownership: $0) } }
  }

  private static func preprocessing(of weights: WeightsFile) throws(EngineError) -> Preprocessing {
    do throws(ImagingError) {
      return try Preprocessing(json: weights.preprocessingJSON)
    } catch {
      throw .graph(node: weights.graph.inputName, reason: "\(error)")
    }
  }

  /// Prepared photos, H×W×C each, up to the limit; those that cannot be read are passed over.
  private static func photos(
    _ files: [Path], limit: Int, _ preprocessing: Preprocessing, progress: Arguments
  ) throws(EngineError) -> [[Float]] {
    let preprocessor = Preprocessor(preprocessing)
    var photos: [[Float]] = []
    // Spread over the whole list, so that every folder of it has its share.
    let step = max(1, files.count / limit)
    for index in stride(from: 0, to: files.count, by: step) where photos.count < limit {
      guard let bytes = try? AtomicFile.read(files[index], limit: ImageLimits.standard.maxFileBytes) else {
        continue
      }
      var photo = [Float](repeating: 0, count: preprocessing.outputCount)
      let isPrepared = bytes.withUnsafeBytes { bytes in
        photo.withUnsafeMutableBufferPointer { slot in
          (try? preprocessor.prepare(bytes, into: slot, fullDecode: true)) != nil
        }
      }
      if isPrepared { photos.append(photo) }
    }
    guard !photos.isEmpty else {
      throw .graph(node: "", reason: "none of the \(files.count) files to calibrate with is a readable picture")
    }
    return photos
  }

  /// The scales at which a pixel's bytes are the input themselves, or those of the photos' ranges where that cannot be.
  private static func inputScales(
    _ preprocessing: Preprocessing, _ photos: [[Float]], _ folded: FoldedNetwork
  ) -> [ByteScale] {
    let count = folded.graph.inputShape.c
    return (0..<count).map { channel in
      let scale = Float(preprocessing.scale / preprocessing.std[channel])
      let zero = Float(preprocessing.mean[channel] / preprocessing.scale)
      if scale > 0, (0...255).contains(zero) { return ByteScale(scale: scale, zeroPoint: zero) }
      var (low, high) = (Float(0), Float(0))
      for photo in photos {
        for index in stride(from: channel, to: photo.count, by: count) {
          (low, high) = (min(low, photo[index]), max(high, photo[index]))
        }
      }
      return ByteScale(covering: low, high)
    }
  }
}
