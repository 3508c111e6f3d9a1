internal import Engine
internal import HTTPServer
internal import Platform

/// What the service answers over HTTP; see lookout-http(7).
struct Routes: Sendable {
  let board: Board
  let operations: Operations
  let tally: HTTPTally
  /// Who answers pictures and tensors.
  let answering: Crew
  /// Nanoseconds since 1970.
  let startedAt: Int64

  var all: [Route] {
    [
      Route("GET", "/", .aside, run: page),
      Route("GET", "/livez", run: livez), Route("GET", "/readyz", .aside, run: readyz),
      Route("GET", "/metrics", .aside, run: metrics), Route("POST", "/v1/classify", run: classify),
    ] + operationRoutes + inferenceRoutes
  }

  /// How many refused files the page shows.
  private static let failuresShown = 10

  private func page(_ call: Call) {
    let status = operations.status()
    call.reply.send(
      StatusPage(
        status: status, health: Health(board.reading, status), tally: operations.tally,
        failures: try? operations.quarantine(limit: Self.failuresShown), showsNames: call.request.peer.mayOperate
      ).response)
  }

  private func livez(_ call: Call) {
    let faults = Health.faults(board.reading, now: Clock.monotonicNanoseconds())
    call.reply.send(
      .json(
        .object([
          "status": .string(faults.isEmpty ? "live" : "wedged"), "reasons": .array(faults.map { .string($0) }),
        ]), status: faults.isEmpty ? 200 : 503))
  }

  private func readyz(_ call: Call) {
    let health = Health(board.reading, operations.status())
    call.reply.send(
      .json(
        .object([
          "status": .string(health.verdict.rawValue), "reasons": .array(health.reasons.map { .string($0) }),
        ]), status: health.verdict == .ready ? 200 : 503))
  }

  private func metrics(_ call: Call) {
    let page = MetricsPage(
      notes: board.reading, status: operations.status(), tally: operations.tally, http: tally, startedAt: startedAt)
    call.reply.send(
      Response(
        status: 200, contentType: "text/plain; version=0.0.4; charset=utf-8", body: Array(page.text.utf8)))
  }
}
