// template-swift: one line a record (id, status, path, best label, score, parted by tabs), held once after any crash.

public import CSinkABI
internal import LookoutSinkKit

/// Writes to the file that `path` names; the kit's `LineFile` locks it, syncs it and cuts its tail back.
struct TemplateSink: Sink {
  static let keys = LineFile.keys

  private let file: LineFile

  init(config: SinkConfiguration, resumeAt position: Position?) throws(SinkError) {
    file = try LineFile(config: config, header: [], resumeAt: position)
  }

  mutating func write(_ batch: borrowing Batch) throws(SinkError) {
    var lines: [UInt8] = []
    try batch.forEach { record throws(SinkError) in
      let best = record.predictions(upTo: 1).first
      let path = String(decoding: record.path, as: UTF8.self)
      let fields = [record.id, record.status, path, best?.label ?? "", best.map { "\($0.score)" } ?? ""]
      // A tab or a line end inside a field would tear the line.
      let plain = fields.map { $0.map { $0.isNewline || $0 == "\t" ? " " : String($0) }.joined() }
      lines += Array((plain.joined(separator: "\t") + "\n").utf8)
    }
    try file.append(lines)
  }

  mutating func flush() throws(SinkError) -> Position { try file.flush() }
}

/// The plugin's one symbol.
@c @implementation
public func lookout_sink_v1() -> UnsafePointer<lookout_sink>! {
  exportSink(TemplateSink.self, name: "template-swift", version: "1.0.0")
}
