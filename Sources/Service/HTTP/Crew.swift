internal import Platform
internal import Synchronization

/// A few threads that do what may block, one thing after another each.
final class Crew: Sendable {
  private let name: String
  /// How many threads there are.
  let count: Int
  private let work: BoundedQueue<@Sendable () -> Void>
  private let threads = Mutex<[OwnedThread]>([])
  private let capacity: Int
  private let promised = Mutex(0)

  /// `capacity`: how much may wait for a free thread.
  init(name: String, count: Int, capacity: Int) {
    self.name = name
    self.count = count
    self.capacity = capacity
    work = BoundedQueue(capacity: capacity)
  }

  /// Starts the threads `NAME-0` ….
  func start() {
    threads.withLock { threads in
      threads = (0..<count).map { index in
        OwnedThread(name: "\(name)-\(index)") { [work] in
          while let piece = work.take() { piece() }
        }
      }
    }
  }

  /// Hands over a piece of work; false if as much waits as may.
  ///
  /// Never blocks.
  func take(_ piece: @escaping @Sendable () -> Void) -> Bool { work.tryPut(piece) }

  /// Takes on so many pieces of one request before any of them is handed over; false if too many are taken on already.
  ///
  /// So those that are taken on are answered in time, where otherwise all would wait in vain. One request alone may be
  /// larger than the capacity.
  func promise(_ count: Int) -> Bool {
    promised.withLock { promised in
      guard promised == 0 || promised + count <= capacity else { return false }
      promised += count
      return true
    }
  }

  /// Forgets pieces that were taken on, done or not.
  func release(_ count: Int) { promised.withLock { $0 -= count } }

  /// Ends the threads after what they have been given.
  func stop() {
    work.close()
    for thread in threads.withLock({ $0 }) { thread.join() }
  }
}
