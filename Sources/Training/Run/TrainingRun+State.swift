internal import Engine
internal import Platform

extension TrainingRun {
  /// Writes the whole state under its name, or leaves the old one there.
  ///
  /// - Throws: `TrainingError.unsoundTensor` if nothing could be learnt from it any more.
  func writeCheckpoint(_ tell: (TrainingEvent) -> Void) throws(TrainingError) {
    try requireSound()
    var checkpoint = state
    checkpoint.fingerprint = recipe.fingerprint
    checkpoint.stopping = stopping.map { ($0.best, $0.waited) }
    checkpoint.parameterSteps = weights.parameters.map { optimizer.stepCounts[$0.range.lowerBound] ?? 0 }
    func array(_ start: UnsafeMutablePointer<Float>, _ count: Int) -> [Float] {
      Array(UnsafeBufferPointer(start: start, count: count))
    }
    checkpoint.tensors = [
      ("values", array(weights.values, weights.count)),
      ("statistics", array(weights.statisticValues, weights.statisticCount)),
    ]
    for (index, memory) in optimizer.memories.enumerated() {
      checkpoint.tensors.append(("optimizer.\(index)", array(memory.floats, memory.count)))
    }
    if let average, !average.values.isEmpty { checkpoint.tensors.append(("average", average.values)) }
    do throws(PlatformError) {
      try AtomicFile.write(checkpointPath, checkpoint.bytes(), mode: 0o644)
    } catch {
      throw .platform(error)
    }
    tell(.checkpoint(path: checkpointPath.displayed))
  }

  /// The loss is looked at before a step; this looks at what the step made.
  func requireSound() throws(TrainingError) {
    if let name = unsoundTensor {
      throw .unsoundTensor(step: state.step, name: name, checkpoint: existingCheckpoint)
    }
  }

  /// The first tensor that holds what is no finite number.
  private var unsoundTensor: String? {
    func first(_ tensors: [TrainedWeights.Parameter], _ start: UnsafeMutablePointer<Float>) -> String? {
      tensors.first { $0.range.contains { !start[$0].isFinite } }?.name
    }
    return first(weights.parameters, weights.values) ?? first(weights.statistics, weights.statisticValues)
  }

  /// The checkpoint's path, if there is one.
  var existingCheckpoint: String? {
    (try? FileStatus.of(checkpointPath, followingLinks: true)).map { _ in checkpointPath.displayed }
  }

  /// Goes on from the checkpoint in the output folder.
  ///
  /// - Returns: false if there is none.
  /// - Throws: `TrainingError.checkpoint` if it is damaged, was made by another recipe, or holds no numbers to go on with.
  package func resume() throws(TrainingError) -> Bool {
    guard existingCheckpoint != nil else { return false }
    let checkpoint = try Checkpoint(reading: checkpointPath)
    func fault(_ reason: String) -> TrainingError { .checkpoint(path: checkpointPath.displayed, reason: reason) }
    guard checkpoint.fingerprint == recipe.fingerprint else {
      throw fault(
        "it was made by another recipe; give the old one, another output folder, or remove the checkpoint. "
          + Self.difference(checkpoint.fingerprint, recipe.fingerprint))
    }
    func restore(_ name: String, _ target: UnsafeMutablePointer<Float>, _ count: Int) throws(TrainingError) {
      guard let values = checkpoint.values(name), values.count == count else { throw fault("\(name) does not fit") }
      target.update(from: values, count: count)
    }
    try restore("values", weights.values, weights.count)
    try restore("statistics", weights.statisticValues, weights.statisticCount)
    if let name = unsoundTensor {
      throw fault("its tensor \(name) holds numbers that are infinite or none; remove it to begin anew")
    }
    for (index, memory) in optimizer.memories.enumerated() {
      try restore("optimizer.\(index)", memory.floats, memory.count)
    }
    if average != nil, let values = checkpoint.values("average") { average?.values = values }
    if let stopped = checkpoint.stopping {
      stopping?.best = stopped.best
      stopping?.waited = stopped.waited
    }
    // Older versions counted the steps of all tensors together.
    let steps =
      checkpoint.parameterSteps.isEmpty
      ? weights.parameters.map { _ in checkpoint.step } : checkpoint.parameterSteps
    guard steps.count == weights.parameters.count else { throw fault("parameter_steps does not fit") }
    for (parameter, steps) in zip(weights.parameters, steps) where steps > 0 {
      optimizer.stepCounts[parameter.range.lowerBound] = steps
    }
    state = checkpoint
    state.tensors = []
    return true
  }

  /// Where two descriptions part, for people.
  private static func difference(_ old: String, _ new: String) -> String {
    let (a, b) = (old.split(separator: ","), new.split(separator: ","))
    guard let index = zip(a, b).enumerated().first(where: { $0.element.0 != $0.element.1 })?.offset else { return "" }
    return "Then:\(a[index]); now:\(b[index])"
  }

  /// A line of JSON an epoch and their curves, beside the model; and the same for TensorBoard.
  func log(_ record: EpochRecord) throws(TrainingError) {
    let history = state.history + [record]
    let lines = history.map { $0.json.text + "\n" }.joined()
    do throws(PlatformError) {
      try AtomicFile.write(folder.appending("log.jsonl"), Array(lines.utf8), mode: 0o644)
      try AtomicFile.write(folder.appending("curves.svg"), Array(TrainingCurves(history).svg.utf8), mode: 0o644)
    } catch {
      throw .platform(error)
    }
    try logToBoard(record)
  }
}
