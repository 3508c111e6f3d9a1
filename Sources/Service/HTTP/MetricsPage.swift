internal import Platform

/// What `/metrics` shows at one moment.
struct MetricsPage {
  let notes: Board.Notes
  let status: ServiceStatus
  let tally: Tally
  let http: HTTPTally
  /// Nanoseconds since 1970.
  let startedAt: Int64

  var text: String {
    var text = MetricsText()
    addProcess(to: &text)
    addWork(to: &text)
    addWaiting(to: &text)
    addSinks(to: &text)
    let counts = http.counts.sorted { $0.key < $1.key }
    text.add(.httpResponses, counts.map { (["status": "\($0.key)"], Double($0.value)) })
    text.add(.httpTime, [([:], http.time.reading)], unit: 1e-9)
    return text.text
  }

  private func addProcess(to text: inout MetricsText) {
    text.add(.buildInfo, [(["version": status.version], 1)])
    text.add(.modelInfo, status.models.map { (["model": $0.name, "digest": $0.digest, "file": $0.file], 1) })
    text.add(.startTime, Double(startedAt) / 1e9)
    text.add(.residentMemory, status.residentBytes)
    if status.memoryBoundBytes > 0 { text.add(.memoryBound, status.memoryBoundBytes) }
    text.add(.processorTime, Processor.seconds())
    text.add(.openDescriptors, Descriptors.count())
    text.add(.isReady, Health(notes, status).verdict == .ready ? 1 : 0)
    text.add(.isPaused, status.isPaused ? 1 : 0)
    text.add(.troubles, status.troubles.count)
    text.add(
      .watchCondition,
      status.watches.flatMap { watch in
        WatchCondition.allCases.map {
          (["watch": watch.name, "condition": $0.rawValue], watch.condition == $0 ? 1 : 0)
        }
      })
  }

  private func addWork(to text: inout MetricsText) {
    text.add(.filesAdmitted, tally.admitted.value)
    text.add(.filesIgnored, tally.ignored.value)
    text.add(.filesFoundByRescan, tally.foundOnlyByRescan.value)
    text.add(.filesDisposed, tally.disposed.value)
    text.add(.filesQuarantined, tally.quarantined.value)
    text.add(.imagesAnswered, tally.answered.value)
    text.add(.imagesReused, tally.reused.value)
    text.add(.imagesFailed, tally.failed.value)
    text.add(.imagesRequested, tally.requested.value)
    text.add(.batches, tally.batches.value)
    text.add(.eventOverflows, tally.overflows.value)
    for (metric, histogram) in [
      (Metric.settleTime, tally.settle), (.queueTime, tally.queue), (.decodeTime, tally.decode),
      (.computeTime, tally.compute), (.commitTime, tally.commit),
    ] {
      text.add(metric, [([:], histogram.reading)], unit: 1e-9)
    }
    text.add(.batchSize, [([:], tally.batchSizes.reading)], unit: 1)
  }

  private func addWaiting(to text: inout MetricsText) {
    text.add(.settlingFiles, tally.settling.value)
    text.add(.queueImages, status.queues.map { (["queue": $0.name], Double($0.depth)) })
    if let ledger = status.ledger {
      text.add(.unprocessedFiles, ledger.seen)
      text.add(.undisposedFiles, ledger.awaitingSinks + ledger.readyToDispose)
    }
    text.add(.oldestUnprocessed, Double(status.oldestUnprocessedNanoseconds) / 1e9)
  }

  private func addSinks(to text: inout MetricsText) {
    text.add(.sinkOpen, status.sinks.map { (["sink": $0.name], $0.isOpen ? 1 : 0) })
    text.add(
      .sinkLag, status.sinks.compactMap { sink in sink.lag.map { (["sink": sink.name], Double($0)) } })
    text.add(
      .sinkDeadLetters, status.sinks.compactMap { sink in sink.deadLetters.map { (["sink": sink.name], Double($0)) } })
    let sinks = status.sinks.map { (name: $0.name, tally: tally.sink($0.name)) }
    text.add(.sinkDelivered, sinks.map { (["sink": $0.name], Double($0.tally.delivered.value)) })
    text.add(.sinkRejected, sinks.map { (["sink": $0.name], Double($0.tally.rejected.value)) })
    text.add(.sinkRestarts, sinks.map { (["sink": $0.name], Double($0.tally.failures.value)) })
    text.add(.deliveryTime, sinks.map { (["sink": $0.name], $0.tally.delivery.reading) }, unit: 1e-9)
  }
}
