// One a sink, each on its thread `sink-<name>`. It owns the sink's process from open to close: it reads the sink's part
// of the outbox in order, writes, flushes, and stores cursor and position together. A sink that crashes, hangs or
// refuses costs only its own thread a wait.

internal import Platform
internal import SinkProtocol
internal import Synchronization

/// Keeps one sink supplied with everything its outbox holds.
final class SinkWorker: Sendable {
  /// What the supervisor tells about a sink.
  enum Condition: Equatable, Sendable {
    case opening
    case open
    /// Waiting to be opened again, and why; with a refusal that will not help before somebody changes something.
    case benched(String, SinkRefusal?)
    /// `isDone`: everything that was in its outbox is delivered.
    case closed(isDone: Bool)
  }

  /// How long the worker goes on.
  private enum Term: Int, Comparable {
    case unlimited
    /// Until the outbox is empty, or the sink fails.
    case untilDelivered
    /// Until the batch in hand is delivered.
    case thisBatch
    case over

    static func < (one: Term, other: Term) -> Bool { one.rawValue < other.rawValue }
  }

  private struct State {
    var condition = Condition.opening
    var term = Term.unlimited
  }

  let settings: SinkSettings
  let heartbeat: Heartbeat
  private let ledger: Ledger
  private let launch: SinkLaunch
  private let state = Mutex(State())
  private let bell = Bell()
  private let acknowledged: @Sendable () -> Void
  private let tally: SinkTally

  /// `acknowledged`: called after each durable step of the sink; sources may be ready to leave.
  init(
    settings: SinkSettings, ledger: Ledger, launch: SinkLaunch, tally: SinkTally,
    acknowledged: @escaping @Sendable () -> Void
  ) {
    self.settings = settings
    self.tally = tally
    self.ledger = ledger
    self.launch = launch
    self.acknowledged = acknowledged
    heartbeat = Heartbeat(name: "sink-\(settings.name)")
  }

  var condition: Condition { state.withLock { $0.condition } }

  /// There may be something new in the outbox.
  ///
  /// Any thread.
  func ring() { bell.ring() }

  /// Ends `run` soon: once the outbox is empty or the sink fails if `delivering`, otherwise after the batch in hand.
  ///
  /// What is not delivered stays in the outbox. Any thread.
  func end(delivering: Bool) { shorten(to: delivering ? .untilDelivered : .thisBatch) }

  /// Ends `run` now; what is not acknowledged stays in the outbox.
  ///
  /// Any thread.
  func abort() { shorten(to: .over) }

  private func shorten(to term: Term) {
    state.withLock { $0.term = max($0.term, term) }
    bell.ring()
  }

  private var term: Term { state.withLock { $0.term } }
  private var isAborted: Bool { term == .over }

  /// Delivers until its term ends.
  func run() {
    var backoff = SinkBackoff()
    var reach = BatchReach()
    var isLastTry = false
    while !isLastTry, term < .thisBatch {
      // One try more after the end was asked for: what ails the sink may be over.
      isLastTry = term > .unlimited
      do throws(SinkProcessError) {
        heartbeat.begin()
        let process = try open()
        state.withLock { $0.condition = .open }
        Journal.log(.info, "sink \(settings.name) is open", id: .sinkOpened, fields: [("LOOKOUT_SINK", settings.name)])
        try deliver(through: process, &backoff, &reach)
        if let fault = heartbeat.outside({ process.close() }) {
          Journal.log(
            .warning, "sink \(settings.name) did not close well, all its results are safe: \(fault)", id: .sinkSays,
            fields: [("LOOKOUT_SINK", settings.name)])
        }
        break
      } catch {
        if case .expired = error { reach.expired() }
        bench(error, &backoff)
      }
    }
    state.withLock { $0.condition = .closed(isDone: isEmpty) }
    heartbeat.rest()
  }

  /// Notes a failure and waits.
  private func bench(_ error: SinkProcessError, _ backoff: inout SinkBackoff) {
    let isFirst = backoff.failures == 0
    tally.failures.add()
    let wait = backoff.failed(fraction: Double.random(in: 0..<1))
    state.withLock { $0.condition = .benched("\(error)", error.refusal) }
    if isFirst {
      Journal.log(
        .error, "sink \(settings.name) is out of service, its results wait: \(error)", id: .sinkFailed,
        fields: [("LOOKOUT_SINK", settings.name)])
    }
    rest(wait)
  }

