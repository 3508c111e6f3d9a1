// The supervisor: it owns the pipeline and everything that outlives one, listens to signals, tells systemd how things
// are, and feeds the watchdog only while every stage moves or rests. It runs on the main thread and never does the
// stages' work.

internal import Engine
internal import Glibc
internal import HTTPServer
internal import Platform
internal import SinkProtocol
internal import Synchronization

/// The service from start to exit.
package final class Daemon {
  let configurationPath: String
  var configuration: Configuration
  var ground: Pipeline.Ground
  private let recorderPath: String
  private let lock: PosixLock
  let http: HTTPService
  var pipeline: Pipeline
  /// The door for everybody outside the main thread.
  package let operations: Operations
  var modelFiles = ModelFiles()
  /// False once a reload ended one pipeline and could not start another.
  var hasPipeline = true
  private var stalls: StallDetector
  private let watchdogInterval = Notify.watchdogInterval
  private var nextWatchdog: Int64 = 0
  private let startedAt: Int64
  private var lastStatus = ""

  /// Loads everything and opens the sinks, but takes no file yet.
  ///
  /// `startedAt`: monotonic nanoseconds at which the process began, for the journal's line at READY.
  ///
  /// - Throws: `ConfigurationError`, `ServiceError`, `LedgerError` or `PlatformError`; each names what to mend.
  package init(configurationPath: String, hostPath: String, startedAt: Int64) throws {
    self.configurationPath = configurationPath
    self.startedAt = startedAt
    stalls = StallDetector(patience: max(.seconds(20), watchdogInterval ?? .seconds(60)))
    let configuration = try Configuration.load(path: configurationPath)
    self.configuration = configuration
    let state = Path(configuration.daemon.stateDir)
    let runtime = Path(configuration.daemon.runtimeDir)
    try Directory.create(state, mode: 0o750)
    try Directory.create(runtime, mode: 0o750)
    lock = try PosixLock(path: state.appending("lock"))
    let ledger = try Ledger(path: state.appending("ledger.db").displayed)
    recorderPath = runtime.appending("flight-recorder").displayed
    let report = FlightRecorder.report(path: recorderPath)
    try Self.countStrikes(of: report.culprits, in: ledger, recorderPath: recorderPath)
    let recorder = try FlightRecorder(path: recorderPath, slots: configuration.slotsInHand)
    recorder.markFaults()
    let algorithms = AlgorithmBook(stateDir: state)
    let models = try Self.load(configuration, measured: algorithms.measured)
    ground = Pipeline.Ground(
      algorithms: algorithms,
      ledger: ledger, recorder: recorder, tally: Tally(), shelf: ModelShelf(models),
      launch: SinkLaunch(hostPath: hostPath, pluginDirectories: configuration.daemon.pluginDirs),
      memory: try Self.memory(configuration, models), unheard: report.unheard)
    try ledger.forgetPostponements()
    try ledger.retireSinks(keeping: configuration.sinks.map(\.name))
    pipeline = try Pipeline(configuration, on: ground)
    recorder.note(now: Clock.wallNanoseconds(), heardUntil: pipeline.heardUntil)
    operations = Operations(
      ground: ground, pipeline: pipeline, startedAt: startedAt, memoryBoundBytes: ground.memory.totalBytes,
      requestReload: { kill(getpid(), SIGHUP) })
    http = try HTTPService(operations: operations, workers: configuration.daemon.workers)
    let listeners = try http.prepare(configuration)
    settleModelFiles()
    // A plugin that became unusable, by an upgrade or a damage, stops no other sink.
    try pipeline.openSinks(within: .seconds(10), refusing: [.settings])
    serve(listeners)
    http.start()
  }

  /// The picture that a crashed thread had in hand gets a strike; a run that was killed from outside gives none.
  private static func countStrikes(of culprits: [String], in ledger: Ledger, recorderPath: String) throws {
    // First, so that a crash right here forgets a strike rather than counting it twice.
    FlightRecorder.forget(path: recorderPath)
    for (id, strikes) in culprits.isEmpty ? [] : try ledger.strike(culprits) {
      let path = (try? ledger.history(of: .id(id)))?.first.map { Path($0.arrival.path).displayed } ?? "a file"
      Journal.log(
        .warning, "the service died with \(path) in hand, strike \(strikes)", id: .strike,
        fields: [("LOOKOUT_ID", id)])
    }
  }

  /// Loads what a configuration wants; a model that is in service under the same settings and file is used again.
  static func load(
    _ configuration: Configuration, measured: [String: ConvolutionAlgorithm],
    inService: [String: LoadedModel] = [:]
  ) throws(ServiceError) -> [String: LoadedModel] {
    var models: [String: LoadedModel] = [:]
    for settings in configuration.models {
      let slots = settings.slotCount(workers: configuration.daemon.workers)
      if let model = inService[settings.name], model.settings == settings, model.slots.count == slots,
        model.identity == identity(of: settings)
      {
        models[settings.name] = model
      } else {
        models[settings.name] = try LoadedModel(
          settings: settings, slotCount: slots, workers: configuration.daemon.workers, measured: measured)
      }
    }
    // Once: not again of those that lacked it before.
    let lacking = models.values.filter { inService[$0.name]?.lacksBF16 != true }
    if let line = LoadedModel.lackOfBF16(Array(lacking)) { Journal.log(.notice, line, id: .precisionMissing) }
    return models
  }

  /// What a configuration with its models may take, within the limit.
  static func memory(
    _ configuration: Configuration, _ models: [String: LoadedModel]
  ) throws(ServiceError) -> MemoryPlan {
    try MemoryPlan(
      models: models.values.map(\.cost), workers: configuration.daemon.workers,
      limit: configuration.daemon.memoryLimitBytes)
  }

  /// Tells the bound on memory, and what the limit took away.
  func tellMemory() {
    Journal.log(
      .notice, ground.memory.line, id: .memoryBound, fields: [("LOOKOUT_BYTES", "\(ground.memory.totalBytes)")])
    if let concession = ground.memory.concession() { Journal.log(.warning, concession, id: .memoryBound) }
  }

  static func identity(of model: ModelSettings) -> FileIdentity? {
    (try? FileStatus.of(Path(model.file), followingLinks: true))?.identity
  }

  // MARK: Serving

  /// Serves until a signal to stop, and drains.
  ///
  /// - Returns: the exit status: 0, or 75 (EX_TEMPFAIL) when the time to drain ran out and the ledger keeps the rest, or
  ///   when a reload left no pipeline; systemd starts the service anew then.
  package func serve() -> Int32 {
    pipeline.start()
    http.show(.serving)
    tellMemory()
    announceReady()
    while true {
      if let signal = SignalSet.wait(for: .milliseconds(500)) {
        switch signal {
        case .hangUp: if !reload() { return 75 }
        case .terminate, .interrupt: return stop()
        case .user1: Journal.log(.notice, status(), id: .status)
        }
      }
      let told = status()
      if told != lastStatus {
        lastStatus = told
        Notify.status(told)
      }
      http.turn()
      attend()
      reloadChangedModels()
    }
  }

  private func announceReady() {
    let milliseconds = (Clock.monotonicNanoseconds() - startedAt) / 1_000_000
    Notify.ready(status: status())
    Journal.log(
      .notice,
      "ready in \(milliseconds) ms: \(configuration.watches.count) watches, \(configuration.sinks.count) sinks, "
        + "\(configuration.daemon.workers) workers, \(Memory.residentBytes() >> 20) MiB resident",
      id: .ready, fields: [("LOOKOUT_START_MS", "\(milliseconds)")])
  }

  /// Listens at exactly these from now on.
  func serve(_ listeners: [Listener]) {
    http.serve(listeners)
    ServedSockets.note(listeners.map(\.address), in: configuration.daemon.runtimeDir)
  }

  func status() -> String {
    ground.tally.summary(waiting: pipeline.waiting) + pipeline.troubles.map { "; \($0)" }.joined()
  }

  // MARK: Watchdog

  /// Looks for stages that do not move, and feeds the watchdog if none is wedged.
  ///
  /// Cheap; called at least twice an interval, also while a reload or a stop is under way.
  func attend() {
    pipeline.reinforce()
    ground.recorder.note(now: Clock.wallNanoseconds(), heardUntil: pipeline.heardUntil)
    let now = Clock.monotonicNanoseconds()
    let stalls = stalls.stalls(pipeline.heartbeats + [http.heartbeat], now: now)
    http.turn(stalled: stalls.filter { $0.activity == .working }.map(\.stage))
    let isWedged = stalls.contains { $0.activity == .working }
    for (name, isNew) in ground.board.update(stalls) where isNew {
      Journal.log(.error, "no progress: \(name)", id: .stalled)
    }
    if isWedged {
      // The watchdog will end the process; what these threads have in hand gets a strike at the next start.
      let wedged = Set(stalls.filter { $0.activity == .working }.map(\.stage))
      for heartbeat in pipeline.heartbeats where wedged.contains(heartbeat.name) {
        for slot in heartbeat.slots { ground.recorder.accuse(slot) }
      }
      return
    }
    guard let watchdogInterval, now >= nextWatchdog else { return }
    nextWatchdog = now + (watchdogInterval / 4).nanoseconds
    Notify.watchdog()
  }

  /// Runs work on a thread of its own and attends to everything else until it is done.
  ///
  /// `deadline`: the moment of the monotonic clock at which `giveUp` is called, once, so that the work ends soon.
  ///
  /// - Returns: whether it ended; work that depends on a file system that does not answer may not.
  func attending(
    until deadline: Int64, giveUp: () -> Void, each: () -> Void = {}, _ work: @escaping @Sendable () -> Void
  ) -> Bool {
    let graceNanoseconds: Int64 = 10_000_000_000
    let done = Bell()
    let thread = OwnedThread(name: "drain") {
      work()
      done.ring()
    }
    var hasGivenUp = false
    each()
    while !done.wait(for: .milliseconds(250)) {
      attend()
      each()
      let now = Clock.monotonicNanoseconds()
      if !hasGivenUp, now > deadline {
        hasGivenUp = true
        giveUp()
      }
      if hasGivenUp, now > deadline + graceNanoseconds { return false }
    }
    thread.join()
    return true
  }

  // MARK: Stop

  private func stop() -> Int32 {
    http.show(.stopping)
    operations.close()
    Notify.stopping(status: "draining: " + status())
    let pipeline = self.pipeline
    let deadline = Clock.monotonicNanoseconds() + Int64(configuration.daemon.stopTimeoutSeconds) * 1_000_000_000
    let aborted = Flag()
    var nextWord: Int64 = 0
    let hasEnded = attending(
      until: deadline,
      giveUp: {
        aborted.set()
        pipeline.abort()
      },
      each: {
        let now = Clock.monotonicNanoseconds()
        guard now >= nextWord else { return }
        nextWord = now + 1_000_000_000
        let left = (try? self.ground.ledger.counts()).map {
          "draining: \($0.seen) images, \($0.awaitingSinks) deliveries left"
        }
        Notify.extendTimeout(by: .seconds(20), status: left ?? "draining")
      }, { pipeline.drain() })
    let isWhole = hasEnded && !aborted.isSet && pipeline.hasDelivered
    Journal.log(.notice, (isWhole ? "stopped: " : "stopped before all was delivered: ") + status(), id: .stopped)
    guard hasEnded else { return 75 }
    http.stop()
    ServedSockets.forget(in: configuration.daemon.runtimeDir)
    ground.ledger.close()
    ground.recorder.discard()
    return isWhole ? 0 : 75
  }

  /// A recorder with room for what a configuration's threads have in hand.
  func makeRoom(for configuration: Configuration) throws {
    guard configuration.slotsInHand > ground.recorder.slots else { return }
    ground.recorder = try FlightRecorder(path: recorderPath, slots: configuration.slotsInHand)
    ground.recorder.markFaults()
    ground.recorder.note(now: Clock.wallNanoseconds(), heardUntil: pipeline.heardUntil)
  }
}
