// The third stage. Each classifier is one thread `engine-N` with one plan replica a model; BLAS stays on that thread.
// It takes batches of one model from the decoded queue, answers them, and commits results and outbox in one transaction.

internal import Engine
internal import Platform
internal import SinkProtocol
internal import Synchronization

/// Answers decoded pictures in batches and makes the answers durable.
final class Classifier: Sendable {
  /// What every classifier of one pipeline shares.
  struct Wiring: Sendable {
    let watches: [WatchSettings]
    let decoded: DecodedQueue
    let shelf: ModelShelf
    let ledger: Ledger
    let recorder: FlightRecorder
    let tally: Tally
    /// Called after each durable commit: there is work for sinks, and for the disposer if some outcome is for no sink.
    let committed: @Sendable (_ someLeaveAtOnce: Bool) -> Void
    /// For pictures that come alone; nil if there is one worker.
    let joint: JointBench?
    /// Whether no picture waits to be decoded.
    let isQuiet: @Sendable () -> Bool
    /// Whether the time to drain is over.
    let isAborted: @Sendable () -> Bool
  }

  private let wiring: Wiring
  private let index: Int
  let heartbeat: Heartbeat

  /// `slots`: of the flight recorder, as many as a batch has images.
  init(index: Int, slots: Range<Int>, wiring: Wiring) {
    self.wiring = wiring
    self.index = index
    heartbeat = Heartbeat(name: "engine-\(index)", slots: slots)
  }

  /// Works until the decoded queue is closed and drained.
  func run() {
    var bench = Bench()
    var batch: [Decoded] = []
    if index == 0 { rehearse(on: &bench) }
    while wiring.decoded.take(into: &batch) {
      heartbeat.begin()
      answer(batch, on: &bench)
      batch.removeAll(keepingCapacity: true)
      heartbeat.rest()
    }
  }

  /// Times batches of two sizes of each model before there is any work, so that the first batches are formed by what they
  /// cost here; the first picture ends it.
  private func rehearse(on bench: inout Bench) {
    for model in wiring.shelf.all.values {
      let larger = min(4, model.settings.maxBatch)
      guard larger > 1, let place = try? bench.place(of: model, shelf: wiring.shelf) else { continue }
      let blank = [Float](repeating: 0, count: model.network.inputShape.countPerImage)
      // The first one meets cold memory and does not count.
      for (round, count) in [larger, 1, larger, 1, larger].enumerated() {
        guard wiring.decoded.count == 0, !wiring.decoded.isClosed else { return }
        heartbeat.begin()
        heartbeat.allow(model.imageNanoseconds * Int64(count) * 10)
        let start = Clock.threadNanoseconds()
        blank.withUnsafeBufferPointer { blank in
          guard let base = blank.baseAddress else { return }
          bench.run(place, images: [UnsafePointer<Float>](repeating: base, count: count))
        }
        let taken = Clock.threadNanoseconds() - start
        if round > 0 { model.timing.withLock { $0.add(images: count, nanoseconds: taken) } }
        heartbeat.allow(0)
        heartbeat.rest()
      }
    }
  }

  private func answer(_ batch: [Decoded], on bench: inout Bench) {
    let start = Clock.monotonicNanoseconds()
    for item in batch { wiring.tally.queue.add(item.waitedNanoseconds + start - item.decodedAt) }
    wiring.tally.batchSizes.add(Int64(batch.count))
    wiring.tally.batches.add()
    let begun = Clock.threadNanoseconds()
    let (outcomes, isJoint) = outcomesOf(batch, own: &bench)
    var cost = Clock.threadNanoseconds() - begun
    // What a picture costs all processors together tells nothing of batches.
    defer { if !isJoint { note(cost, of: batch) } }
    guard !outcomes.isEmpty else { return }
    heartbeat.beat()
    let computed = Clock.monotonicNanoseconds()
    let now = Clock.wallNanoseconds()
    let isCommitted =
      wiring.ledger.patiently(heartbeat, until: wiring.isAborted) { () throws(LedgerError) in
        try wiring.ledger.commit(outcomes, now: now)
        return true
      } ?? false
    guard isCommitted else { return }
    cost += Clock.monotonicNanoseconds() - computed
    wiring.tally.commit.add(since: computed)
    wiring.committed(outcomes.contains { $0.sinks.isEmpty })
  }

  /// Counts what a batch took: of the processor to compute it, and of the clock to commit it.
  private func note(_ nanoseconds: Int64, of batch: [Decoded]) {
    let computed = batch.count { if case .tensor = $0.content { true } else { false } }
    guard computed == batch.count, let model = batch.first?.model else { return }
    model.timing.withLock { $0.add(images: computed, nanoseconds: nanoseconds) }
  }

