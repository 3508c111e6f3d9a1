// CSV as RFC 4180 has it, with a header and a fixed number of label columns.

public import CSinkABI
internal import LookoutSinkKit

/// Writes one row a record; names that are no UTF-8 are written as the bytes they are.
struct CSVSink: Sink {
  static let keys = LineFile.keys + ["top_k"]

  private let file: LineFile
  private let topK: Int

  init(config: SinkConfiguration, resumeAt position: Position?) throws(SinkError) {
    topK = try config.int("top_k", default: 5, in: 0...1000)
    var names = "id,time,watch,path,sha256,status,error,width,height,model,model_digest"
    for rank in 0..<topK { names += ",label_\(rank + 1),score_\(rank + 1)" }
    file = try LineFile(config: config, header: Array("\(names)\r\n".utf8), resumeAt: position)
  }

  mutating func write(_ batch: borrowing Batch) throws(SinkError) {
    var rows: [UInt8] = []
    try batch.forEach { record throws(SinkError) in
      var row = CSVRow()
      row.add(text: Array(record.id.utf8))
      row.add(number: timestamp(nanoseconds: record.timeNanoseconds))
      row.add(text: Array(record.watch.utf8))
      row.add(text: record.path)
      row.add(text: Array(record.sha256.utf8))
      row.add(text: Array(record.status.utf8))
      row.add(text: Array((record.error ?? "").utf8))
      row.add(number: String(record.width))
      row.add(number: String(record.height))
      row.add(text: Array(record.model.utf8))
      row.add(text: Array(record.modelDigest.utf8))
      let predictions = record.predictions(upTo: topK)
      for prediction in predictions {
        row.add(text: Array(prediction.label.utf8))
        row.add(number: prediction.score.isFinite ? "\(prediction.score)" : "")
      }
      for _ in predictions.count..<topK {
        row.add(number: "")
        row.add(number: "")
      }
      rows += row.ended()
    }
    try file.append(rows)
  }

  mutating func flush() throws(SinkError) -> Position { try file.flush() }
}

/// The plugin's one symbol.
@c @implementation
public func lookout_sink_v1() -> UnsafePointer<lookout_sink>! {
  exportSink(CSVSink.self, name: "csv", version: "1.0.0")
}
