// Records laid out as the contract wants them, in memory that lives for one write call.

internal import CSinkABI
internal import SinkProtocol

/// Collects records and lends them as one `lookout_batch`.
struct BatchMemory {
  private var records: [lookout_record] = []
  private var predictions: [lookout_prediction] = []
  /// All strings, one behind the other, and where each lies in the order of the contract.
  private var text: [UInt8] = []
  private var spans: [Range<Int>] = []

  private mutating func keep(_ bytes: some Collection<UInt8>) {
    spans.append(text.count..<text.count + bytes.count)
    text.append(contentsOf: bytes)
  }

  mutating func append(_ record: ResultRecord, sequence: UInt64) {
    var raw = lookout_record()
    raw.sequence = sequence
    raw.time_ns = record.timeNanoseconds
    raw.width = record.width
    raw.height = record.height
    raw.status = record.status == .ok ? LOOKOUT_RECORD_OK : LOOKOUT_RECORD_FAILED
    raw.prediction_count = UInt32(record.predictions.count)
    records.append(raw)
    keep(record.id.utf8)
    keep(record.watch.utf8)
    keep(record.path)
    keep(record.sha256.utf8)
    keep((record.error ?? "").utf8)
    keep(record.model.utf8)
    keep(record.modelDigest.utf8)
    for prediction in record.predictions {
      keep(prediction.label.utf8)
      predictions.append(
        lookout_prediction(
          rank: prediction.rank, index: prediction.index, label: lookout_str(), score: prediction.score, reserved: 0))
    }
  }

  /// Calls `body` with the batch and its verdicts; returns its status and the verdicts, one a record.
  mutating func withBatch(
    _ body: (UnsafePointer<lookout_batch>, UnsafeMutablePointer<lookout_verdicts>) -> lookout_status
  ) -> (lookout_status, [lookout_verdict]) {
    var items = [lookout_verdict](repeating: lookout_verdict(), count: records.count)
    let status = text.withUnsafeBufferPointer { text in
      text.withMemoryRebound(to: CChar.self) { text in
        predictions.withUnsafeMutableBufferPointer { predictions in
          records.withUnsafeMutableBufferPointer { records in
            Self.connect(records, predictions, text, spans)
            return items.withUnsafeMutableBufferPointer { items in
              var batch = lookout_batch(
                struct_size: MemoryLayout<lookout_batch>.size, count: records.count,
                record_stride: MemoryLayout<lookout_record>.stride,
                prediction_stride: MemoryLayout<lookout_prediction>.stride, records: UnsafePointer(records.baseAddress))
              var verdicts = lookout_verdicts(
                struct_size: MemoryLayout<lookout_verdicts>.size, count: items.count,
                stride: MemoryLayout<lookout_verdict>.stride, items: items.baseAddress)
              return body(&batch, &verdicts)
            }
          }
        }
      }
    }
    return (status, items)
  }

  /// Sets every pointer, now that nothing moves any more.
  private static func connect(
    _ records: UnsafeMutableBufferPointer<lookout_record>,
    _ predictions: UnsafeMutableBufferPointer<lookout_prediction>, _ text: UnsafeBufferPointer<CChar>,
    _ spans: [Range<Int>]
  ) {
    var span = spans.makeIterator()
    func next() -> lookout_str {
      guard let range = span.next(), let base = text.baseAddress else { return lookout_str() }
      return lookout_str(ptr: base + range.lowerBound, len: range.count)
    }
    var first = 0
    for index in records.indices {
      records[index].id = next()
      records[index].watch = next()
      records[index].path = next()
      records[index].sha256 = next()
      records[index].error = next()
      records[index].model = next()
      records[index].model_digest = next()
      let count = Int(records[index].prediction_count)
      if count > 0, let base = predictions.baseAddress { records[index].predictions = UnsafePointer(base + first) }
      for prediction in first..<first + count { predictions[prediction].label = next() }
      first += count
    }
  }
}
