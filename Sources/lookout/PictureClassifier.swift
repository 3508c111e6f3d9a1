internal import Engine
internal import Hashing
internal import Imaging
internal import Platform

/// A model that proved itself on its canary, shared by the threads that use it.
final class PictureModel: Sendable {
  /// The weights file's name without its suffix.
  let name: String
  let digest: String
  let labels: [String]
  let preprocessing: Preprocessing
  let network: any Network

  /// Makes a network ready for batches of about so many images; by default for a picture at a time.
  ///
  /// - Throws: `Failure` naming the file and what is wrong with it.
  init(path: String, precision: Precision = .automatic, expectedBatch: Int = 1) throws(Failure) {
    let file = Path(path).lastComponent
    let stem = file.lastIndex(of: UInt8(ascii: ".")).map { file[..<$0] } ?? file[...]
    name = String(decoding: stem.isEmpty ? file[...] : stem, as: UTF8.self)
    do throws(EngineError) {
      let lanes = LaneGroup.processors()
      let weights: WeightsFile
      // Who asks for bf16 here gets it, though it be slower.
      let options = EngineOptions(usesBF16: precision == .bf16, expectedBatch: expectedBatch)
      (weights, network) = try WeightsFile.load(path: path, precision: precision, options: options, lanes: lanes)
      digest = weights.digest
      labels = weights.labels
      do throws(ImagingError) {
        preprocessing = try Preprocessing(json: weights.preprocessingJSON)
      } catch {
        throw EngineError.graph(node: weights.graph.inputName, reason: "\(error)")
      }
      if let canary = weights.canary {
        let plan = try network.plan(batchCapacity: 1, lanes: lanes)
        if let reason = plan.discrepancy(to: canary) { throw EngineError.unsound(reason: "\(path): \(reason)") }
      }
    } catch {
      if case .file = error { throw .input("\(error)") }
      throw .data("\(error)")
    }
    Memory.giveBack()
    let shape = network.inputShape
    let output = preprocessing.output
    guard output.height == shape.h, output.width == shape.w, preprocessing.channels.count == shape.c else {
      throw .data(
        "\(path): the preprocessing gives \(preprocessing.channels.count)×\(output.height)×\(output.width) numbers, "
          + "the network takes \(shape.c)×\(shape.h)×\(shape.w); import the weights anew")
    }
  }
}

extension LaneGroup {
  /// A lane for every processor.
  static func processors() -> LaneGroup { LaneGroup(LanePool(count: Processors.count, name: "lane")) }

  /// The pool's threads.
  init(_ pool: LanePool) { self.init(count: pool.count, run: pool.run, synchronize: pool.synchronize) }
}

/// One thread's own tools: a plan, a preprocessor and buffers, which every picture reuses.
final class PictureClassifier {
  private let model: PictureModel
  private let topK: Int
  private let isFullDecode: Bool
  private let plan: any NetworkPlan
  private let preprocessor: Preprocessor
  private var bytes: [UInt8] = []
  private var input: [Float]
  private var scores: [Float]

  /// `lanes` compute each picture together, if the network is one in floats.
  init(model: PictureModel, topK: Int, isFullDecode: Bool, lanes: LaneGroup = .alone) throws(EngineError) {
    self.model = model
    self.topK = topK
    self.isFullDecode = isFullDecode
    plan = try model.network.plan(batchCapacity: 1, lanes: lanes)
    preprocessor = Preprocessor(model.preprocessing)
    input = [Float](repeating: 0, count: model.network.inputShape.countPerImage)
    scores = [Float](repeating: 0, count: model.network.outputCount)
  }

  /// Reads, decodes and answers; whatever is wrong with the picture stands in the answer.
  func answer(_ path: Path) -> PictureAnswer {
    var answer = PictureAnswer(path: path)
    do throws(PlatformError) {
      if let refusal = try read(path) {
        answer.error = refusal
        return answer
      }
    } catch {
      answer.error = "it cannot be read: \(error)"
      return answer
    }
    answer.sha256 = bytes.withUnsafeBytes { SHA256.hexDigest(of: $0) }
    switch prepare() {
    case .success(let facts):
      answer.width = facts.width
      answer.height = facts.height
      answer.predictions = predictions()
    case .failure(let error): answer.error = "\(error)"
    }
    return answer
  }

  /// Reads the file into the buffer; gives the reason if it is refused.
  private func read(_ path: Path) throws(PlatformError) -> String? {
    let limit = ImageLimits.standard.maxFileBytes
    let file = try FileDescriptor.open(path, flags: [.readOnly, .nonBlocking])
    let status = try file.status()
    guard status.kind == .regular else { return "it is no regular file" }
    guard status.size <= Int64(limit) else { return "\(status.size) bytes, more than the limit of \(limit)" }
    try file.readAll(into: &bytes, expecting: Int(status.size))
    return bytes.count == Int(status.size) ? nil : "it changed while it was read"
  }

  private func prepare() -> Result<ImageFacts, ImagingError> {
    bytes.withUnsafeBytes { bytes in
      input.withUnsafeMutableBufferPointer { slot in
        do throws(ImagingError) {
          return .success(try preprocessor.prepare(bytes, into: slot, fullDecode: isFullDecode))
        } catch {
          return .failure(error)
        }
      }
    }
  }

  private func predictions() -> [PictureAnswer.Prediction] {
    scores.withUnsafeMutableBufferPointer { scores in
      input.withUnsafeBufferPointer { input in
        guard let base = input.baseAddress else { return }
        withUnsafePointer(to: base) { plan.run(images: UnsafeBufferPointer(start: $0, count: 1), output: scores) }
      }
      let top = Scores.topK(UnsafeBufferPointer(scores), topK, model.network.answerKind)
      return top.map { index, probability in
        let label = index < model.labels.count ? model.labels[index] : "\(index)"
        return PictureAnswer.Prediction(index: index, label: label, score: probability)
      }
    }
  }
}
