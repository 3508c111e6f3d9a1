package import Engine
internal import Synchronization

/// Answers pictures with the network as it will be served: compiled, batch norms folded.
package final class Evaluator {
  private let plans: [Plan]
  private let lanes: any TrainingLanes
  package let classes: Int
  private let inputCount: Int

  /// A replica is used by one lane at a time.
  private struct Plan: @unchecked Sendable {
    let plan: InferencePlan
  }

  /// - Throws: `EngineError` if weights and graph do not fit each other.
  package init(graph: Graph, weights: some TensorSource, batch: Int, lanes: any TrainingLanes) throws(EngineError) {
    let network = try CompiledNetwork(graph: graph, weights: weights)
    var plans: [Plan] = []
    let share = (batch + lanes.count - 1) / lanes.count
    for _ in 0..<lanes.count { plans.append(Plan(plan: try InferencePlan(network: network, batchCapacity: share))) }
    self.plans = plans
    self.lanes = lanes
    classes = network.outputCount
    inputCount = network.inputShape.countPerImage
  }

  /// The answers to a batch, a row a picture.
  package func answers(to batch: TrainingBatch) -> [Float] {
    var rows = [Float](repeating: 0, count: batch.count * classes)
    let (count, classes, inputCount, plans, lanes) = (batch.count, classes, inputCount, plans, lanes)
    rows.withUnsafeMutableBufferPointer { rows in
      guard let base = batch.images.baseAddress, let out = rows.baseAddress else { return }
      let places = Places(images: base, answers: out)
      lanes.run { lane in
        let part = (count * lane / lanes.count)..<(count * (lane + 1) / lanes.count)
        guard !part.isEmpty else { return }
        let images = part.map { UnsafePointer(places.images + $0 * inputCount) }
        images.withUnsafeBufferPointer {
          plans[lane].plan.run(
            images: $0,
            output: UnsafeMutableBufferPointer(
              start: places.answers + part.lowerBound * classes, count: part.count * classes))
        }
      }
    }
    return rows
  }

  /// Each lane reads and writes its own rows.
  private struct Places: @unchecked Sendable {
    let images: UnsafeMutablePointer<Float>
    let answers: UnsafeMutablePointer<Float>
  }

  /// What a whole data set comes to.
  package struct Outcome: Sendable {
    package var loss = 0.0
    /// A row of answers a picture.
    package var answers: [Float] = []
    package var truths: [Dataset.Truth] = []
    /// Which sample of the data set each row is.
    package var samples: [Int] = []
    package var unreadable: [UnreadablePicture] = []
    package let classes: Int

    /// The share of pictures whose answers say what they show, and nothing else.
    package func accuracy(_ decision: Decision) -> Double {
      guard !truths.isEmpty else { return 0 }
      let right = answers.withUnsafeBufferPointer { answers in
        truths.indices.filter { n in
          decision.classes(in: UnsafeBufferPointer(rebasing: answers[(n * classes)..<((n + 1) * classes)]))
            == truths[n].classes
        }
      }
      return Double(right.count) / Double(truths.count)
    }
  }

  /// Answers all pictures of a loader, in order, or those before `stop` is asked.
  package func evaluate(_ loader: DataLoader, loss: Loss, stop: StopRequest) -> Outcome {
    var outcome = Outcome(classes: classes)
    let batches = loader.epoch(0)
    while let batch = batches.next() {
      let rows = answers(to: batch)
      if batch.count > 0 {
        let part = rows.withUnsafeBufferPointer { rows in
          rows.baseAddress.map {
            let targets = Targets(batch.truths, classes: classes)
            return loss.evaluate(answers: $0, targets: targets, count: batch.count, classes: classes)
          }
        }
        outcome.loss += (part ?? 0) * Double(batch.count)
      }
      outcome.answers += rows
      outcome.truths += batch.truths
      outcome.samples += batch.samples
      outcome.unreadable += batch.unreadable
      batches.recycle(batch)
      if stop.isAsked { break }
    }
    outcome.loss /= Double(max(1, outcome.truths.count))
    return outcome
  }
}
