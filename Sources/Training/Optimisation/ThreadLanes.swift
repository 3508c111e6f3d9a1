internal import Engine
internal import Glibc
internal import Platform

/// Lanes on threads that wait for work; the caller is lane 0.
package final class ThreadLanes: TrainingLanes {
  package let count: Int
  private let exchange: Exchange
  private let threads: [OwnedThread]

  /// What the threads share; outlives the owner until they have ended.
  private final class Exchange: @unchecked Sendable {
    private let barrier = UnsafeMutablePointer<pthread_barrier_t>.allocate(capacity: 1)
    /// Written by the caller before the lanes pass the barrier that starts a run, read by them after it.
    var work: ((Int) -> Void)?

    init(count: Int) {
      barrier.initialize(to: pthread_barrier_t())
      precondition(pthread_barrier_init(barrier, nil, UInt32(count)) == 0, "no memory for a barrier")
    }

    deinit {
      pthread_barrier_destroy(barrier)
      barrier.deallocate()
    }

    func meet() { pthread_barrier_wait(barrier) }

    func serve(_ lane: Int) {
      while true {
        meet()
        guard perform(lane) else { return }
        meet()
      }
    }

    /// Does the work, if there is any.
    ///
    /// Never inlined: the closure does not outlive the caller's run, so no reference to it may outlive this call.
    @inline(never)
    private func perform(_ lane: Int) -> Bool {
      guard let work else { return false }
      work(lane)
      return true
    }
  }

  /// Starts `count` − 1 threads.
  package init(count: Int) {
    precondition(count > 0, "there is at least one lane")
    self.count = count
    let exchange = Exchange(count: count)
    self.exchange = exchange
    threads = (1..<max(1, count)).map { lane in
      OwnedThread(name: "lane-\(lane)", stackBytes: 4 << 20) { exchange.serve(lane) }
    }
  }

  deinit {
    guard count > 1 else { return }
    exchange.work = nil
    exchange.meet()
    for thread in threads { thread.join() }
  }

  package func run(_ work: @Sendable (_ lane: Int) -> Void) {
    guard count > 1 else { return work(0) }
    withoutActuallyEscaping(work) { work in
      exchange.work = work
      exchange.meet()
      work(0)
      exchange.meet()
      exchange.work = nil
    }
  }

  package func meet() {
    if count > 1 { exchange.meet() }
  }
}
