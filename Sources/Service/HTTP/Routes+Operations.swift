internal import Engine
internal import HTTPServer
internal import LookoutSinkKit
internal import Platform

// What operators ask and do; the tool's commands stand on these.
extension Routes {
  /// How long a drain may take if nobody says, in seconds.
  private static let drainSeconds = 600

  var operationRoutes: [Route] {
    [
      Route("GET", "/v1/status", .aside, run: status),
      Route("GET", "/v1/explain", for: .operators, .aside, run: explain),
      Route("GET", "/v1/quarantine", for: .operators, .aside, run: quarantine),
      Route("POST", "/v1/quarantine/release", for: .operators, .aside, run: release),
      Route("POST", "/v1/pause", for: .operators, .aside) { call in
        operations.pause()
        call.reply.send(.json(.object(["paused": .bool(true)])))
      },
      Route("POST", "/v1/resume", for: .operators, .aside) { call in
        operations.resume()
        call.reply.send(.json(.object(["paused": .bool(false)])))
      },
      Route("POST", "/v1/drain", for: .operators, .patiently, run: drain),
      Route("POST", "/v1/reload", for: .operators, .patiently, run: reload),
      Route("POST", "/v1/redrive", for: .operators, .aside, run: redrive),
    ]
  }

  private func status(_ call: Call) {
    let status = operations.status()
    let health = Health(board.reading, status)
    call.reply.send(.text(json: status.json(health: health, tally: operations.tally)))
  }

  private func explain(_ call: Call) {
    let query = call.request.query
    let sought: Ledger.Sought
    switch (query["id"], query["path"], query["path_hex"], query["sha256"]) {
    case (let id?, nil, nil, nil): sought = .id(id)
    case (nil, let path?, nil, nil): sought = .path(Array(path.utf8))
    case (nil, nil, let hex?, nil):
      guard let bytes = Self.bytes(hex: hex), !bytes.contains(0) else {
        return call.reply.send(.problem(400, "path_hex must be pairs of hexadecimal digits without 00"))
      }
      sought = .path(bytes)
    case (nil, nil, nil, let digest?): sought = .sha256(digest.lowercased())
    default: return call.reply.send(.problem(400, "ask with one of id, path, path_hex and sha256"))
    }
    respond(to: call) { () throws(Operations.Failure) in
      let found = try operations.explain(sought)
      var json = JSONWriter()
      json.beginObject()
      json.key("arrivals")
      json.beginArray()
      for history in found { history.write(to: &json) }
      json.endArray()
      if found.isEmpty, case .path(let path) = sought {
        json.key("observation")
        json.value(operations.observation(of: path))
      }
      json.endObject()
      return .text(json: json.bytes)
    }
  }

  private func quarantine(_ call: Call) {
    guard let limit = Self.number(call.request.query["limit"] ?? "100", in: 1...10_000) else {
      return call.reply.send(.problem(400, "limit must be a whole number from 1 to 10000"))
    }
    respond(to: call) { () throws(Operations.Failure) in
      let found = try operations.quarantine(limit: limit, before: call.request.query["before"])
      var json = JSONWriter()
      json.beginObject()
      json.key("files")
      json.beginArray()
      for history in found { history.write(to: &json) }
      json.endArray()
      json.endObject()
      return .text(json: json.bytes)
    }
  }

  private func release(_ call: Call) {
    guard let id = call.request.query["id"] else { return call.reply.send(.problem(400, "id is missing")) }
    respond(to: call) { () throws(Operations.Failure) in
      let path = try operations.release(id: id)
      var json = JSONWriter()
      json.beginObject()
      json.key("id")
      json.value(id)
      json.path("path", path)
      json.endObject()
      return .text(json: json.bytes)
    }
  }

  private func drain(_ call: Call) {
    guard
      let seconds = Self.number(call.request.query["timeout_s"] ?? "\(Self.drainSeconds)", in: 0...86_400)
    else { return call.reply.send(.problem(400, "timeout_s must be a whole number from 0 to 86400")) }
    respond(to: call) { () throws(Operations.Failure) in
      let rest = try operations.drain(until: Clock.monotonicNanoseconds() + Int64(seconds) * 1_000_000_000)
      return .json(
        .object([
          "drained": .bool(rest.isEmpty), "images": .integer(rest.images), "deliveries": .integer(rest.deliveries),
          "files": .integer(rest.files),
        ]), status: rest.isEmpty ? 200 : 504)
    }
  }

  private func reload(_ call: Call) {
    respond(to: call) { () throws(Operations.Failure) in
      try operations.reload()
      return .json(.object(["reloaded": .bool(true)]))
    }
  }

  private func redrive(_ call: Call) {
    respond(to: call) { () throws(Operations.Failure) in
      let named = call.request.query["sink"].map { [$0] } ?? operations.status().sinks.map(\.name)
      var sent: [JSON] = []
      for name in named {
        sent.append(.object(["sink": .string(name), "records": .integer(try operations.redrive(sink: name))]))
      }
      return .json(.object(["redriven": .array(sent)]))
    }
  }

  private func respond(to call: Call, _ body: () throws(Operations.Failure) -> Response) {
    do throws(Operations.Failure) {
      call.reply.send(try body())
    } catch {
      switch error {
      case .notFound(let reason): call.reply.send(.problem(404, reason))
      case .refused(let reason): call.reply.send(.problem(409, reason))
      case .unavailable(let reason): call.reply.send(.busy(reason, retryAfterSeconds: 5))
      }
    }
  }

  static func number(_ text: String, in range: ClosedRange<Int>) -> Int? {
    guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(text), range.contains(number) else {
      return nil
    }
    return number
  }

  private static func bytes(hex: String) -> [UInt8]? {
    let digits = Array(hex.utf8)
    guard digits.count % 2 == 0 else { return nil }
    var bytes: [UInt8] = []
    for start in stride(from: 0, to: digits.count, by: 2) {
      guard let high = Character(Unicode.Scalar(digits[start])).hexDigitValue,
        let low = Character(Unicode.Scalar(digits[start + 1])).hexDigitValue
      else { return nil }
      bytes.append(UInt8(high * 16 + low))
    }
    return bytes
  }
}
