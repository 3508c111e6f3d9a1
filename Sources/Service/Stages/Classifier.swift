// The third stage. Each classifier is one thread `engine-N` with one plan replica a model; BLAS stays on that thread.
// It takes batches from the decoded queue, answers them, and commits results and outbox in one transaction.

internal import Engine
internal import Platform
internal import SinkProtocol

/// Answers decoded pictures in batches and makes the answers durable.
final class Classifier: Sendable {
  /// What every classifier of one pipeline shares.
  struct Wiring: Sendable {
    let watches: [WatchSettings]
    let maxBatch: Int
    let linger: Duration
    let decoded: BoundedQueue<Decoded>
    let ledger: Ledger
    let tally: Tally
    /// Called after each durable commit: there is work for sinks and disposer.
    let committed: @Sendable () -> Void
    /// Whether the time to drain is over.
    let isAborted: @Sendable () -> Bool
  }

  private let wiring: Wiring
  let heartbeat: Heartbeat

  init(index: Int, wiring: Wiring) {
    self.wiring = wiring
    heartbeat = Heartbeat(name: "engine-\(index)")
  }

  /// Works until the decoded queue is closed and drained.
  func run() {
    var bench = Bench()
    var batch: [Decoded] = []
    while wiring.decoded.take(upTo: wiring.maxBatch, linger: wiring.linger, into: &batch) {
      heartbeat.begin()
      answer(batch, on: &bench)
      batch.removeAll(keepingCapacity: true)
      heartbeat.rest()
    }
  }

  /// A thread's own tools: a plan and its output for the model in use.
  private struct Bench {
    var model: ObjectIdentifier?
    var plan: InferencePlan?
    var scores: [Float] = []
  }

  private func answer(_ batch: [Decoded], on bench: inout Bench) {
    var outcomes: [Outcome] = []
    for (_, part) in Dictionary(grouping: batch, by: { ObjectIdentifier($0.model) }) {
      outcomes += outcomesOf(part, model: part[0].model, on: &bench)
    }
    let now = Clock.wallNanoseconds()
    let isCommitted =
      wiring.ledger.patiently(heartbeat, until: wiring.isAborted) { () throws(LedgerError) in
        try wiring.ledger.commit(outcomes, now: now)
        return true
      } ?? false
    for item in batch {
      if case .tensor(let slot) = item.content { item.model.slots.giveBack(slot) }
    }
    guard isCommitted else { return }
    wiring.tally.batches.add()
    wiring.committed()
  }

  private func outcomesOf(_ batch: [Decoded], model: LoadedModel, on bench: inout Bench) -> [Outcome] {
    let tensors = batch.compactMap { item -> UnsafePointer<Float>? in
      guard case .tensor(let slot) = item.content, let base = slot.floats.baseAddress else { return nil }
      return UnsafePointer(base)
    }
    var fault: String?
    do throws(EngineError) {
      try compute(tensors, model: model, on: &bench)
    } catch {
      fault = "the engine refused: \(error)"
    }
    var row = 0
    return batch.map { item in
      var record = ResultRecord(
        id: item.candidate.arrival.id, timeNanoseconds: Clock.wallNanoseconds(),
        watch: wiring.watches[item.candidate.watch].name, path: item.candidate.arrival.path, sha256: item.sha256,
        status: .ok, error: nil, width: UInt32(item.width), height: UInt32(item.height), model: model.name,
        modelDigest: model.digest,
        predictions: [])
      switch item.content {
      case .failed(let reason):
        record.fail(reason)
      case .answered(let earlier):
        record.width = earlier.width
        record.height = earlier.height
        record.predictions = earlier.predictions
      case .tensor:
        if let fault {
          record.fail(fault)
        } else {
          record.predictions = predictions(inRow: row, model: model, of: bench)
        }
        row += 1
      }
      return outcome(of: item, record)
    }
  }

  private func predictions(inRow row: Int, model: LoadedModel, of bench: Bench) -> [ResultRecord.Prediction] {
    let width = model.network.outputCount
    let top = bench.scores.withUnsafeBufferPointer { scores in
      Scores.topK(
        UnsafeBufferPointer(rebasing: scores[row * width..<(row + 1) * width]), model.settings.topK,
        areProbabilities: model.network.endsInSoftmax)
    }
    return top.enumerated().map { rank, score in
      let label = score.index < model.labels.count ? model.labels[score.index] : "\(score.index)"
      return ResultRecord.Prediction(
        rank: UInt32(rank + 1), index: UInt32(score.index), label: label, score: score.probability)
    }
  }

  /// What the ledger keeps of an answer: the record for the sinks, and what becomes of the source once all have it.
  private func outcome(of item: Decoded, _ record: ResultRecord) -> Outcome {
    let settings = wiring.watches[item.candidate.watch]
    let encoded = record.encoded()
    let disposition: Disposition
    if let reason = record.error {
      disposition = .quarantine(directory: Array(settings.onFailure.utf8), reason: reason)
      wiring.tally.failed.add()
    } else {
      disposition =
        switch settings.after {
        case .keep: .keep
        case .delete: .delete
        case .move(let directory): .move(directory: Array(directory.utf8))
        }
      wiring.tally.answered.add()
    }
    return Outcome(
      arrivalID: record.id, record: encoded, sha256: record.sha256, sinks: settings.sinks,
      scores: record.error == nil ? encoded : [], modelDigest: record.modelDigest, disposition: disposition)
  }

  private func compute(_ tensors: [UnsafePointer<Float>], model: LoadedModel, on bench: inout Bench) throws(EngineError)
  {
    guard !tensors.isEmpty else { return }
    if bench.model != ObjectIdentifier(model) {
      bench.plan = try InferencePlan(network: model.network, batchCapacity: wiring.maxBatch)
      bench.model = ObjectIdentifier(model)
      bench.scores = [Float](repeating: 0, count: wiring.maxBatch * model.network.outputCount)
    }
    let count = tensors.count * model.network.outputCount
    bench.scores.withUnsafeMutableBufferPointer { scores in
      tensors.withUnsafeBufferPointer { images in
        bench.plan?.run(images: images, output: UnsafeMutableBufferPointer(rebasing: scores[..<count]))
      }
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