  /// The outcomes of a batch, computed on the classifier's own bench or, of a picture alone, on the joint one.
  private func outcomesOf(_ batch: [Decoded], own bench: inout Bench) -> (result: [Outcome], isJoint: Bool) {
    guard let joint = wiring.joint, let model = batch.first?.model else {
      return (outcomesOf(batch, on: &bench), false)
    }
    let isAlone = batch.count == 1 && model.isShared && wiring.decoded.count == 0 && wiring.isQuiet()
    return joint.compute(isAlone: isAlone, own: &bench) { outcomesOf(batch, on: &$0) }
  }

  /// Computes a batch, gives its slots back, answers those who ask at the socket, and makes the ledger's outcomes of the
  /// rest.
  private func outcomesOf(_ batch: [Decoded], on bench: inout Bench) -> [Outcome] {
    guard let model = batch.first?.model else { return [] }
    let computed = compute(batch, model: model, on: &bench)
    model.slots.giveBack(
      batch.compactMap { item in
        if case .tensor(let slot) = item.content { slot } else { nil }
      })
    var row = 0
    var outcomes: [Outcome] = []
    for item in batch {
      var scores: ArraySlice<Float> = []
      if case .tensor = item.content, case .success(let place) = computed {
        let width = model.network.outputCount
        scores = bench.places[place].scores[row * width..<(row + 1) * width]
        row += 1
      }
      switch item.origin {
      case .request(let ticket):
        ticket.resolve(computed.map { _ in Array(scores) }.mapError { .refused("the engine refused: \($0)") })
      case .file(let candidate):
        outcomes.append(outcome(of: item, candidate, computed.map { _ in scores }))
      }
    }
    return outcomes
  }

  private func outcome(
    of item: Decoded, _ candidate: Candidate, _ computed: Result<ArraySlice<Float>, EngineError>
  ) -> Outcome {
    let model = item.model
    let settings = wiring.watches[candidate.watch]
    var record = ResultRecord(
      id: candidate.arrival.id, timeNanoseconds: Clock.wallNanoseconds(), watch: settings.name,
      path: candidate.arrival.path, sha256: item.sha256, status: .ok, error: nil, width: UInt32(item.width),
      height: UInt32(item.height), model: model.name, modelDigest: model.digest, predictions: [])
    switch (item.content, computed) {
    case (.failed(let reason), _): record.fail(reason)
    case (.answered(let earlier), _):
      record.width = earlier.width
      record.height = earlier.height
      record.predictions = earlier.predictions
      wiring.tally.reused.add()
    case (.tensor, .success(let scores)): record.predictions = model.predictions(of: scores)
    case (.tensor, .failure(let error)): record.fail("the engine refused: \(error)")
    }
    let encoded = record.encoded()
    let disposition: Disposition
    if let reason = record.error {
      disposition = .quarantine(directory: Array(settings.onFailure.utf8), reason: reason)
      wiring.tally.failed.add()
    } else {
      disposition = settings.after.disposition
      wiring.tally.answered.add()
    }
    return Outcome(
      arrivalID: record.id, record: encoded, sha256: record.sha256, sinks: settings.sinks,
      scores: record.error == nil ? encoded : [], modelDigest: record.modelDigest, disposition: disposition)
  }

  /// Runs the network over the pictures of a batch; gives the place of the bench that has the scores, a row a picture.
  private func compute(
    _ batch: [Decoded], model: LoadedModel, on bench: inout Bench
  ) -> Result<Int, EngineError> {
    let tensors = batch.compactMap { item -> UnsafePointer<Float>? in
      guard case .tensor(let slot) = item.content, let base = slot.floats.baseAddress else { return nil }
      return UnsafePointer(base)
    }
    guard !tensors.isEmpty else { return .success(0) }
    let start = Clock.monotonicNanoseconds()
    // A large network on a slow processor takes its time, and says nothing meanwhile.
    heartbeat.allow(model.imageNanoseconds * Int64(tensors.count) * 10)
    var slot = heartbeat.slots.lowerBound
    for item in batch {
      if case .tensor = item.content, case .file(let candidate) = item.origin {
        wiring.recorder.set(slot, candidate.arrival.id)
        slot += 1
      }
    }
    defer {
      heartbeat.allow(0)
      for used in heartbeat.slots.lowerBound..<slot { wiring.recorder.clear(used) }
      wiring.tally.compute.add(since: start)
    }
    do throws(EngineError) {
      let index = try bench.place(of: model, shelf: wiring.shelf)
      bench.run(index, images: tensors)
      return .success(index)
    } catch {
      return .failure(error)
    }
  }
}

extension LoadedModel {
  /// The best labels of one row of the network's answers.
  func predictions(of scores: ArraySlice<Float>) -> [ResultRecord.Prediction] {
    let top = scores.withUnsafeBufferPointer {
      Scores.topK($0, settings.topK, network.answerKind)
    }
    return top.enumerated().map { rank, score in
      ResultRecord.Prediction(
        rank: UInt32(rank + 1), index: UInt32(score.index),
        label: score.index < labels.count ? labels[score.index] : "\(score.index)", score: score.probability)
    }
  }
}

extension ResultRecord {
  /// Makes the record one of a picture that could not be answered.
  mutating func fail(_ reason: String) {
    status = .failed
    error = reason
  }
}
