// One image's way from inbox to sinks under one configuration: queues, stages and their threads. The daemon makes one at
// start and another when a reload changes watches or sinks. Drain runs from the inbox downwards by closing queues.

internal import Imaging
internal import Platform
internal import SinkProtocol
internal import Synchronization

/// Every stage of the service, wired together and running.
final class Pipeline: Sendable {
  /// What outlives a pipeline.
  struct Ground: Sendable {
    let algorithms: AlgorithmBook
    let ledger: Ledger
    var recorder: FlightRecorder
    let tally: Tally
    let shelf: ModelShelf
    var launch: SinkLaunch
    let board = StallBoard()
    var memory: MemoryPlan
    /// Times of the wall clock, in nanoseconds since 1970, at which events of the watches may have been missed.
    var unheard: ClosedRange<Int64>?
  }

  private let candidates = CandidateQueue(capacity: .max)
  private let decoded: DecodedQueue
  let ground: Ground
  let watchers: [Watcher]
  private let porter: Porter
  let requests: RequestDesk
  private let decoders: [Decoder]
  /// Step in, one each, for decoders that a file system lets wait.
  private let reserves: [Decoder]
  private let classifiers: [Classifier]
  private let disposer: Disposer
  private let upkeep: Upkeep
  let sinks: [SinkWorker]
  private let threads = Mutex<Threads>(Threads())
  private let aborted: Flag
  let configuration: Configuration

  private struct Threads {
    var porter: OwnedThread?
    var decode: [OwnedThread] = []
    var reserves: [OwnedThread] = []
    var classify: [OwnedThread] = []
    var sinks: [OwnedThread] = []
    var dispose: OwnedThread?
    var upkeep: OwnedThread?
  }

  init(_ configuration: Configuration, on ground: Ground) throws(ServiceError) {
    self.configuration = configuration
    self.ground = ground
    let workers = configuration.daemon.workers
    let aborted = Flag()
    self.aborted = aborted
    // Room for every slot there is, so that a model whose pictures wait leaves room for the others.
    decoded = DecodedQueue(
      capacity: configuration.models.reduce(workers) { $0 + $1.slotCount(workers: workers) })
    do throws(PlatformError) {
      var watchers: [Watcher] = []
      for (index, settings) in configuration.watches.enumerated() {
        watchers.append(
          try Watcher(
            index: index, settings: settings, ledger: ground.ledger, candidates: candidates, tally: ground.tally,
            unheard: ground.unheard))
      }
      self.watchers = watchers
      porter = try Porter(guests: watchers)
    } catch {
      throw .watch(reason: "\(error)")
    }
    let disposer = Disposer(
      ledger: ground.ledger, tally: ground.tally,
      isReachable: { [watchers] name in
        guard let watcher = watchers.first(where: { $0.settings.name == name }) else { return true }
        return watcher.heartbeat.absence(now: Clock.monotonicNanoseconds()) < Self.absenceNanoseconds
      })
    self.disposer = disposer
    // Measuring takes memory that the bound does not count.
    let measures = configuration.daemon.memoryLimitBytes == 0
    upkeep = Upkeep(
      ledger: ground.ledger, retentionSeconds: configuration.daemon.retentionSeconds, algorithms: ground.algorithms,
      problems: { measures ? ground.shelf.all.values.flatMap(\.problems) : [] })
    let sinks = configuration.sinks.map {
      SinkWorker(
        settings: $0, ledger: ground.ledger, launch: ground.launch, tally: ground.tally.sink($0.name),
        acknowledged: { disposer.ring() })
    }
    self.sinks = sinks
    let permits = DecodePermits(count: ground.memory.decodes)
    let decoding = Decoder.Wiring(
      watches: configuration.watches, limits: ground.memory.limits, permits: permits, candidates: candidates,
      decoded: decoded,
      shelf: ground.shelf,
      ledger: ground.ledger, recorder: ground.recorder, watchers: watchers, tally: ground.tally)
    decoders = (0..<workers).map { Decoder(index: $0, slot: $0, wiring: decoding) }
    reserves = (workers..<workers * 2).map { Decoder(index: $0, slot: $0, wiring: decoding) }
    let joint = workers > 1 ? JointBench(lanes: workers, shelf: ground.shelf) : nil
    let classifying = Classifier.Wiring(
      watches: configuration.watches, decoded: decoded, shelf: ground.shelf, ledger: ground.ledger,
      recorder: ground.recorder, tally: ground.tally,
      committed: { someLeaveAtOnce in
        for sink in sinks { sink.ring() }
        if someLeaveAtOnce { disposer.ring() }
      },
      joint: joint, isQuiet: { [candidates] in candidates.count == 0 }, isAborted: { aborted.isSet })
    let batch = configuration.maxBatch
    classifiers = (0..<workers).map { index in
      let first = workers * 2 + index * batch
      return Classifier(index: index, slots: first..<first + batch, wiring: classifying)
    }
    requests = RequestDesk(
      limit: workers * 2, limits: ground.memory.limits, permits: permits, decoded: decoded, shelf: ground.shelf,
      tally: ground.tally)
  }

