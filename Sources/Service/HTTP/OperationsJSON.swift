internal import LookoutSinkKit

extension JSONWriter {
  mutating func member(_ name: String, _ text: String?) {
    key(name)
    value(text)
  }

  mutating func member(_ name: String, _ number: Int) {
    key(name)
    value(number)
  }

  mutating func member(_ name: String, _ flag: Bool) {
    key(name)
    value(flag)
  }

  mutating func member(_ name: String, _ texts: [String]) {
    key(name)
    beginArray()
    for text in texts { value(text) }
    endArray()
  }

  /// An array of objects.
  mutating func members<Element>(_ name: String, _ elements: [Element], _ write: (inout JSONWriter, Element) -> Void) {
    key(name)
    beginArray()
    for element in elements {
      beginObject()
      write(&self, element)
      endObject()
    }
    endArray()
  }
}

extension ServiceStatus {
  /// All of it as one JSON object.
  func json(health: Health, tally: Tally) -> [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    json.member("status", health.verdict.rawValue)
    json.member("reasons", health.reasons)
    json.member("version", version)
    json.key("uptime_s")
    json.value(Double(uptimeNanoseconds / 1_000_000) / 1000)
    json.member("paused", isPaused)
    json.member("workers", workers)
    json.key("oldest_unprocessed_s")
    json.value(Double(oldestUnprocessedNanoseconds / 1_000_000) / 1000)
    json.member("resident_bytes", residentBytes)
    json.member("memory_bound_bytes", memoryBoundBytes)
    json.key("since_start")
    json.beginObject()
    json.member("admitted", tally.admitted.value)
    json.member("answered", tally.answered.value)
    json.member("reused", tally.reused.value)
    json.member("failed", tally.failed.value)
    json.member("quarantined", tally.quarantined.value)
    json.member("requested", tally.requested.value)
    json.endObject()
    if let ledger {
      json.key("ledger")
      json.beginObject()
      json.member("unprocessed", ledger.seen)
      json.member("awaiting_sinks", ledger.awaitingSinks)
      json.member("awaiting_disposal", ledger.readyToDispose)
      json.member("disposed", ledger.disposed)
      json.member("quarantined", ledger.quarantined)
      json.member("dead_letters", ledger.deadLetters)
      json.endObject()
    }
    json.members("queues", queues) { json, queue in
      json.member("name", queue.name)
      json.member("images", queue.depth)
    }
    json.members("watches", watches) { json, watch in
      json.member("name", watch.name)
      json.member("path", watch.path)
      json.member("condition", watch.condition.rawValue)
      json.member("model", watch.model)
      json.member("sinks", watch.sinks)
    }
    json.members("models", models) { json, model in
      json.member("name", model.name)
      json.member("file", model.file)
      json.member("digest", model.digest)
      json.member("labels", model.labels.count)
    }
    json.members("sinks", sinks) { json, sink in
      json.member("name", sink.name)
      json.member("plugin", sink.plugin)
      json.member("open", sink.isOpen)
      json.member("trouble", sink.trouble)
      if let lag = sink.lag { json.member("lag", lag) }
      if let letters = sink.deadLetters { json.member("dead_letters", letters) }
    }
    json.endObject()
    return json.bytes
  }
}

extension ArrivalHistory {
  /// Writes it as an object.
  func write(to json: inout JSONWriter) {
    json.beginObject()
    json.member("id", arrival.id)
    json.member("watch", arrival.watch)
    json.path("path", arrival.path)
    json.member("state", state.word)
    json.member("admitted", timestamp(nanoseconds: admittedNanoseconds))
    json.member("finished", finishedNanoseconds.map { timestamp(nanoseconds: $0) })
    json.member("size_bytes", Int(arrival.identity.size))
    json.member("sha256", sha256)
    if let finalPath { json.path("final_path", finalPath) }
    json.member("reason", reason)
    json.member("strikes", arrival.strikes)
    json.member("attempts", arrival.attempts)
    json.member("waiting_sinks", waitingSinks)
    json.members("dead_letters", deadLetters) { json, letter in
      json.member("sink", letter.sink)
      json.member("reason", letter.reason)
    }
    json.endObject()
  }
}

extension ArrivalState {
  /// As people and scripts are told.
  var word: String {
    switch self {
    case .seen: "admitted"
    case .classified: "classified"
    case .disposed: "disposed"
    case .quarantined: "quarantined"
    case .ignored: "ignored"
    case .vanished: "vanished"
    }
  }
}
