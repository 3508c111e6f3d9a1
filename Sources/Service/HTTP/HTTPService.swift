internal import HTTPServer
internal import Platform

/// The HTTP side of the daemon: server, routes, and what they may ask; the main thread owns it.
final class HTTPService: Sendable {
  /// For the watchdog.
  let heartbeat: Heartbeat
  private let board = Board()
  private let front: Front
  private let server: HTTPServer
  private let answering: Crew

  /// Serves nothing yet.
  ///
  /// `workers`: twice as many pictures are decoded and asked about at once.
  init(operations: Operations, workers: Int) throws(PlatformError) {
    let heartbeat = Heartbeat(name: "http")
    self.heartbeat = heartbeat
    let tally = HTTPTally()
    answering = Crew(name: "answer", count: workers * 2, capacity: 256)
    let routes = Routes(
      board: board, operations: operations, tally: tally, answering: answering, startedAt: Clock.wallNanoseconds())
    front = Front(routes: routes.all, tally: tally)
    server = try HTTPServer(handler: front) { $0 ? heartbeat.begin() : heartbeat.rest() }
  }

  /// Opens the addresses that a configuration names and that are not open yet; see `serve`.
  func prepare(_ configuration: Configuration) throws(ServiceError) -> [Listener] {
    do throws(HTTPServerError) {
      return try server.prepare(configuration.daemon.listen)
    } catch {
      throw .listen(reason: "\(error)")
    }
  }

  /// Serves exactly these from now on.
  func serve(_ listeners: [Listener]) { server.serve(listeners) }

  /// Starts the threads.
  func start() {
    front.start()
    answering.start()
    server.start()
  }

  /// Answers what is open and joins the threads.
  func stop() {
    server.stop()
    front.stop()
    answering.stop()
  }

  /// Shows what the main thread is about.
  func show(_ phase: Board.Phase) { board.note { $0.phase = phase } }

  /// Shows that the main thread goes round, and what stands still.
  func turn(stalled: [String]? = nil) {
    board.note { notes in
      notes.lastTurn = Clock.monotonicNanoseconds()
      if let stalled { notes.stalled = stalled }
    }
  }
}
