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
    let ledger: Ledger
    var recorder: FlightRecorder
    let tally: Tally
    let shelf: ModelShelf
    var launch: SinkLaunch
  }

  private let candidates = BoundedQueue<Candidate>(capacity: 64)
  private let decoded: DecodedQueue
  let ground: Ground
  let watcher: Watcher
  let requests: RequestDesk
  private let decoders: [Decoder]
  private let classifiers: [Classifier]
  private let disposer: Disposer
  let sinks: [SinkWorker]
  private let threads = Mutex<Threads>(Threads())
  private let aborted: Flag
  let configuration: Configuration

  private struct Threads {
    var watch: OwnedThread?
    var decode: [OwnedThread] = []
    var classify: [OwnedThread] = []
    var sinks: [OwnedThread] = []
    var dispose: OwnedThread?
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
      watcher = try Watcher(
        watches: configuration.watches, ledger: ground.ledger, candidates: candidates, tally: ground.tally)
    } catch {
      throw .watch(reason: "\(error)")
    }
    let disposer = Disposer(ledger: ground.ledger, tally: ground.tally)
    self.disposer = disposer
    let sinks = configuration.sinks.map {
      SinkWorker(
        settings: $0, ledger: ground.ledger, launch: ground.launch, tally: ground.tally.sink($0.name),
        acknowledged: { disposer.ring() })
    }
    self.sinks = sinks
    let decoding = Decoder.Wiring(
      watches: configuration.watches, limits: ImageLimits(), candidates: candidates, decoded: decoded,
      shelf: ground.shelf,
      ledger: ground.ledger, recorder: ground.recorder, watcher: watcher, tally: ground.tally)
    decoders = (0..<workers).map { Decoder(index: $0, wiring: decoding) }
    let classifying = Classifier.Wiring(
      watches: configuration.watches, decoded: decoded, shelf: ground.shelf, ledger: ground.ledger,
      recorder: ground.recorder, tally: ground.tally,
      committed: {
        for sink in sinks { sink.ring() }
        disposer.ring()
      },
      isAborted: { aborted.isSet })
    let batch = configuration.maxBatch
    classifiers = (0..<workers).map { Classifier(index: $0, firstSlot: workers + $0 * batch, wiring: classifying) }
    requests = RequestDesk(
      limit: workers * 2, limits: ImageLimits(), decoded: decoded, shelf: ground.shelf, tally: ground.tally)
  }

  /// Every stage's sign of life.
  var heartbeats: [Heartbeat] {
    [watcher.heartbeat, disposer.heartbeat] + decoders.map(\.heartbeat) + classifiers.map(\.heartbeat)
      + sinks.map(\.heartbeat)
  }

  /// Starts the sinks and waits until each is open.
  ///
  /// - Throws: `ServiceError.sink` naming the first that did not open in time; the sinks are stopped again.
  func openSinks(within limit: Duration) throws(ServiceError) {
    threads.withLock { threads in
      threads.sinks = sinks.map { sink in OwnedThread(name: "sink-\(sink.settings.name)") { sink.run() } }
    }
    let deadline = Clock.monotonicNanoseconds() + limit.nanoseconds
    for sink in sinks {
      while sink.condition != .open {
        if Clock.monotonicNanoseconds() > deadline {
          for sink in sinks { sink.abort() }
          for thread in threads.withLock({ $0.sinks }) { thread.join() }
          var reason = "it did not open in \(limit)"
          if case .benched(let why) = sink.condition { reason = why }
          throw .sink(name: sink.settings.name, reason: reason)
        }
        Clock.pause(milliseconds: 2)
      }
    }
  }

  /// Starts all other stages and returns when every watch is armed.
  func start() {
    let resumed = quarantineSuspects(among: (try? ground.ledger.unfinished()) ?? [])
    let armed = Bell()
    threads.withLock { threads in
      threads.dispose = OwnedThread(name: "dispose") { [disposer] in disposer.run() }
      threads.classify = classifiers.enumerated().map { index, stage in
        OwnedThread(name: "engine-\(index)") { stage.run() }
      }
      threads.decode = decoders.enumerated().map { index, stage in OwnedThread(name: "decode-\(index)") { stage.run() }
      }
      threads.watch = OwnedThread(name: "watch") { [watcher] in
        watcher.run(resumed: resumed, armed: { armed.ring() })
      }
    }
    disposer.ring()
    while !armed.wait(for: .seconds(60)) {}
  }

  /// Two crashes with the same picture in hand: it is not tried a third time.
  private func quarantineSuspects(among arrivals: [Arrival]) -> [Arrival] {
    var innocent: [Arrival] = []
    var outcomes: [Outcome] = []
    for arrival in arrivals {
      guard arrival.strikes >= 2, let watch = configuration.watches.first(where: { $0.name == arrival.watch }) else {
        innocent.append(arrival)
        continue
      }
      let reason = "the service died twice while it had this file in hand"
      let model = ground.shelf.model(named: watch.model)
      var record = ResultRecord(
        id: arrival.id, timeNanoseconds: Clock.wallNanoseconds(), watch: arrival.watch, path: arrival.path, sha256: "",
        status: .ok, error: nil, width: 0, height: 0, model: model?.name ?? watch.model,
        modelDigest: model?.digest ?? "",
        predictions: [])
      record.fail(reason)
      outcomes.append(
        Outcome(
          arrivalID: arrival.id, record: record.encoded(), sha256: "", sinks: watch.sinks, scores: [],
          modelDigest: record.modelDigest,
          disposition: .quarantine(directory: Array(watch.onFailure.utf8), reason: reason)))
    }
    if !outcomes.isEmpty {
      _ = ground.ledger.patiently(disposer.heartbeat, until: { aborted.isSet }) { () throws(LedgerError) in
        try ground.ledger.commit(outcomes, now: Clock.wallNanoseconds())
      }
    }
    return innocent
  }

  /// Ends the stages from the inbox downwards; everything in hand is answered, delivered and let go.
  ///
  /// Blocks. `abort` from another thread cuts it short.
  func drain() {
    let running = threads.withLock { $0 }
    requests.close()
    watcher.stop()
    candidates.close()
    running.watch?.join()
    for thread in running.decode { thread.join() }
    decoded.close()
    for thread in running.classify { thread.join() }
    for sink in sinks { sink.drain() }
    for thread in running.sinks { thread.join() }
    disposer.drain()
    running.dispose?.join()
  }

  /// Gives up what is still in hand; the ledger keeps it for the next start.
  ///
  /// Any thread.
  func abort() {
    aborted.set()
    _ = candidates.abort()
    for sink in sinks { sink.abort() }
    disposer.abort()
  }

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
