internal import Engine
internal import Platform
package import SinkProtocol
internal import Synchronization

/// Everything that can be asked of the running service or done to it from outside: the one door for HTTP, the control
/// socket and the tool.
///
/// Any thread, for as long as the process lives. Calls that read ask the ledger on a connection of their own and hold up no image.
package final class Operations: Sendable {
  /// Why an operation was not done; the text is for the operator.
  package enum Failure: Error, Equatable, CustomStringConvertible {
    case notFound(String)
    case refused(String)
    case unavailable(String)

    package var description: String {
      switch self {
      case .notFound(let text), .refused(let text), .unavailable(let text): text
      }
    }
  }

  /// What a drain left undone; all zero when it came to its end.
  package struct Remainder: Equatable, Sendable {
    /// Admitted and without a result.
    package var images = 0
    /// Results that some sink lacks.
    package var deliveries = 0
    /// Answered files that have not left their folder.
    package var files = 0

    package var isEmpty: Bool { self == Remainder() }
  }

  private struct State {
    var pipeline: Pipeline
    var isPaused = false
    var isClosed = false
    /// Who waits for a reload to be done.
    var reloads: [ReloadRequest] = []
  }

  /// One caller that waits for the main thread's reload.
  private final class ReloadRequest: Sendable {
    let bell = Bell()
    let answer = Mutex<Result<Void, Failure>?>(nil)
  }

  package let tally: Tally
  private let ledger: Ledger
  private let shelf: ModelShelf
  private let startedAt: Int64
  private let memoryBound: Mutex<Int>
  private let state: Mutex<State>
  private let requestReload: @Sendable () -> Void

  /// `requestReload`: makes the main thread reload soon.
  init(
    ground: Pipeline.Ground, pipeline: Pipeline, startedAt: Int64, memoryBoundBytes: Int,
    requestReload: @escaping @Sendable () -> Void
  ) {
    tally = ground.tally
    ledger = ground.ledger
    shelf = ground.shelf
    self.startedAt = startedAt
    memoryBound = Mutex(memoryBoundBytes)
    state = Mutex(State(pipeline: pipeline))
    self.requestReload = requestReload
  }

  // MARK: For the supervisor

  /// A reload made another pipeline.
  func replace(_ pipeline: Pipeline, memoryBoundBytes: Int) {
    let isPaused = state.withLock { state in
      state.pipeline = pipeline
      return state.isPaused
    }
    memoryBound.withLock { $0 = memoryBoundBytes }
    for watcher in pipeline.watchers { watcher.pause(isPaused) }
  }

  /// Takes those who asked for the reload that begins now.
  ///
  /// - Returns: to be called with what came of it.
  func beginReload() -> (Result<Void, Failure>) -> Void {
    let waiting = state.withLock { state in
      defer { state.reloads = [] }
      return state.reloads
    }
    return { result in
      for request in waiting {
        request.answer.withLock { $0 = result }
        request.bell.ring()
      }
    }
  }

  /// The service stops: nobody waits any longer.
  func close() {
    let waiting = state.withLock { state in
      state.isClosed = true
      defer { state.reloads = [] }
      return state.reloads
    }
    for request in waiting {
      request.answer.withLock { $0 = .failure(Self.stopping) }
      request.bell.ring()
    }
  }

  private static let stopping = Failure.unavailable("the service stops")

  private var pipeline: Pipeline { state.withLock { $0.pipeline } }

  // MARK: Looking

  /// How the service is now.
  package func status() -> ServiceStatus {
    let (pipeline, isPaused) = state.withLock { ($0.pipeline, $0.isPaused) }
    let configuration = pipeline.configuration
    let counts = try? ledger.counts()
    let queued = pipeline.queued
    return ServiceStatus(
      version: Version.text, uptimeNanoseconds: Clock.monotonicNanoseconds() - startedAt,
      workers: configuration.daemon.workers,
      watches: pipeline.watchers.map { watcher in
        let watch = watcher.settings
        return .init(
          name: watch.name, path: watch.path, model: watch.model, sinks: watch.sinks, condition: watcher.condition)
      },
      models: shelf.all.values.sorted { $0.name < $1.name }.map { model in
        let shape = model.network.inputShape
        return .init(
          name: model.name, file: model.file, digest: model.digest, labels: model.labels,
          inputShape: [shape.c, shape.h, shape.w], outputCount: model.network.outputCount, topK: model.settings.topK,
          maxBatch: model.settings.maxBatch)
      },
      sinks: pipeline.sinks.map { sink in
        let condition = sink.condition
        let count = counts?.sinks[sink.settings.name]
        var trouble: String?
        if case .benched(let reason, _) = condition { trouble = reason }
        return .init(
          name: sink.settings.name, plugin: sink.settings.plugin, trouble: trouble, isOpen: condition == .open,
          lag: counts == nil ? nil : count?.lag ?? 0, deadLetters: counts == nil ? nil : count?.deadLetters ?? 0)
      },
      queues: [.init(name: "candidates", depth: queued.candidates), .init(name: "decoded", depth: queued.decoded)],
      ledger: counts, oldestUnprocessedNanoseconds: oldestUnprocessed(counts), isPaused: isPaused,
      troubles: pipeline.troubles, residentBytes: Memory.residentBytes(),
      memoryBoundBytes: memoryBound.withLock { $0 })
  }

  private func oldestUnprocessed(_ counts: LedgerCounts?) -> Int64 {
    let settling = tally.oldestSettling.load(ordering: .relaxed)
    let ages = [
      settling == 0 ? nil : Clock.monotonicNanoseconds() - settling,
      counts?.oldestUnfinishedNanoseconds.map { Clock.wallNanoseconds() - $0 },
    ]
    return max(0, ages.compactMap { $0 }.max() ?? 0)
  }

  /// What the ledger knows of an image, the latest arrival first; none when it never took charge of it.
  package func explain(_ sought: Ledger.Sought) throws(Failure) -> [ArrivalHistory] {
    try asked { () throws(LedgerError) in try ledger.history(of: sought) }
  }

  /// Why a path that the ledger does not know is where it is: one sentence for the operator.
  package func observation(of path: [UInt8]) -> String { pipeline.observation(of: Path(path)) }

  // MARK: Intake

  /// Takes no further file; what was taken goes on.
  ///
  /// Ends with `resume` or with the process.
  package func pause() { setPaused(true) }

  /// Takes files again; what arrived meanwhile is found by listing.
  package func resume() { setPaused(false) }

  private func setPaused(_ isPaused: Bool) {
    let pipeline = state.withLock { state in
      state.isPaused = isPaused
      return state.pipeline
    }
    for watcher in pipeline.watchers { watcher.pause(isPaused) }
  }

  /// Pauses and waits until everything that was taken is answered, delivered and let go.
  ///
  /// `deadline`: the moment of the monotonic clock until which it waits at most. Intake stays paused.
  package func drain(until deadline: Int64) throws(Failure) -> Remainder {
    pause()
    while true {
      let counts = try asked { () throws(LedgerError) in try ledger.counts() }
      let remainder = Remainder(
        images: counts.seen, deliveries: counts.awaitingSinks, files: counts.readyToDispose)
      guard !state.withLock({ $0.isClosed }) else { throw Self.stopping }
      if remainder.isEmpty || Clock.monotonicNanoseconds() >= deadline { return remainder }
      Clock.pause(milliseconds: 20)
    }
  }

  // MARK: Repair

  /// Sends a sink's dead letters once more.
  ///
  /// - Returns: how many.
  package func redrive(sink name: String) throws(Failure) -> Int {
    let pipeline = pipeline
    guard let sink = pipeline.sinks.first(where: { $0.settings.name == name }) else {
      let names = pipeline.sinks.map(\.settings.name).joined(separator: ", ")
      throw .notFound("there is no sink \(name); there are: \(names)")
    }
    let count = try asked { () throws(LedgerError) in try ledger.redrive(sink: name, now: Clock.wallNanoseconds()) }
    sink.ring()
    return count
  }

  /// Files in quarantine, the latest first; `before` is the id of the last one of an earlier page.
  package func quarantine(limit: Int, before id: String? = nil) throws(Failure) -> [ArrivalHistory] {
    try asked { () throws(LedgerError) in try ledger.quarantine(limit: limit, before: id) }
  }

  /// Moves a quarantined file back to where it arrived, under a free name, so that it is a new arrival.
  ///
  /// - Returns: the path it has now.
  package func release(id: String) throws(Failure) -> [UInt8] {
    guard let history = try explain(.id(id)).first, history.state == .quarantined, let held = history.finalPath else {
      throw .notFound("no file with the id \(id) is in quarantine")
    }
    let source = Path(held)
    let target: Path
    do throws(PlatformError) {
      try Directory.create(Path(history.arrival.path).parent, mode: 0o750)
      target = try moveFile(
        from: source, intoDirectory: Path(history.arrival.path).parent, named: Path(history.arrival.path).lastComponent)
    } catch {
      throw .refused("\(source.displayed) cannot go back: \(error)")
    }
    try? Path(held + Array(".reason.txt".utf8)).unlink()
    try asked { () throws(LedgerError) in try ledger.released(id) }
    return target.bytes
  }

  // MARK: Reload

  /// Reloads configuration and models, and returns when that is done.
  ///
  /// - Throws: `.refused` with everything that is wrong; all goes on as before then.
  package func reload() throws(Failure) {
    let request = ReloadRequest()
    let isClosed = state.withLock { state in
      state.reloads.append(request)
      return state.isClosed
    }
    guard !isClosed else { throw Self.stopping }
    requestReload()
    while true {
      if let answer = request.answer.withLock({ $0 }) { return try answer.get() }
      request.bell.wait(for: .seconds(3600))
    }
  }

  // MARK: Answering

  /// A model in service.
  func model(named name: String) -> LoadedModel? { shelf.model(named: name) }

  /// Answers a picture's bytes among those of the folders; see `RequestDesk`.
  ///
  /// `deadline`: a moment of the monotonic clock. Blocks until then at most.
  package func classify(
    _ bytes: [UInt8], model: String, deadline: Int64
  ) throws(Ticket.Failure) -> ResultRecord {
    try pipeline.requests.classify(bytes, model: model, deadline: deadline)
  }

  /// Answers one input tensor in C, H, W order with the network's own output, not yet made probabilities.
  package func infer(_ tensor: [Float], model: String, deadline: Int64) throws(Ticket.Failure) -> [Float] {
    try pipeline.requests.infer(tensor, model: model, deadline: deadline)
  }

  private func asked<T>(_ body: () throws(LedgerError) -> T) throws(Failure) -> T {
    do throws(LedgerError) { return try body() } catch { throw .unavailable("\(error)") }
  }
}
