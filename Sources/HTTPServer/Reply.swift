internal import CMicroHTTPD
internal import Platform
internal import Synchronization

/// The way back to one request's sender; the first response counts, later ones are ignored.
///
/// Any thread.
package final class Reply: Sendable {
  private enum State {
    /// The handler has not answered, and the connection is still the server's own.
    case open
    /// The connection sleeps until there is a response.
    case suspended(OpaquePointer)
    case answered(Response)
    /// Nobody listens any more.
    case over
  }

  private let state = Mutex<Carried>(Carried(state: .open))
  private let server: WakeSignal

  /// A pointer that stands for a connection of the library, which is woken by any thread.
  private struct Carried: @unchecked Sendable {
    var state: State
  }

  /// `server`: wakes its thread, since the library, driven from outside, tells nobody that a connection goes on.
  init(waking server: WakeSignal) { self.server = server }

  /// Sends a response and wakes the connection.
  package func send(_ response: Response) {
    state.withLock { carried in
      switch carried.state {
      case .open: carried.state = .answered(response)
      case .suspended(let connection):
        carried.state = .answered(response)
        MHD_resume_connection(connection)
        server.wake()
      case .answered, .over: break
      }
    }
  }

  /// Puts the connection to sleep unless there is a response already, which is given.
  ///
  /// The server's thread, inside the library's callback.
  func responseOrSleep(_ connection: OpaquePointer) -> Response? {
    state.withLock { carried in
      switch carried.state {
      case .answered(let response): return response
      case .open:
        MHD_suspend_connection(connection)
        carried.state = .suspended(connection)
        return nil
      case .suspended, .over: return nil
      }
    }
  }

  /// Says that the connection is gone.
  func end() { state.withLock { $0.state = .over } }
}
