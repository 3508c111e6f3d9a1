internal import Engine
internal import Imaging
internal import Platform

extension TrainingRun {
  /// Trains until the recipe's end, an early stop, or until asked to stop; then writes what there is.
  ///
  /// - Parameters:
  ///   - stop: looked at after every batch, of the validation too.
  ///   - tell: called on this thread.
  /// - Returns: why it ended.
  /// - Throws: `TrainingError.unsound` when the loss is no number any more, `.unsoundTensor` when a weight is none; the
  ///   last checkpoint stays as it was.
  package func run(stop: StopRequest, tell: (TrainingEvent) -> Void) throws(TrainingError) -> TrainingEnd {
    let started = Clock.monotonicNanoseconds()
    var lastCheckpoint = started
    if state.step == 0 { try writeContactSheet(stop, tell) }
    while state.epoch < recipe.train.epochs {
      if stopping?.isOver == true { return .early }
      if stop.isAsked { return try interrupted(tell) }
      try thawIfDue(tell)
      let end = try runEpoch(started: started, lastCheckpoint: &lastCheckpoint, stop: stop, tell: tell)
      guard end != .interrupted, let record = try finishEpoch(stop, tell) else { return try interrupted(tell) }
      tell(.epoch(record, of: recipe.train.epochs))
      // Counted before it is written, or a run that is killed in between has one more epoch's patience.
      stopping?.add(record.validationLoss ?? record.trainLoss)
      try writeCheckpoint(tell)
      lastCheckpoint = Clock.monotonicNanoseconds()
    }
    return stopping?.isOver == true ? .early : .finished
  }

  private func interrupted(_ tell: (TrainingEvent) -> Void) throws(TrainingError) -> TrainingEnd {
    try writeCheckpoint(tell)
    return .interrupted
  }

  /// From `thawEpoch` on nothing is frozen.
  private func thawIfDue(_ tell: (TrainingEvent) -> Void) throws(TrainingError) {
    guard recipe.model.thawEpoch > 0, state.epoch >= recipe.model.thawEpoch, !recipe.model.freeze.isEmpty, !isThawed
    else { return }
    do throws(EngineError) {
      plan = try Self.plan(recipe, weights, lanes, isThawed: true)
    } catch {
      throw .engine(error)
    }
    optimizer.groups = Self.groups(recipe, weights, isThawed: true)
    isThawed = true
    tell(.note("everything learns from now on"))
  }

  private func runEpoch(
    started: Int64, lastCheckpoint: inout Int64, stop: StopRequest, tell: (TrainingEvent) -> Void
  ) throws(TrainingError) -> TrainingEnd {
    let batches = trainLoader.epoch(state.epoch, from: state.batch)
    let total = trainLoader.batchesPerEpoch
    while true {
      // Before the wait for the loader: what it takes to get pictures is part of the rate.
      let before = Clock.monotonicNanoseconds()
      guard let batch = batches.next() else { return .finished }
      try report(batch.unreadable, tell)
      let rate = rate
      let loss = try learn(batch, isLast: state.batch + 1 == total, rate: rate)
      batches.recycle(batch)
      state.batch += 1
      let now = Clock.monotonicNanoseconds()
      state.seconds += Double(now - before) * 1e-9
      tell(.step(record(loss: loss, rate: rate, total: total)))
      guard state.batch % recipe.train.accumulate == 0 || state.batch == total else { continue }
      let limit = Int64(recipe.train.timeLimitSeconds) * 1_000_000_000
      if stop.isAsked || (limit > 0 && now - started > limit), state.batch < total { return .interrupted }
      if now - lastCheckpoint >= Int64(recipe.train.checkpointSeconds) * 1_000_000_000 {
        try writeCheckpoint(tell)
        lastCheckpoint = now
      }
    }
  }

  /// Pictures that were left out: told, or the end, as the recipe has it.
  private func report(_ unreadable: [UnreadablePicture], _ tell: (TrainingEvent) -> Void) throws(TrainingError) {
    for picture in unreadable {
      guard !recipe.data.stopsAtUnreadable else {
        throw .dataset(path: picture.name, place: "the picture", reason: picture.reason)
      }
      tell(.unreadable(picture))
    }
  }

  /// Learns from one batch, and makes a step where one is due; gives the loss.
  private func learn(_ batch: TrainingBatch, isLast: Bool, rate: Double) throws(TrainingError) -> Double {
    let accumulate = recipe.train.accumulate
    if state.batch % accumulate == 0 {
      weights.clearGradients()
      gathered = 0
    }
    gathered += batch.count
    let loss = batch.count > 0 ? try gather(batch) : 0
    // Due by its place, whether or not this very batch had something to teach.
    if (state.batch + 1) % accumulate == 0 || isLast, gathered > 0 { step(rate) }
    return loss
  }