  /// Waits so long, whatever arrives meanwhile: each try that news provoked would lengthen the next wait.
  private func rest(_ wait: Duration) {
    heartbeat.rest()
    let end = Clock.monotonicNanoseconds() + wait.nanoseconds
    while term == .unlimited {
      let left = end - Clock.monotonicNanoseconds()
      if left <= 0 { return }
      bell.wait(for: .nanoseconds(left))
    }
  }

  private var isEmpty: Bool {
    guard let cursor = try? ledger.sinkState(settings.name).cursor,
      let next = try? ledger.pending(sink: settings.name, after: cursor, limit: 1, byteLimit: 1 << 20)
    else { return false }
    return next.isEmpty
  }

  private func open() throws(SinkProcessError) -> SinkProcess {
    let position = ledger.patiently(heartbeat, until: { isAborted }) { () throws(LedgerError) in
      try ledger.sinkState(settings.name).position
    }
    let process = try heartbeat.outside { () throws(SinkProcessError) in
      try launch.open(settings, resumeAt: (position ?? nil) ?? "")
    }
    if position == .some(nil) { try storeFirstPosition(of: process) }
    return process
  }

  /// Stores where a sink begins before anything is written to it, so that a crash during its first batch can be undone.
  private func storeFirstPosition(of process: SinkProcess) throws(SinkProcessError) {
    let position = try heartbeat.outside { () throws(SinkProcessError) in try process.flush() }
    _ = ledger.patiently(heartbeat, until: { isAborted }) { () throws(LedgerError) in
      try ledger.advance(
        sink: settings.name, to: try ledger.sinkState(settings.name).cursor, position: position, rejected: [])
    }
  }

  /// Sends the outbox, batch by batch, until there is nothing left and the worker is to end.
  private func deliver(
    through process: SinkProcess, _ backoff: inout SinkBackoff, _ reach: inout BatchReach
  ) throws(SinkProcessError) {
    while term < .thisBatch {
      heartbeat.begin()
      let entries = ledger.patiently(heartbeat, until: { isAborted }) { () throws(LedgerError) in
        let cursor = try ledger.sinkState(settings.name).cursor
        return try ledger.pending(sink: settings.name, after: cursor, limit: reach.records, byteLimit: 4 << 20)
      }
      guard let entries else { return }
      guard let last = entries.last else {
        heartbeat.rest()
        if term > .unlimited { return }
        bell.wait(for: .seconds(30))
        continue
      }
      let rejected = try settle(entries, through: process, &backoff)
      let position = try heartbeat.outside { () throws(SinkProcessError) in try process.flush() }
      let isStored = ledger.patiently(heartbeat, until: { isAborted }) { () throws(LedgerError) in
        try ledger.advance(sink: settings.name, to: last.sequence, position: position, rejected: rejected)
        return true
      }
      guard isStored == true else { return }
      backoff.succeeded()
      reach.delivered()
      count(entries, rejected: rejected.count)
      for reject in rejected {
        Journal.log(
          .warning, "sink \(settings.name) rejected a result, now a dead letter: \(reject.reason)", id: .deadLetter,
          fields: [("LOOKOUT_SINK", settings.name)])
      }
      acknowledged()
    }
  }

  private func count(_ entries: [Service.OutboxEntry], rejected: Int) {
    let now = Clock.wallNanoseconds()
    tally.delivered.add(entries.count - rejected)
    tally.rejected.add(rejected)
    for entry in entries where entry.committedNanoseconds > 0 { tally.delivery.add(now - entry.committedNanoseconds) }
  }

  /// Writes entries until each is accepted or rejected; those to be retried are sent again, the others not.
  private func settle(
    _ entries: [Service.OutboxEntry], through process: SinkProcess, _ backoff: inout SinkBackoff
  ) throws(SinkProcessError) -> [(sequence: Int64, reason: String)] {
    var open = entries
    var rejected: [(sequence: Int64, reason: String)] = []
    while !open.isEmpty {
      let sent = open.map { SinkProtocol.OutboxEntry(sequence: UInt64($0.sequence), record: $0.record) }
      let verdicts = try heartbeat.outside { () throws(SinkProcessError) in try process.write(sent) }
      var again: [Service.OutboxEntry] = []
      for (entry, verdict) in zip(open, verdicts) {
        switch verdict {
        case .accepted: break
        case .retry: again.append(entry)
        case .reject(let reason): rejected.append((entry.sequence, reason))
        case .fatal(let reason): throw .fatal(call: "write", reason: reason)
        }
      }
      open = again
      guard !open.isEmpty else { break }
      if term > .unlimited { throw .retry(call: "write", reason: "the service stops") }
      rest(backoff.failed(fraction: Double.random(in: 0..<1)))
      heartbeat.begin()
    }
    return rejected
  }
}
