// The HTTP server: one thread `http` drives libmicrohttpd for every address. No request has a thread of its own: a slow
// or silent client costs one connection out of a fixed number, for a bounded time. Handlers answer at once or later.

package import Platform
internal import Synchronization

/// Serves requests on any number of addresses until it is stopped.
package final class HTTPServer: Sendable {
  private struct Commands {
    var wanted: [Listener] = []
    var hasChanged = false
    var mayStop = false
  }

  private let commands = Mutex(Commands())
  private let wake: WakeSignal
  private let handler: any RequestHandler
  private let limits: Limits
  private let thread = Mutex<OwnedThread?>(nil)
  private let activity: @Sendable (_ isWorking: Bool) -> Void

  /// Does nothing yet; see `start`.
  ///
  /// `activity`: told on the server's thread when a round of work begins and ends, for a watchdog.
  package init(
    handler: any RequestHandler, limits: Limits = Limits(),
    activity: @escaping @Sendable (_ isWorking: Bool) -> Void = { _ in }
  ) throws(PlatformError) {
    self.handler = handler
    self.activity = activity
    self.limits = limits
    wake = try WakeSignal()
  }

  /// The addresses served, in the order given.
  package var addresses: [ListenAddress] { commands.withLock { $0.wanted.map(\.address) } }

  /// Opens the sockets that are needed for these addresses and are not open yet.
  ///
  /// Nothing changes before `serve` gets the result; a listener that is dropped instead is closed.
  ///
  /// - Throws: `HTTPServerError.listen` for the first that cannot be opened.
  package func prepare(_ addresses: [ListenAddress]) throws(HTTPServerError) -> [Listener] {
    let present = commands.withLock { $0.wanted }
    var listeners: [Listener] = []
    for address in addresses where !listeners.contains(where: { $0.address == address }) {
      if let open = present.first(where: { $0.address == address }) {
        listeners.append(open)
      } else {
        listeners.append(try Listener(address))
      }
    }
    return listeners
  }

  /// Serves exactly these from now on; requests that came in through others are still answered.
  package func serve(_ listeners: [Listener]) {
    commands.withLock { commands in
      commands.wanted = listeners
      commands.hasChanged = true
    }
    wake.wake()
  }

  /// Starts the thread.
  package func start() {
    thread.withLock { thread in
      thread = OwnedThread(name: "http") { [self] in run() }
    }
  }

  /// Answers what is open with 503, closes every address and joins the thread.
  package func stop() {
    commands.withLock { $0.mayStop = true }
    wake.wake()
    thread.withLock { thread in
      thread?.join()
      thread = nil
    }
  }

  private func run() {
    let loop = Loop(handler: handler, limits: limits, wake: wake)
    while true {
      let (stop, wanted) = commands.withLock { commands -> (Bool, [Listener]?) in
        defer { commands.hasChanged = false }
        return (commands.mayStop, commands.hasChanged ? commands.wanted : nil)
      }
      if stop { break }
      if let wanted { loop.serve(wanted) }
      activity(false)
      wake.wait(besides: loop.descriptors, milliseconds: loop.timeoutMilliseconds)
      activity(true)
      loop.turn()
    }
    loop.finish()
    activity(false)
  }
}
