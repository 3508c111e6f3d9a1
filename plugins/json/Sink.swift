// JSON Lines: one object a record, one record a line.

public import CSinkABI
internal import LookoutSinkKit

/// Writes records with the names of the record's fields; `predictions` is an array.
struct JSONSink: Sink {
  static let keys = LineFile.keys + ["top_k"]

  private let file: LineFile
  private let topK: Int

  init(config: SinkConfiguration, resumeAt position: Position?) throws(SinkError) {
    topK = try config.int("top_k", default: 5, in: 0...1000)
    file = try LineFile(config: config, header: [], resumeAt: position)
  }

  mutating func write(_ batch: borrowing Batch) throws(SinkError) {
    var lines: [UInt8] = []
    try batch.forEach { record throws(SinkError) in
      var json = JSONWriter()
      json.value(record, topK: topK)
      lines += json.bytes
      lines.append(0x0A)
    }
    try file.append(lines)
  }

  mutating func flush() throws(SinkError) -> Position { try file.flush() }
}

extension JSONWriter {
  fileprivate mutating func value(_ record: Record, topK: Int) {
    beginObject()
    member("id", record.id)
    member("time", timestamp(nanoseconds: record.timeNanoseconds))
    member("watch", record.watch)
    path("path", record.path)
    member("sha256", record.sha256)
    member("status", record.status)
    member("error", record.error)
    key("width")
    value(record.width)
    key("height")
    value(record.height)
    member("model", record.model)
    member("model_digest", record.modelDigest)
    key("predictions")
    beginArray()
    for prediction in record.predictions(upTo: topK) {
      beginObject()
      key("rank")
      value(prediction.rank)
      key("index")
      value(prediction.index)
      member("label", prediction.label)
      key("score")
      value(prediction.score)
      endObject()
    }
    endArray()
    endObject()
  }

  private mutating func member(_ name: String, _ text: String?) {
    key(name)
    value(text)
  }
}

/// The plugin's one symbol.
@c @implementation
public func lookout_sink_v1() -> UnsafePointer<lookout_sink>! {
  exportSink(JSONSink.self, name: "json", version: "1.0.0")
}
