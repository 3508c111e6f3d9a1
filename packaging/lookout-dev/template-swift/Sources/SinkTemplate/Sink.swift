// One line a record: its best label and the file. Change `write`, and the name here and in Package.swift.

public import CSinkABI
internal import LookoutSinkKit

/// Appends lines to the file that the key `path` names; cut back to the resumed position, it never doubles one.
struct TemplateSink: Sink {
  static let keys = LineFile.keys

  private let file: LineFile

  init(config: SinkConfiguration, resumeAt position: Position?) throws(SinkError) {
    file = try LineFile(config: config, header: [], resumeAt: position)
  }

  mutating func write(_ batch: borrowing Batch) throws(SinkError) {
    var lines: [UInt8] = []
    try batch.forEach { record throws(SinkError) in
      var json = JSONWriter()
      json.beginObject()
      json.path("path", record.path)
      json.key("label")
      json.value(record.predictions(upTo: 1).first?.label)
      json.endObject()
      lines += json.bytes
      lines.append(0x0A)
    }
    try file.append(lines)
  }

  mutating func flush() throws(SinkError) -> Position { try file.flush() }
}

/// The plugin's one symbol.
@c @implementation
public func lookout_sink_v1() -> UnsafePointer<lookout_sink>! {
  exportSink(TemplateSink.self, name: "template", version: "0.1.0")
}
