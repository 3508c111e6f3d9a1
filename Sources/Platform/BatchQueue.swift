internal import Glibc

/// A bounded queue whose elements lie in lanes and leave in batches of one lane: for work that is only cheap together
/// with its like.
///
/// Any number of producers and consumers. A lane is ripe when it holds a whole batch, when its oldest element has waited
/// as long as the lane may linger, or when the queue is closed. Of the ripe lanes the one goes first that was served the
/// longest time ago, so that each gets its turn, however full another is.
package final class BatchQueue<Key: Hashable & Sendable, Element: Sendable>: @unchecked Sendable {
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

  private struct Queue {
    var lane: Lane
    /// Never empty.
    var elements: [(element: Element, since: Int64)]

    /// When the oldest element has lingered long enough.
    var due: Int64 { elements[0].since + lane.lingerNanoseconds }
  }

  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private let notFull = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var queues: [Queue] = []
  private let capacity: Int
  private var used = 0
  /// The turn at which each key was served last; as many as there ever were keys at once.
  private var served: [Key: UInt64] = [:]
  private var turn: UInt64 = 0
  private var held: Set<Key> = []
  private var closed = false

  /// `capacity`: the most elements in all lanes together; at least 1.
  package init(capacity: Int) {
    precondition(capacity > 0, "a queue holds at least one element")
    self.capacity = capacity
    mutex.initialize(to: pthread_mutex_t())
    changed.initialize(to: pthread_cond_t())
    notFull.initialize(to: pthread_cond_t())
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    let isReady =
      pthread_mutex_init(mutex, nil) == 0 && pthread_cond_init(changed, &attributes) == 0
      && pthread_cond_init(notFull, nil) == 0
    precondition(isReady, "no memory for a mutex")
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(changed)
    pthread_cond_destroy(notFull)
    pthread_mutex_destroy(mutex)
    changed.deallocate()
    notFull.deallocate()
    mutex.deallocate()
  }

  private func locked<T>(_ body: () -> T) -> T {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body()
  }

  /// Adds an element to its lane, waiting while the queue is full.
  ///
  /// - Returns: false if the queue is closed; the element was not taken.
  package func put(_ element: Element, in lane: Lane) -> Bool {
    locked {
      while isFull(lane), !closed { pthread_cond_wait(notFull, mutex) }
      guard !closed else { return false }
      let since = Clock.monotonicNanoseconds()
      if let index = queues.firstIndex(where: { $0.lane.key == lane.key }) {
        queues[index].lane = lane
        queues[index].elements.append((element, since))
      } else {
        queues.append(Queue(lane: lane, elements: [(element, since)]))
      }
      used += 1
      pthread_cond_signal(changed)
      return true
    }
  }

  /// Takes the next batch, all of one lane, waiting until a lane is ripe.
  ///
  /// - Returns: false when the queue is closed and empty; `batch` gets the elements appended.
  package func take(into batch: inout [Element]) -> Bool {
    locked {
      while true {
        if let index = ripest(at: Clock.monotonicNanoseconds()) {
          take(from: index, into: &batch)
          return true
        }
        if closed { return false }
        if let due = queues.lazy.filter({ !self.held.contains($0.lane.key) }).map(\.due).min() {
          var deadline = timespec(monotonicAfter: .nanoseconds(due - Clock.monotonicNanoseconds()))
          pthread_cond_timedwait(changed, mutex, &deadline)
        } else {
          pthread_cond_wait(changed, mutex)
        }
      }
    }
  }

  private func isFull(_ lane: Lane) -> Bool {
    if used >= capacity { return true }
    guard lane.capacity < .max, let queue = queues.first(where: { $0.lane.key == lane.key }) else { return false }
    return queue.elements.count >= lane.capacity
  }

  private func ripest(at now: Int64) -> Int? {
    var best: (index: Int, turn: UInt64, since: Int64)?
    for (index, queue) in queues.enumerated() {
      guard !held.contains(queue.lane.key) else { continue }
      guard closed || queue.elements.count >= queue.lane.limit || queue.due <= now else { continue }
      let candidate = (index: index, turn: served[queue.lane.key] ?? 0, since: queue.elements[0].since)
      if best.map({ (candidate.turn, candidate.since) < ($0.turn, $0.since) }) ?? true { best = candidate }
    }
    return best?.index
  }

  private func take(from index: Int, into batch: inout [Element]) {
    let count = min(queues[index].lane.limit, queues[index].elements.count)
    turn += 1
    // Keys that went away are forgotten; a key that returns goes first once.
    if served.count > queues.count * 2 + 16 {
      let present = Set(queues.map(\.lane.key))
      served = served.filter { present.contains($0.key) }
    }
    served[queues[index].lane.key] = turn
    batch += queues[index].elements[..<count].lazy.map(\.element)
    if count == queues[index].elements.count {
      queues.remove(at: index)
    } else {
      queues[index].elements.removeFirst(count)
    }
    used -= count
    pthread_cond_broadcast(notFull)
    // The signal of an element that is still here may have gone to this thread.
    if used > 0 { pthread_cond_signal(changed) }
  }

  /// Keeps consumers from these lanes, and from no others, until it is called again.
  ///
  /// What lies in them when the queue is closed is not taken; `abort` gives it back.
  package func hold(_ keys: Set<Key>) {
    locked {
      guard held != keys else { return }
      held = keys
      pthread_cond_broadcast(changed)
    }
  }

  /// Lets nothing more in; consumers get what is inside, then the end.
  package func close() {
    locked {
      closed = true
      pthread_cond_broadcast(changed)
      pthread_cond_broadcast(notFull)
    }
  }

  /// Closes the queue and gives back what nobody took.
  package func abort() -> [Element] {
    close()
    return locked {
      defer { (queues, used) = ([], 0) }
      return queues.flatMap { $0.elements.map(\.element) }
    }
  }

  package var count: Int { locked { used } }

  package var isClosed: Bool { locked { closed } }
}
