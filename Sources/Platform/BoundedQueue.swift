internal import Glibc

/// The one queue that joins stages: bounded, first in first out, any number of producers and consumers.
///
/// Back-pressure: `put` blocks while it is full. Consumers: many, each element goes to one. A consumer may go at any
/// time without loss. When producers are done, somebody calls `close`: what is inside is still taken, then `take` ends.
package final class BoundedQueue<Element: Sendable>: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let notEmpty = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private let notFull = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var ring: [Element?]
  private var first = 0
  private var used = 0
  private var closed = false

  /// - Parameter capacity: at least 1.
  package init(capacity: Int) {
    precondition(capacity > 0, "a queue holds at least one element")
    ring = [Element?](repeating: nil, count: capacity)
    mutex.initialize(to: pthread_mutex_t())
    notEmpty.initialize(to: pthread_cond_t())
    notFull.initialize(to: pthread_cond_t())
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    let isReady =
      pthread_mutex_init(mutex, nil) == 0 && pthread_cond_init(notEmpty, &attributes) == 0
      && pthread_cond_init(notFull, nil) == 0
    precondition(isReady, "no memory for a mutex")
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(notEmpty)
    pthread_cond_destroy(notFull)
    pthread_mutex_destroy(mutex)
    notEmpty.deallocate()
    notFull.deallocate()
    mutex.deallocate()
  }

  private func locked<T>(_ body: () -> T) -> T {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body()
  }

  private func append(_ element: Element) {
    ring[(first + used) % ring.count] = element
    used += 1
    pthread_cond_signal(notEmpty)
  }

  private func removeFirst() -> Element? {
    guard used > 0 else { return nil }
    defer { pthread_cond_signal(notFull) }
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
    locked {
      while used == ring.count, !closed { pthread_cond_wait(notFull, mutex) }
      guard !closed else { return false }
      append(element)
      return true
    }
  }

  /// Adds an element if there is room; never blocks.
  package func tryPut(_ element: Element) -> Bool {
    locked {
      guard !closed, used < ring.count else { return false }
      append(element)
      return true
    }
  }

  /// The next element, waiting for one; nil when the queue is closed and empty.
  package func take() -> Element? {
    locked {
      while used == 0, !closed { pthread_cond_wait(notEmpty, mutex) }
      return removeFirst()
    }
  }

  /// The next element if one comes in time; nil otherwise, and when the queue is closed and empty.
  package func take(within limit: Duration) -> Element? {
    locked {
      var deadline = timespec(monotonicAfter: limit)
      while used == 0, !closed {
        if pthread_cond_timedwait(notEmpty, mutex, &deadline) == ETIMEDOUT { break }
      }
      return removeFirst()
    }
  }

  /// Takes a batch: waits for one element, then lingers for more.
  ///
  /// - Parameters:
  ///   - limit: the largest batch.
  ///   - linger: how long after the first element to wait for further ones.
  ///   - batch: gets the elements appended.
  /// - Returns: false when the queue is closed and empty.
  package func take(upTo limit: Int, linger: Duration, into batch: inout [Element]) -> Bool {
    locked {
      while used == 0, !closed { pthread_cond_wait(notEmpty, mutex) }
      guard used > 0 else { return false }
      var deadline = timespec(monotonicAfter: linger)
      var taken = 0
      while taken < limit {
        if let element = removeFirst() {
          batch.append(element)
          taken += 1
        } else if closed || pthread_cond_timedwait(notEmpty, mutex, &deadline) == ETIMEDOUT {
          break
        }
      }
      return true
    }
  }

  /// Lets nothing more in; consumers get what is inside, then the end.
  package func close() {
    locked {
      closed = true
      pthread_cond_broadcast(notEmpty)
      pthread_cond_broadcast(notFull)
    }
  }

  /// Closes the queue and gives back what nobody took.
  package func abort() -> [Element] {
    close()
    return locked {
      var rest: [Element] = []
      while let element = removeFirst() { rest.append(element) }
      return rest
    }
  }

  package var count: Int { locked { used } }

  package var isClosed: Bool { locked { closed } }
}
