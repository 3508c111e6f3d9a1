// The supervisor: it owns the pipeline and everything that outlives one, listens to signals, tells systemd how things
// are, and feeds the watchdog only while every stage moves or rests. It runs on the main thread and never does the
// stages' work.

internal import Engine
internal import Glibc
internal import Platform
internal import Synchronization

/// The service from start to exit.
package final class Daemon {
  private let configurationPath: String
  private var configuration: Configuration
  private var ground: Pipeline.Ground
  private let recorderPath: String
  private let lock: PosixLock
  private let http: HTTPService
  private var pipeline: Pipeline
  /// The door for everybody outside the main thread.
  package let operations: Operations
  private var stalls = StallDetector()
  private var modelIdentities: [String: FileIdentity]
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
    let configuration = try Configuration.load(path: configurationPath)
    self.configuration = configuration
    MatrixLibrary.useOneThread()
    try MatrixLibrary.prove()
    let state = Path(configuration.daemon.stateDir)
    let runtime = Path(configuration.daemon.runtimeDir)
    try Directory.create(state, mode: 0o750)
    try Directory.create(runtime, mode: 0o750)
    lock = try PosixLock(path: state.appending(Array("lock".utf8)))
    let ledger = try Ledger(path: state.appending(Array("ledger.db".utf8)).displayed)
    recorderPath = runtime.appending(Array("flight-recorder".utf8)).displayed
    try Self.countStrikes(in: ledger, recorderPath: recorderPath)
    let recorder = try FlightRecorder(path: recorderPath, slots: configuration.slotsInHand)
    recorder.markFaults()
    modelIdentities = Self.identities(of: configuration.models)
    ground = Pipeline.Ground(
      ledger: ledger, recorder: recorder, tally: Tally(), shelf: ModelShelf(try Self.load(configuration)),
      launch: SinkLaunch(hostPath: hostPath, pluginDirectories: configuration.daemon.pluginDirs))
    try ledger.forgetPostponements()
    try ledger.retireSinks(keeping: configuration.sinks.map(\.name))
    pipeline = try Pipeline(configuration, on: ground)
    operations = Operations(
      ground: ground, pipeline: pipeline, startedAt: startedAt, memoryBoundBytes: 0,
      requestReload: { kill(getpid(), SIGHUP) })
    http = try HTTPService(operations: operations, workers: configuration.daemon.workers)
    let listeners = try http.prepare(configuration)
    try pipeline.openSinks(within: .seconds(30))
    http.serve(listeners)
    http.start()
  }

  /// The picture that a crashed thread had in hand gets a strike; a run that was killed from outside gives none.
  private static func countStrikes(in ledger: Ledger, recorderPath: String) throws {
    let culprits = FlightRecorder.report(path: recorderPath).culprits
    for (id, strikes) in culprits.isEmpty ? [] : try ledger.strike(culprits) {
      Journal.log(
        .warning, "the service crashed with arrival \(id) in hand, strike \(strikes)", id: .strike,
        fields: [("LOOKOUT_ID", id)])
    }
  }

  private static func load(_ configuration: Configuration) throws(ServiceError) -> [String: LoadedModel] {
    var models: [String: LoadedModel] = [:]
    for settings in configuration.models {
      models[settings.name] = try LoadedModel(
        settings: settings, slotCount: settings.slotCount(workers: configuration.daemon.workers))
    }
    return models
  }

  private static func identities(of models: [ModelSettings]) -> [String: FileIdentity] {
    var found: [String: FileIdentity] = [:]
    for model in models {
      found[model.name] = (try? FileStatus.of(Path(model.file), followingLinks: true))?.identity
    }
    return found
  }

  /// Serves until a signal to stop, and drains.
  ///
  /// - Returns: the exit status: 0, or 75 (EX_TEMPFAIL) when the time to drain ran out and the ledger keeps the rest.
  package func serve() -> Int32 {
    pipeline.start()
    http.show(.serving)
    announceReady()
    let interval = Notify.watchdogInterval.map { $0 / 2 } ?? .seconds(2)
    var nextLook = Clock.monotonicNanoseconds()
    while true {
      if let signal = SignalSet.wait(for: .milliseconds(500)) {
        switch signal {
        case .hangUp: reload()
        case .terminate, .interrupt: return stop()
        case .user1: Journal.log(.notice, status(), id: .status)
        }
      }
      let told = status()
      if told != lastStatus {
        lastStatus = told
        Notify.status(told)
      }
      let now = Clock.monotonicNanoseconds()
      http.turn()
      if now >= nextLook {
        nextLook = now + interval.nanoseconds
        feedWatchdog()
        reloadChangedModels()
      }
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

  private func status() -> String {
    let health = pipeline.troubles.map { "; \($0)" }.joined()
    return ground.tally.summary(waiting: pipeline.waiting) + health
  }

  private func feedWatchdog() {
    let stalled = stalls.stalled(pipeline.heartbeats + [http.heartbeat])
    http.turn(stalled: stalled)
    guard stalled.isEmpty else {
      Journal.log(.error, "no progress in \(stalled.joined(separator: ", "))", id: .stalled)
      return
    }
    Notify.watchdog()
  }

  // MARK: Reload

  private func reload() {
    Notify.reloading()
    let tell = operations.beginReload()
    http.show(.reloading)
    do {
      let new = try Configuration.load(path: configurationPath)
      let listeners = try http.prepare(new)
      let models = try Self.load(new)
      if new.isSame(exceptModels: configuration) {
        ground.shelf.replace(by: models)
      } else {
        try rebuild(new, models)
      }
      http.serve(listeners)
      configuration = new
      modelIdentities = Self.identities(of: new.models)
      Journal.log(.notice, "reloaded \(configurationPath)", id: .reloaded)
      tell(.success(()))
    } catch {
      tell(.failure(.refused("\(error)")))
      Journal.log(.error, "reload refused, everything goes on as before: \(error)", id: .reloadRefused)
    }
    http.show(.serving)
    Notify.ready(status: status())
  }

  /// Ends the old pipeline and starts one under the new configuration; if its sinks do not open, the old one again.
  private func rebuild(_ new: Configuration, _ models: [String: LoadedModel]) throws {
    let old = configuration
    let oldModels = ground.shelf.all
    pipeline.drain()
    do {
      try build(new, models)
    } catch {
      try build(old, oldModels)
      throw error
    }
  }

  /// Makes a pipeline on the same ledger, opens its sinks and starts it.
  private func build(_ configuration: Configuration, _ models: [String: LoadedModel]) throws {
    if configuration.slotsInHand > ground.recorder.slots {
      ground.recorder = try FlightRecorder(path: recorderPath, slots: configuration.slotsInHand)
      ground.recorder.markFaults()
    }
    ground.launch = SinkLaunch(
      hostPath: ground.launch.hostPath, pluginDirectories: configuration.daemon.pluginDirs)
    ground.shelf.replace(by: models)
    try ground.ledger.retireSinks(keeping: configuration.sinks.map(\.name))
    let made = try Pipeline(configuration, on: ground)
    try made.openSinks(within: .seconds(30))
    pipeline = made
    operations.replace(made, memoryBoundBytes: 0)
    made.start()
  }

  /// A weights file that was replaced is loaded beside the old one and takes over if it proves itself.
  private func reloadChangedModels() {
    let now = Self.identities(of: configuration.models)
    guard now != modelIdentities else { return }
    modelIdentities = now
    do {
      ground.shelf.replace(by: try Self.load(configuration))
      Journal.log(.notice, "a new weights file is in service", id: .reloaded)
    } catch {
      Journal.log(.error, "a new weights file is refused, the old model goes on: \(error)", id: .reloadRefused)
    }
  }

  // MARK: Stop

  private func stop() -> Int32 {
    http.show(.stopping)
    operations.close()
    Notify.stopping(status: "draining: " + status())
    let pipeline = self.pipeline
    let done = Flag()
    let drain = OwnedThread(name: "drain") {
      pipeline.drain()
      done.set()
    }
    let deadline = Clock.monotonicNanoseconds() + Int64(configuration.daemon.stopTimeoutSeconds) * 1_000_000_000
    var isAborted = false
    while !done.isSet {
      Clock.pause(milliseconds: 5)
      if !isAborted, Clock.monotonicNanoseconds() > deadline {
        isAborted = true
        pipeline.abort()
      }
    }
    drain.join()
    Journal.log(.notice, (isAborted ? "stopped before all was delivered: " : "stopped: ") + status(), id: .stopped)
    http.stop()
    ground.ledger.close()
    ground.recorder.discard()
    return isAborted ? 75 : 0
  }
}
