/// Elements in lanes that leave in batches of one lane: which lane is ripe at which moment.
///
/// A value without clock or lock.
/// A lane is ripe when it holds a whole batch, when its oldest element has waited as long as the lane may linger, or when
/// everything is closed. Of the ripe lanes the one goes first that was served the longest time ago, so that each gets its
/// turn, however full another is.
package struct BatchLanes<Key: Hashable & Sendable, Element: Sendable>: Sendable {
  /// How the elements of one key go together.
  package struct Lane: Sendable {
    package let key: Key
    /// The largest batch; at least 1.
    package let limit: Int
    /// Nanoseconds that an element waits for others.
    package let lingerNanoseconds: Int64
    /// The most elements of this lane; at least 1.
    package let capacity: Int

    package init(key: Key, limit: Int, lingerNanoseconds: Int64, capacity: Int = .max) {
      self.key = key
      self.limit = max(1, limit)
      self.lingerNanoseconds = lingerNanoseconds
      self.capacity = max(1, capacity)
    }
  }

  private struct Queue: Sendable {
    var lane: Lane
    /// Never empty.
    var elements: [Element]
    /// When each of them came.
    var since: [Int64]

    /// When the oldest element has lingered long enough.
    var due: Int64 { since[0] + lane.lingerNanoseconds }
  }

  private var queues: [Queue] = []
  /// The turn at which each key was served last; as many as there ever were keys at once.
  private var served: [Key: UInt64] = [:]
  private var turn: UInt64 = 0
  /// Of all lanes.
  package private(set) var count = 0
  /// Lanes that nothing is taken from.
  package var held: Set<Key> = []
  /// Everything is ripe, whatever it lacks.
  package var isClosed = false

  package init() {}

  package func isFull(_ lane: Lane) -> Bool { lane.capacity < .max && count(of: lane.key) >= lane.capacity }

  /// How many elements lie in the lane of a key.
  package func count(of key: Key) -> Int { index(of: key).map { queues[$0].since.count } ?? 0 }

  private func index(of key: Key) -> Int? { queues.indices.first { queues[$0].lane.key == key } }

  /// Adds an element that came at the moment `now`; what its lane says counts for the whole lane from now on.
  package mutating func add(_ element: Element, to lane: Lane, now: Int64) {
    if let index = index(of: lane.key) {
      queues[index].lane = lane
      queues[index].elements.append(element)
      queues[index].since.append(now)
    } else {
      queues.append(Queue(lane: lane, elements: [element], since: [now]))
    }
    count += 1
  }

  /// The moment at which the next lane becomes ripe if nothing is added; nil if none will.
  package var nextDue: Int64? {
    var earliest: Int64?
    for index in queues.indices where !isHeld(index) { earliest = min(earliest ?? .max, queues[index].due) }
    return earliest
  }

  private func isHeld(_ index: Int) -> Bool { !held.isEmpty && held.contains(queues[index].lane.key) }

  /// Appends the next batch to `batch`; false if no lane is ripe at the moment `now`.
  package mutating func take(now: Int64, into batch: inout [Element]) -> Bool {
    guard let index = ripest(at: now) else { return false }
    let taken = min(queues[index].lane.limit, queues[index].since.count)
    turn += 1
    // Keys that went away are forgotten; a key that returns goes first once.
    if served.count > queues.count * 2 + 16 {
      let present = Set(queues.map { $0.lane.key })
      served = served.filter { present.contains($0.key) }
    }
    served[queues[index].lane.key] = turn
    if taken == queues[index].since.count {
      batch.append(contentsOf: queues.remove(at: index).elements)
    } else {
      batch.append(contentsOf: queues[index].elements[..<taken])
      queues[index].elements.removeFirst(taken)
      queues[index].since.removeFirst(taken)
    }
    count -= taken
    return true
  }

  /// How many batches are ripe at the moment `now`, counted no further than to a bound; of what remains of a lane beyond
  /// its whole batches only one is counted.
  package func ripeBatches(now: Int64, upTo bound: Int) -> Int {
    var ripe = 0
    for index in queues.indices where isRipe(index, at: now) {
      ripe += max(1, queues[index].since.count / queues[index].lane.limit)
      if ripe >= bound { return bound }
    }
    return ripe
  }

  private func isRipe(_ index: Int, at now: Int64) -> Bool {
    guard !isHeld(index) else { return false }
    return isClosed || queues[index].since.count >= queues[index].lane.limit || queues[index].due <= now
  }

  private func ripest(at now: Int64) -> Int? {
    var best: (index: Int, turn: UInt64, since: Int64)?
    for index in queues.indices where isRipe(index, at: now) {
      let candidate = (
        index: index, turn: served[queues[index].lane.key] ?? 0, since: queues[index].since[0]
      )
      if best.map({ (candidate.turn, candidate.since) < ($0.turn, $0.since) }) ?? true { best = candidate }
    }
    return best?.index
  }

  /// Takes everything out, held or not.
  package mutating func removeAll() -> [Element] {
    defer { (queues, count) = ([], 0) }
    return queues.flatMap { $0.elements }
  }
}
