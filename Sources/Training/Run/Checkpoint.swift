package import Engine
internal import Platform

/// The whole state of a run between two steps: what is needed to go on as if nothing had happened.
///
/// A safetensors file: weights, running statistics, what the optimizer remembers and the average, as they lie in
/// memory; counters and history as strings of `__metadata__`. Numbers are written by their bits.
struct Checkpoint {
  /// Epochs finished, and batches of the running one.
  var epoch = 0
  var batch = 0
  /// Steps of the optimizer, and those of them that each parameter took part in.
  var step = 0
  var parameterSteps: [Int] = []
  /// Sum of the losses, right answers and pictures of the running epoch.
  var lossSum = 0.0
  var right = 0
  var seen = 0
  var seconds = 0.0
  var plateau = PlateauState()
  var stopping: (best: Double, waited: Int)?
  /// What the model that is written came to.
  var bestScore = -Double.infinity
  var history: [EpochRecord] = []
  var fingerprint = ""
  var tensors: [(name: String, values: [Float])] = []

  static let format = "lookout.checkpoint"

  /// The file's bytes.
  func bytes() -> [UInt8] {
    var entries: [JSON.Member] = []
    var end = 0
    for tensor in tensors {
      let begin = end
      end += tensor.values.count * 4
      entries.append(
        JSON.Member(
          name: tensor.name,
          value: .object([
            "dtype": .string("F32"), "shape": .array([.integer(tensor.values.count)]),
            "data_offsets": .array([.integer(begin), .integer(end)]),
          ])))
    }
    let texts: [(String, String)] = [
      ("format", Self.format), ("fingerprint", fingerprint), ("counters", "\(epoch) \(batch) \(step) \(right) \(seen)"),
      (
        "numbers",
        [
          lossSum, seconds, plateau.factor, plateau.best, bestScore, stopping?.best ?? .infinity,
        ].map { String($0.bitPattern, radix: 16) }.joined(separator: " ")
      ), ("waited", "\(plateau.waited) \(stopping?.waited ?? 0)"),
      ("parameter_steps", parameterSteps.map { "\($0)" }.joined(separator: " ")),
      ("history", JSON.array(history.map(\.json)).text),
    ]
    let metadata = JSON(.object(texts.map { JSON.Member(name: $0.0, value: .string($0.1)) }))
    let header = Array(JSON(.object([JSON.Member(name: "__metadata__", value: metadata)] + entries)).text.utf8)
    let length = (header.count + 8 + 63) / 64 * 64 - 8
    var bytes = withUnsafeBytes(of: UInt64(length).littleEndian) { Array($0) }
    bytes.reserveCapacity(8 + length + end)
    bytes += header
    bytes += [UInt8](repeating: 0x20, count: length - header.count)
    for tensor in tensors { tensor.values.withUnsafeBytes { bytes.append(contentsOf: $0) } }
    return bytes
  }

  /// - Throws: `TrainingError.checkpoint` if the file is damaged or none.
  init(reading path: Path) throws(TrainingError) {
    var bytes: [UInt8] = []
    do throws(PlatformError) {
      let file = try FileDescriptor.open(path, flags: [.readOnly])
      try file.readAll(into: &bytes, expecting: Int(try file.status().size))
    } catch {
      throw .platform(error)
    }
    do throws(JSON.Fault) {
      try self.init(bytes: bytes)
    } catch {
      throw .checkpoint(path: path.displayed, reason: "\(error.reason) (byte \(error.offset))")
    }
  }

  init() {}

  private init(bytes: [UInt8]) throws(JSON.Fault) {
    let table = try bytes.withUnsafeBytes { file in
      Result<TensorTable, JSON.Fault> { () throws(JSON.Fault) in try TensorTable(file: file) }
    }.get()
    var texts: [String: String] = [:]
    for member in table.metadata { texts[member.name] = try member.value.string(member.name) }
    guard texts["format"] == Self.format else { throw JSON.Fault(offset: 8, reason: "no checkpoint of a run") }
    fingerprint = texts["fingerprint"] ?? ""
    let counters = (texts["counters"] ?? "").split(separator: " ").compactMap { Int($0) }
    let numbers = (texts["numbers"] ?? "").split(separator: " ").compactMap { UInt64($0, radix: 16) }
      .map { Double(bitPattern: $0) }
    let waited = (texts["waited"] ?? "").split(separator: " ").compactMap { Int($0) }
    guard counters.count == 5, numbers.count == 6, waited.count == 2, counters.allSatisfy({ $0 >= 0 }) else {
      throw JSON.Fault(offset: 8, reason: "the counters are damaged")
    }
    (epoch, batch, step, right, seen) = (counters[0], counters[1], counters[2], counters[3], counters[4])
    (lossSum, seconds, bestScore) = (numbers[0], numbers[1], numbers[4])
    (plateau.factor, plateau.best, plateau.waited) = (numbers[2], numbers[3], waited[0])
    stopping = (numbers[5], waited[1])
    parameterSteps = (texts["parameter_steps"] ?? "").split(separator: " ").compactMap { Int($0) }
    for json in try JSON(parsing: texts["history"] ?? "[]").elements("the history") {
      history.append(try EpochRecord(json: json))
    }
    for entry in table.entries where entry.type == .f32 {
      tensors.append(
        (entry.name, bytes.withUnsafeBytes { ElementType.f32.widen(UnsafeRawBufferPointer(rebasing: $0[entry.range])) })
      )
    }
  }

  func values(_ name: String) -> [Float]? { tensors.first { $0.name == name }?.values }
}

/// What one epoch came to.
package struct EpochRecord: Equatable, Sendable {
  /// From 1.
  package var epoch: Int
  package var trainLoss: Double
  package var trainAccuracy: Double
  package var validationLoss: Double?
  package var validationAccuracy: Double?
  package var learningRate: Double
  /// Of the training alone, the wait for pictures with it.
  package var seconds: Double
  package var images: Int

  package var json: JSON {
    func number(_ value: Double?) -> JSON { value.map { $0.isFinite ? JSON(.number("\($0)")) : .null } ?? .null }
    return .object([
      "epoch": .integer(epoch), "train_loss": number(trainLoss), "train_accuracy": number(trainAccuracy),
      "validation_loss": number(validationLoss), "validation_accuracy": number(validationAccuracy),
      "learning_rate": number(learningRate), "seconds": number(seconds), "images": .integer(images),
    ])
  }

  init(
    epoch: Int, trainLoss: Double, trainAccuracy: Double, validationLoss: Double?, validationAccuracy: Double?,
    learningRate: Double, seconds: Double, images: Int
  ) {
    self.epoch = epoch
    self.trainLoss = trainLoss
    self.trainAccuracy = trainAccuracy
    self.validationLoss = validationLoss
    self.validationAccuracy = validationAccuracy
    self.learningRate = learningRate
    self.seconds = seconds
    self.images = images
  }

  init(json: JSON) throws(JSON.Fault) {
    guard case .object(let members) = json.value else { throw JSON.Fault(offset: json.offset, reason: "no record") }
    func number(_ name: String) -> Double? {
      guard let member = members.first(where: { $0.name == name }), case .number(let digits) = member.value.value else {
        return nil
      }
      return Double(digits)
    }
    self.init(
      epoch: Int(number("epoch") ?? 0), trainLoss: number("train_loss") ?? .nan,
      trainAccuracy: number("train_accuracy") ?? .nan, validationLoss: number("validation_loss"),
      validationAccuracy: number("validation_accuracy"), learningRate: number("learning_rate") ?? 0,
      seconds: number("seconds") ?? 0, images: Int(number("images") ?? 0))
  }
}
