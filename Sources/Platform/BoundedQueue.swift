/// A bounded queue, first in first out, any number of producers and consumers.
///
/// Back-pressure: `put` blocks while it is full. Consumers: many, each element goes to one. A consumer may go at any
/// time without loss. When producers are done, somebody calls `close`: what is inside is still taken, then `take` ends.
/// Work that is only cheap together with its like goes through a `BatchQueue`.
package final class BoundedQueue<Element: Sendable>: @unchecked Sendable {
  private let monitor = Monitor()
  private let notEmpty = Monitor.Condition()
  private let notFull = Monitor.Condition()
  private var ring: [Element?]
  private var first = 0
  private var used = 0
  private var closed = false

  /// - Parameter capacity: at least 1.
  package init(capacity: Int) {
    precondition(capacity > 0, "a queue holds at least one element")
    ring = [Element?](repeating: nil, count: capacity)
  }

  private func append(_ element: Element) {
    ring[(first + used) % ring.count] = element
    used += 1
    notEmpty.signal()
  }

  private func removeFirst() -> Element? {
    guard used > 0 else { return nil }
    defer { notFull.signal() }
    let element = ring[first]
    ring[first] = nil
    first = (first + 1) % ring.count
    used -= 1
    return element
  }

  /// Adds an element, waiting while the queue is full.
  ///
  /// - Returns: false if the queue is closed; the element was not taken.
  package func put(_ element: Element) -> Bool {
    monitor.locked {
      while used == ring.count, !closed { monitor.wait(notFull) }
      guard !closed else { return false }
      append(element)
      return true
    }
  }

  /// Adds an element if there is room; never blocks.
  package func tryPut(_ element: Element) -> Bool {
    monitor.locked {
      guard !closed, used < ring.count else { return false }
      append(element)
      return true
    }
  }

  /// The next element, waiting for one; nil when the queue is closed and empty.
  package func take() -> Element? {
    monitor.locked {
      while used == 0, !closed { monitor.wait(notEmpty) }
      return removeFirst()
    }
  }

  /// The next element if one comes in time; nil otherwise, and when the queue is closed and empty.
  package func take(within limit: Duration) -> Element? {
    let deadline = Clock.monotonicNanoseconds(after: limit)
    return monitor.locked {
      while used == 0, !closed, monitor.wait(notEmpty, until: deadline) {}
      return removeFirst()
    }
  }

  /// Lets nothing more in; consumers get what is inside, then the end.
  package func close() {
    monitor.locked {
      closed = true
      notEmpty.broadcast()
      notFull.broadcast()
    }
  }
  /// Closes the queue and gives back what nobody took.
  package func abort() -> [Element] {
    close()
    return monitor.locked {
      var rest: [Element] = []
      while let element = removeFirst() { rest.append(element) }
      return rest
    }
  }
}
