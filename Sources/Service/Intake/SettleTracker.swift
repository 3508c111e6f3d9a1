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

  /// What is to be done with a file after a look.
  package enum Verdict: Equatable, Sendable {
    case take
    case wait
  }

  package struct Key: Hashable, Sendable {
    package var watch: Int
    package var path: [UInt8]

    package init(watch: Int, path: [UInt8]) {
      self.watch = watch
      self.path = path
    }
  }

  private struct Waiting {
    var heardAt: Int64
    var due: Int64
    var lastLook: Look?
    var restingSince: Int64
    var extensions: Int
    /// The writer said it was done (close or rename), so a complete file need not rest.
    var isAnnounced: Bool
  }

  private var waiting: [Key: Waiting] = [:]
  private let settleNanoseconds: [Int64]
  private let extensionLimit: [Int]

  /// - Parameters:
  ///   - settleNanoseconds: for each watch, how long size and mtime must rest.
  ///   - extensionLimit: for each watch, how many further rests, each twice as long, a truncated file is given.
  package init(settleNanoseconds: [Int64], extensionLimit: [Int]) {
    self.settleNanoseconds = settleNanoseconds
    self.extensionLimit = extensionLimit
  }

  package var count: Int { waiting.count }

  /// The moment of the next look, if any file waits.
  package var nextDue: Int64? { waiting.values.lazy.map(\.due).min() }

  /// Notes that something was heard of a file.
  ///
  /// `announced`: its writer closed it or moved it in, so one look at once may suffice.
  package mutating func heard(of key: Key, announced: Bool, now: Int64) {
    let settle = settleNanoseconds[key.watch]
    var entry =
      waiting[key]
      ?? Waiting(
        heardAt: now, due: now + settle, lastLook: nil, restingSince: now, extensions: 0, isAnnounced: false)
    if announced {
      entry.isAnnounced = true
      entry.due = now
    }
    waiting[key] = entry
  }

  /// The files to look at now, oldest first.
  package func due(now: Int64) -> [Key] {
    waiting.filter { $0.value.due <= now }.sorted { $0.value.due < $1.value.due }.map(\.key)
  }

  /// Tells what a look saw; a file that is taken or gone is forgotten.
  package mutating func looked(at key: Key, _ look: Look, now: Int64) -> Verdict {
    guard var entry = waiting[key] else { return .take }
    let settle = settleNanoseconds[key.watch]
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
      if look.isComplete || entry.extensions >= extensionLimit[key.watch] {
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
  package mutating func forget(_ key: Key) { waiting[key] = nil }

  /// Forgets all files, when nothing is to be taken for a while.
  package mutating func forgetAll() { waiting = [:] }

  /// When the oldest waiting file was first heard of, if any waits.
  package var oldest: Int64? { waiting.values.lazy.map(\.heardAt).min() }

  /// When a file was first heard of.
  package func heardAt(_ key: Key) -> Int64? { waiting[key]?.heardAt }

  /// Forgets the files of one folder tree, for instance when its root vanished.
  package mutating func forget(watch: Int, below prefix: [UInt8]) {
    waiting = waiting.filter { $0.key.watch != watch || !$0.key.path.starts(with: prefix) }
  }
}
