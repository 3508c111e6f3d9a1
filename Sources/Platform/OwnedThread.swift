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

  /// Starts the thread (`pthread_create`); traps where the process may have no more.
  ///
  /// `name`: shown by `top -H` and debuggers; 15 bytes are kept.
  package convenience init(name: String, stackBytes: Int = 2 << 20, _ body: @escaping @Sendable () -> Void) {
    do throws(PlatformError) {
      try self.init(ifPossible: name, stackBytes: stackBytes, body)
    } catch {
      preconditionFailure("\(error); the process may have reached its limit of threads")
    }
  }

  /// Starts the thread, for whoever can wait until there is room for one.
  ///
  /// - Throws: `PlatformError.system`, EAGAIN, when the process may have no more threads or there is no memory for its stack.
  package init(
    ifPossible name: String, stackBytes: Int = 2 << 20, _ body: @escaping @Sendable () -> Void
  ) throws(PlatformError) {
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
        OwnedThread.rename(work.name)
        work.body()
        return nil
      }, work.toOpaque())
    guard result == 0 else {
      work.release()
      throw .system(call: "pthread_create", path: nil, errno: result)
    }
    thread = Mutex(made)
  }

  /// Names the calling thread, for one that works for several in turn; 15 bytes are kept (`pthread_setname_np`).
  package static func rename(_ name: String) { name.withCString { lookout_name_thread($0) } }

  /// Waits for the end of the function; a second call returns at once (`pthread_join`).
  package func join() {
    let joined = thread.withLock { thread in
      defer { thread = nil }
      return thread
    }
    if let joined { pthread_join(joined, nil) }
  }
}