  /// One batch forward and backward, its gradient added to what is there; gives the loss.
  private func gather(_ batch: TrainingBatch) throws(TrainingError) -> Double {
    if let source = batch.images.baseAddress {
      plan.input.update(from: source, count: batch.count * preprocessing.outputCount)
    }
    plan.forward(count: batch.count, isTraining: true, step: UInt64(state.epoch) << 32 | UInt64(state.batch))
    let loss = loss.evaluate(
      answers: plan.output, targets: batch.targets, count: batch.count, classes: plan.outputCount,
      gradient: plan.outputGradient, scale: 1 / Float(recipe.train.accumulate))
    guard loss.isFinite else {
      throw .unsound(
        step: state.step, layer: plan.firstUnsoundNode ?? "the loss", checkpoint: existingCheckpoint)
    }
    count(batch, loss)
    plan.backward()
    return loss
  }

  private func count(_ batch: TrainingBatch, _ loss: Double) {
    state.lossSum += loss * Double(batch.count)
    state.seen += batch.count
    for (n, truth) in batch.truths.enumerated() {
      let row = UnsafeBufferPointer(start: plan.output + n * plan.outputCount, count: plan.outputCount)
      if decision.classes(in: row) == truth.classes { state.right += 1 }
    }
  }

  private func step(_ rate: Double) {
    if recipe.train.clipNorm > 0 { GradientClipping.norm(Float(recipe.train.clipNorm)).apply(to: weights) }
    if recipe.train.clipValue > 0 { GradientClipping.value(Float(recipe.train.clipValue)).apply(to: weights) }
    optimizer.step(weights, rate: rate, momentum: recipe.schedule.schedule.momentum(at: position), lanes: lanes)
    average?.add(weights)
    state.step += 1
  }

  private func record(loss: Double, rate: Double, total: Int) -> StepRecord {
    let done = Double(state.seen)
    let perSecond = state.seconds > 0 ? done / state.seconds : 0
    let left =
      Double((recipe.train.epochs - state.epoch) * training.samples.count) - done
    return StepRecord(
      epoch: state.epoch + 1, epochs: recipe.train.epochs, batch: state.batch, batches: total, step: state.step,
      loss: loss, meanLoss: state.lossSum / max(1, done), accuracy: Double(state.right) / max(1, done),
      learningRate: rate, imagesPerSecond: perSecond, secondsLeft: perSecond > 0 ? left / perSecond : 0)
  }

  /// Validates, keeps the best model, and makes ready for the next epoch.
  ///
  /// - Returns: nil if it was asked to stop while it validated; all is as it was before then.
  private func finishEpoch(
    _ stop: StopRequest, _ tell: (TrainingEvent) -> Void
  ) throws(TrainingError) -> EpochRecord? {
    guard state.seen > 0 else { throw .unreadable(recipe.data.train, count: training.samples.count) }
    try requireSound()
    var record = EpochRecord(
      epoch: state.epoch + 1, trainLoss: state.lossSum / Double(state.seen),
      trainAccuracy: Double(state.right) / Double(state.seen), validationLoss: nil, validationAccuracy: nil,
      learningRate: rate, seconds: state.seconds, images: state.seen)
    if let validationLoader {
      let outcome = try evaluate(validationLoader, stop)
      if stop.isAsked { return nil }
      try report(outcome.unreadable, tell)
      guard !outcome.truths.isEmpty else {
        throw .unreadable(recipe.data.validationPath ?? recipe.data.train, count: outcome.unreadable.count)
      }
      (record.validationLoss, record.validationAccuracy) = (outcome.loss, outcome.accuracy(decision))
    }
    recipe.schedule.schedule.update(&state.plateau, loss: record.validationLoss ?? record.trainLoss)
    let score = score(record)
    if score >= state.bestScore {
      state.bestScore = score
      try writeModel(record)
    }
    try log(record)
    state.history.append(record)
    state.epoch += 1
    (state.batch, state.lossSum, state.right, state.seen, state.seconds) = (0, 0, 0, 0, 0)
    return record
  }

  /// The larger the better: accuracy, or the loss where pictures of many classes are seldom right in all of them.
  private func score(_ record: EpochRecord) -> Double {
    switch decision {
    case .largest: record.validationAccuracy ?? record.trainAccuracy
    case .from: -(record.validationLoss ?? record.trainLoss)
    }
  }

  private func evaluate(_ loader: DataLoader, _ stop: StopRequest) throws(TrainingError) -> Evaluator.Outcome {
    do throws(EngineError) {
      let evaluator = try Evaluator(
        graph: start.graph, weights: AnyTensors(source: servedWeights), batch: loader.settings.batchSize, lanes: lanes)
      return evaluator.evaluate(loader, loss: loss, stop: stop)
    } catch {
      throw .engine(error)
    }
  }

  private func writeModel(_ record: EpochRecord) throws(TrainingError) {
    do throws(EngineError) {
      try ModelWriter.write(
        to: String(decoding: modelPath.bytes, as: UTF8.self), graph: servedGraph, weights: servedWeights,
        labels: training.classes, preprocessing: preprocessing, provenance: "\(provenance), epoch \(record.epoch)")
    } catch {
      throw .engine(error)
    }
  }
}

/// Any source of tensors as one type.
struct AnyTensors: TensorSource {
  let source: any TensorSource
  func extents(ofTensor name: String) -> [Int]? { source.extents(ofTensor: name) }
  func floats(ofTensor name: String) throws(EngineError) -> [Float] { try source.floats(ofTensor: name) }
}
