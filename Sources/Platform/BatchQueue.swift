/// A bounded queue whose elements lie in lanes and leave in batches of one lane: for work that is only cheap together
/// with its like.
///
/// `BatchLanes` says which batch is next. Any number of producers and consumers.
package final class BatchQueue<Key: Hashable & Sendable, Element: Sendable>: @unchecked Sendable {
  package typealias Lane = BatchLanes<Key, Element>.Lane

  private let monitor = Monitor(conditions: 2)
  private let changed = 0
  private let notFull = 1
  private var lanes = BatchLanes<Key, Element>()
  private let capacity: Int

  /// `capacity`: the most elements in all lanes together; at least 1.
  package init(capacity: Int) {
    precondition(capacity > 0, "a queue holds at least one element")
    self.capacity = capacity
  }

  /// Adds an element to its lane, waiting while the queue or the lane is full.
  ///
  /// - Returns: false if the queue is closed; the element was not taken.
  package func put(_ element: Element, in lane: Lane) -> Bool {
    monitor.locked {
      while lanes.count >= capacity || lanes.isFull(lane), !lanes.isClosed { monitor.wait(notFull) }
      guard !lanes.isClosed else { return false }
      lanes.add(element, to: lane, now: Clock.monotonicNanoseconds())
      monitor.signal(changed)
      return true
    }
  }

  /// Takes the next batch, all of one lane, waiting until a lane is ripe.
  ///
  /// - Returns: false when the queue is closed and empty; `batch` gets the elements appended.
  package func take(into batch: inout [Element]) -> Bool {
    monitor.locked {
      while !lanes.take(now: Clock.monotonicNanoseconds(), into: &batch) {
        if lanes.isClosed { return false }
        if let due = lanes.nextDue {
          _ = monitor.wait(changed, until: due)
        } else {
          monitor.wait(changed)
        }
      }
      monitor.broadcast(notFull)
      // The signal of an element that is still here may have gone to this thread.
      if lanes.count > 0 { monitor.signal(changed) }
      return true
    }
  }

  /// Keeps consumers from these lanes, and from no others, until it is called again.
  ///
  /// What lies in them when the queue is closed is not taken; `abort` gives it back.
  package func hold(_ keys: Set<Key>) {
    monitor.locked {
      guard lanes.held != keys else { return }
      lanes.held = keys
      monitor.broadcast(changed)
    }
  }

  /// Lets nothing more in; consumers get what is inside, then the end.
  package func close() {
    monitor.locked {
      lanes.isClosed = true
      monitor.broadcast(changed)
      monitor.broadcast(notFull)
    }
  }

  /// Closes the queue and gives back what nobody took.
  package func abort() -> [Element] {
    close()
    return monitor.locked { lanes.removeAll() }
  }

  package var count: Int { monitor.locked { lanes.count } }

  package var isClosed: Bool { monitor.locked { lanes.isClosed } }
}
