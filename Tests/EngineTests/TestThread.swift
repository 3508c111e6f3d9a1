import Glibc

/// A thread for one call.
final class TestThread {
  private final class Work {
    let body: () -> Void
    init(_ body: @escaping () -> Void) { self.body = body }
  }

  private var thread = pthread_t()

  init(_ body: @escaping () -> Void) {
    let work = Unmanaged.passRetained(Work(body))
    let result = pthread_create(
      &thread, nil,
      { context in
        guard let context else { return nil }
        Unmanaged<Work>.fromOpaque(context).takeRetainedValue().body()
        return nil
      }, work.toOpaque())
    precondition(result == 0, "no thread for a test")
  }

  func join() { pthread_join(thread, nil) }
}

func yieldThread() { sched_yield() }
