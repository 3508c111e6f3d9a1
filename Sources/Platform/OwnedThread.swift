internal import CShims
internal import Glibc
internal import Synchronization

/// A named thread that runs one function and is joined by its owner.
///
/// All signals are blocked in it.
package final class OwnedThread: Sendable {
  private final class Work: Sendable {
    let name: String
    let body: @Sendable () -> Void
    init(name: String, body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }

  private let thread: Mutex<pthread_t?>

  /// Starts the thread (`pthread_create`).
  ///
  /// `name`: shown by `top -H` and debuggers; 15 bytes are kept.
  package init(name: String, stackBytes: Int = 2 << 20, _ body: @escaping @Sendable () -> Void) {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setstacksize(&attributes, stackBytes)
    defer { pthread_attr_destroy(&attributes) }
    let work = Unmanaged.passRetained(Work(name: name, body: body))
    var made = pthread_t()
    let result = pthread_create(
      &made, &attributes,
      { context in
        guard let context else { return nil }
        let work = Unmanaged<Work>.fromOpaque(context).takeRetainedValue()
        var all = sigset_t()
        sigfillset(&all)
        // The kernel gives a blocked fault no handler, and the flight recorder would never hear of it.
        for fault in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT] { sigdelset(&all, fault) }
        pthread_sigmask(SIG_SETMASK, &all, nil)
        work.name.withCString { lookout_name_thread($0) }
        work.body()
        return nil
      }, work.toOpaque())
    precondition(result == 0, "pthread_create: error \(result); the process may have reached its limit of threads")
    thread = Mutex(made)
  }

  /// Waits for the end of the function; a second call returns at once (`pthread_join`).
  package func join() {
    let joined = thread.withLock { thread in
      defer { thread = nil }
      return thread
    }
    if let joined { pthread_join(joined, nil) }
  }
}