  /// A time of the wall clock, in nanoseconds since 1970: every file dropped before it was admitted.
  var heardUntil: Int64 { watchers.map(\.heardUntil).min() ?? Clock.wallNanoseconds() }

  /// Every stage's sign of life.
  var heartbeats: [Heartbeat] {
    watchers.map(\.heartbeat) + [porter.heartbeat, disposer.heartbeat, upkeep.heartbeat]
      + (decoders + reserves).map(\.heartbeat)
      + classifiers.map(\.heartbeat)
      + sinks.map(\.heartbeat)
  }

  /// Starts the sinks and waits until each is open.
  ///
  /// One that does not open in time, for a reason that may pass, is tried again until it does; its results wait.
  ///
  /// `refusing`: which refusals are an error, rather than tried again as well.
  ///
  /// - Throws: `ServiceError.sink` naming the first that is refused; all are stopped again.
  func openSinks(within limit: Duration, refusing: Set<SinkRefusal>) throws(ServiceError) {
    threads.withLock { threads in
      threads.sinks = sinks.map { sink in OwnedThread(name: "sink-\(sink.settings.name)") { sink.run() } }
    }
    let deadline = Clock.monotonicNanoseconds() + limit.nanoseconds
    for sink in sinks {
      while sink.condition != .open, Clock.monotonicNanoseconds() < deadline {
        if case .benched(let reason, let refusal?) = sink.condition {
          guard refusing.contains(refusal) else { break }
          for sink in sinks { sink.abort() }
          for thread in threads.withLock({ $0.sinks }) { thread.join() }
          throw .sink(name: sink.settings.name, reason: reason)
        }
        Clock.pause(milliseconds: 2)
      }
    }
  }

  /// Starts all other stages and returns when every watch is armed, or its file system lets it wait too long.
  func start() {
    let unfinished = ground.ledger.patiently(disposer.heartbeat, until: { aborted.isSet }) { () throws(LedgerError) in
      try ground.ledger.unfinished()
    }
    let resumed = Dictionary(grouping: admissible(unfinished ?? []), by: \.watch)
    let armed = watchers.map { _ in Bell() }
    threads.withLock { threads in
      threads.dispose = OwnedThread(name: "dispose") { [disposer] in disposer.run() }
      threads.upkeep = OwnedThread(name: "upkeep") { [upkeep] in upkeep.run() }
      threads.classify = classifiers.enumerated().map { index, stage in
        OwnedThread(name: "engine-\(index)") { stage.run() }
      }
      threads.decode = decoders.enumerated().map { index, stage in OwnedThread(name: "decode-\(index)") { stage.run() }
      }
      for (watcher, armed) in zip(watchers, armed) {
        watcher.begin(resumed: resumed[watcher.settings.name] ?? [], armed: { armed.ring() })
      }
      threads.porter = OwnedThread(name: "porter") { [porter] in porter.run() }
    }
    disposer.ring()
    for armed in armed { armed.wait(for: .seconds(10)) }
  }

