/// Remembers the files that are not yet taken and when to look at each again: a value without clock or I/O.
///
/// A file enters when something was heard of it. The watcher looks at it when it is due and tells the outcome; the
/// tracker answers by when to look again or that the waiting is over. Times are monotonic nanoseconds.
package struct SettleTracker {
  /// What one look at a file saw.
  package struct Look: Equatable, Sendable {
    package var size: Int64
    package var mtimeNanoseconds: Int64
    /// The bytes end as their format ends.
    package var isComplete: Bool

    package init(size: Int64, mtimeNanoseconds: Int64, isComplete: Bool) {
      self.size = size
      self.mtimeNanoseconds = mtimeNanoseconds
      self.isComplete = isComplete
    }
  }

  /// How a file came to be known.
  package struct Origin: Equatable, Sendable {
    package var heardAt: Int64
    /// Only the periodic sweep knows of it.
    package var isFromSweep: Bool
    /// A listing found it, before which events may have gone unheard.
    package var isListed: Bool
  }

  /// What is to be done with a file after a look.
  package enum Verdict: Equatable, Sendable {
    case take
    case wait
  }

  private struct Waiting {
    var heardAt: Int64
    /// Only a periodic listing knows of it so far.
    var isFromSweep: Bool
    /// A listing found it, before which there may have been events that nobody heard.
    var isListed: Bool
    var due: Int64
    var lastLook: Look?
    var restingSince: Int64
    var extensions: Int
    /// The writer said it was done (close or rename), so a complete file need not rest.
    var isAnnounced: Bool
  }

  private var waiting: [[UInt8]: Waiting] = [:]
  /// Files that were due when all were put in order, and were not given since; the next one is last.
  private var ordered: [[UInt8]] = []
  private let settleNanoseconds: Int64
  private let extensionLimit: Int
  /// How long a file that the sweep found is given, so that an event that is on its way can still tell of it.
  private static let sweepGraceNanoseconds: Int64 = 200_000_000

  /// - Parameters:
  ///   - settleNanoseconds: how long size and mtime must rest.
  ///   - extensionLimit: how many further rests, each twice as long, a truncated file is given.
  package init(settleNanoseconds: Int64, extensionLimit: Int) {
    self.settleNanoseconds = settleNanoseconds
    self.extensionLimit = extensionLimit
  }

  package var count: Int { waiting.count }

  /// The moment of the next look, if any file waits.
  package var nextDue: Int64? { waiting.values.lazy.map(\.due).min() }

  /// Notes that something was heard of a file.
  ///
  /// `announced`: its writer closed it or moved it in, so one look at once may suffice. `listed`: by a listing of a folder
  /// whose events were not heard.
  package mutating func heard(of key: [UInt8], announced: Bool, listed: Bool = false, now: Int64) {
    var entry = waiting[key] ?? newcomer(now)
    entry.isFromSweep = false
    entry.isListed = entry.isListed || listed
    if announced {
      entry.isAnnounced = true
      entry.due = now
    }
    waiting[key] = entry
  }

  /// Notes that the periodic sweep found a file; `resting`: its size and mtime have rested for long already.
  package mutating func swept(_ key: [UInt8], resting: Bool, listed: Bool = false, now: Int64) {
    guard waiting[key] == nil else { return }
    var entry = newcomer(now)
    entry.isFromSweep = true
    entry.isListed = listed
    entry.isAnnounced = resting
    entry.due = resting ? now + Self.sweepGraceNanoseconds : max(entry.due, now + Self.sweepGraceNanoseconds)
    waiting[key] = entry
  }

  /// Looks at a file again at a moment; all else that is known of it stays.
  package mutating func delay(_ key: [UInt8], until due: Int64) { waiting[key]?.due = due }

  /// Looks at a file no sooner than at a moment, as one whose writer did not say that it was done.
  package mutating func postpone(_ key: [UInt8], until due: Int64, now: Int64) {
    var entry = waiting[key] ?? newcomer(now)
    entry.isAnnounced = false
    entry.due = due
    waiting[key] = entry
  }

  private func newcomer(_ now: Int64) -> Waiting {
    Waiting(
      heardAt: now, isFromSweep: false, isListed: false, due: now + settleNanoseconds, lastLook: nil, restingSince: now,
      extensions: 0,
      isAnnounced: false)
  }

  /// The files to look at now, oldest first.
  package func due(now: Int64) -> [[UInt8]] {
    waiting.filter { $0.value.due <= now }.sorted { $0.value.due < $1.value.due }.map(\.key)
  }

  /// Takes up to `limit` files to look at now, those first that were due first.
  ///
  /// They are put in order only when none is left of those put in order before, so that an image costs the same however
  /// many wait; one that is due meanwhile comes after them.
  package mutating func next(_ limit: Int, now: Int64) -> [[UInt8]] {
    if ordered.isEmpty { ordered = due(now: now).reversed() }
    var taken: [[UInt8]] = []
    while taken.count < limit, let key = ordered.popLast() {
      if let entry = waiting[key], entry.due <= now { taken.append(key) }
    }
    return taken
  }

  /// Tells what a look saw; a file that is taken or gone is forgotten.
  package mutating func looked(at key: [UInt8], _ look: Look, now: Int64) -> Verdict {
    guard var entry = waiting[key] else { return .take }
    let settle = settleNanoseconds
    if look.isComplete, entry.isAnnounced {
      waiting[key] = nil
      return .take
    }
    let moved = entry.lastLook.map { $0.size != look.size || $0.mtimeNanoseconds != look.mtimeNanoseconds } ?? true
    if moved {
      entry.restingSince = now
      entry.extensions = 0
    }
    entry.lastLook = look
    let needed = look.isComplete ? settle : settle << Int64(min(entry.extensions, 6))
    if now - entry.restingSince >= needed {
      if look.isComplete || entry.extensions >= extensionLimit {
        waiting[key] = nil
        return .take
      }
      entry.extensions += 1
      entry.restingSince = now
    }
    let next = look.isComplete ? settle : settle << Int64(min(entry.extensions, 6))
    entry.due = max(entry.restingSince + next, now + 1_000_000)
    entry.isAnnounced = false
    waiting[key] = entry
    return .wait
  }

  /// Forgets a file that is gone or not to be taken.
  package mutating func forget(_ key: [UInt8]) { waiting[key] = nil }

  /// Forgets all files, when nothing is to be taken for a while.
  package mutating func forgetAll() { (waiting, ordered) = ([:], []) }

  /// When the oldest waiting file was first heard of, if any waits.
  package var oldest: Int64? { waiting.values.lazy.map(\.heardAt).min() }

  /// When a file was first heard of, whether only the periodic sweep knows of it, and whether a listing found it before
  /// which events may have gone unheard.
  package func origin(of key: [UInt8]) -> Origin? {
    waiting[key].map { Origin(heardAt: $0.heardAt, isFromSweep: $0.isFromSweep, isListed: $0.isListed) }
  }
}