  /// What of an earlier run's arrivals is to be tried again.
  ///
  /// Not those of a watch that is configured no longer, which are withdrawn, and not those that were in hand at two
  /// crashes, which are quarantined.
  private func admissible(_ arrivals: [Arrival]) -> [Arrival] {
    var admissible: [Arrival] = []
    var outcomes: [Outcome] = []
    var orphans: [String] = []
    for arrival in arrivals {
      guard let watch = configuration.watches.first(where: { $0.name == arrival.watch }) else {
        orphans.append(arrival.id)
        continue
      }
      if arrival.strikes >= 2 { outcomes.append(quarantining(arrival, of: watch)) } else { admissible.append(arrival) }
    }
    _ = ground.ledger.patiently(disposer.heartbeat, until: { aborted.isSet }) { () throws(LedgerError) in
      try ground.ledger.withdraw(orphans, as: .vanished, now: Clock.wallNanoseconds())
      try ground.ledger.commit(outcomes, now: Clock.wallNanoseconds())
    }
    disposer.heartbeat.rest()
    return admissible
  }

  private func quarantining(_ arrival: Arrival, of watch: WatchSettings) -> Outcome {
    let reason = "the service died twice while it had this file in hand"
    let model = ground.shelf.model(named: watch.model)
    var record = ResultRecord(
      id: arrival.id, timeNanoseconds: Clock.wallNanoseconds(), watch: arrival.watch, path: arrival.path, sha256: "",
      status: .ok, error: nil, width: 0, height: 0, model: model?.name ?? watch.model,
      modelDigest: model?.digest ?? "", predictions: [])
    record.fail(reason)
    return Outcome(
      arrivalID: arrival.id, record: record.encoded(), sha256: "", sinks: watch.sinks, scores: [],
      modelDigest: record.modelDigest,
      disposition: .quarantine(directory: Array(watch.onFailure.utf8), reason: reason))
  }

  /// A file system that takes longer counts as one that does not answer, and others go first.
  private static let absenceNanoseconds: Int64 = 2_000_000_000

  /// Keeps decoders away from watches whose file system does not answer, and replaces those that wait for it already.
  ///
  /// The supervisor's thread, often.
  func reinforce() {
    let now = Clock.monotonicNanoseconds()
    let limit = Self.absenceNanoseconds
    let stuck = (decoders + reserves).compactMap { $0.stuckWatch(now: now, limitNanoseconds: limit) }
    let silent = watchers.enumerated().filter { $0.element.heartbeat.absence(now: now) > limit }.map(\.offset)
    candidates.hold(Set(stuck + silent))
    threads.withLock { threads in
      while !threads.decode.isEmpty, threads.reserves.count < min(stuck.count, reserves.count) {
        let reserve = reserves[threads.reserves.count]
        threads.reserves.append(OwnedThread(name: reserve.heartbeat.name) { reserve.run() })
      }
    }
  }

  /// Ends the stages from the inbox downwards; everything in hand is answered, delivered and let go.
  ///
  /// What a sink lacks that is out of service stays in the outbox, and so does all if not `delivering`. Blocks; `abort`
  /// from another thread cuts it short.
  func drain(delivering: Bool = true) {
    let running = threads.withLock { $0 }
    requests.close()
    upkeep.stop()
    for watcher in watchers { watcher.stop() }
    candidates.close()
    running.porter?.join()
    for thread in running.decode + threads.withLock({ $0.reserves }) { thread.join() }
    decoded.close()
    for thread in running.classify { thread.join() }
    for sink in sinks { sink.end(delivering: delivering) }
    for thread in running.sinks { thread.join() }
    disposer.drain()
    running.dispose?.join()
    running.upkeep?.join()
  }

  /// Gives up what is still in hand; the ledger keeps it for the next start.
  ///
  /// Any thread.
  func abort() {
    aborted.set()
    for watcher in watchers { watcher.stop() }
    _ = candidates.abort()
    for item in decoded.abort() { item.discard() }
    for sink in sinks { sink.abort() }
    disposer.abort()
  }

  /// Whether every sink ended with nothing left for it.
  var hasDelivered: Bool { sinks.allSatisfy { $0.condition == .closed(isDone: true) } }

  /// Pictures admitted and not yet answered, as far as this process holds them.
  var waiting: Int { candidates.count + decoded.count }

  /// Pictures in the two queues.
  var queued: (candidates: Int, decoded: Int) { (candidates.count, decoded.count) }
}

/// A switch that is turned once and read from any thread.
final class Flag: Sendable {
  private let state = Atomic<Bool>(false)

  func set() { state.store(true, ordering: .releasing) }
  var isSet: Bool { state.load(ordering: .acquiring) }
}
