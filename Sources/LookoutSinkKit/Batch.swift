// A batch as Swift sees it: a view of the host's memory that cannot be kept.

internal import CSinkABI

/// Records to write, lent for one call.
public struct Batch: ~Copyable {
  private let raw: UnsafePointer<lookout_batch>
  private let verdicts: UnsafeMutablePointer<lookout_verdicts>

  init(_ raw: UnsafePointer<lookout_batch>, _ verdicts: UnsafeMutablePointer<lookout_verdicts>) {
    self.raw = raw
    self.verdicts = verdicts
  }

  /// How many records there are; may be 0.
  public var count: Int { raw.pointee.count }

  /// Calls `body` with each record in order.
  ///
  /// A `.reject` that `body` throws becomes the verdict of that record alone and the next one follows; `.retry` and
  /// `.fatal` end the loop and are thrown on.
  public func forEach(_ body: (Record) throws(SinkError) -> Void) throws(SinkError) {
    guard count > 0, let base = UnsafeRawPointer(raw.pointee.records) else { return }
    for index in 0..<count {
      let record = (base + index * raw.pointee.record_stride).assumingMemoryBound(to: lookout_record.self)
      do {
        try body(Record(record, raw.pointee.prediction_stride))
      } catch {
        guard case .reject(let reason) = error else { throw error }
        reject(index, reason)
      }
    }
  }

  private func reject(_ index: Int, _ reason: String) {
    guard index < verdicts.pointee.count, let base = UnsafeMutableRawPointer(verdicts.pointee.items) else { return }
    let verdict = (base + index * verdicts.pointee.stride).assumingMemoryBound(to: lookout_verdict.self)
    verdict.pointee.status = LOOKOUT_REJECT
    fill(&verdict.pointee.reason, with: reason)
  }
}

/// Copies text into a C buffer, cut at a character and always NUL-ended.
func fill<Buffer>(_ buffer: inout Buffer, with text: String) {
  withUnsafeMutableBytes(of: &buffer) { bytes in
    bytes.initializeMemory(as: UInt8.self, repeating: 0)
    var place = 0
    for scalar in text.unicodeScalars {
      let units = UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter
      guard place + units.count < bytes.count else { return }
      for unit in units {
        bytes[place] = unit
        place += 1
      }
    }
  }
}

/// The outcome of one image, as design and header name its fields.
public struct Record {
  private let raw: UnsafePointer<lookout_record>
  private let predictionStride: Int

  init(_ raw: UnsafePointer<lookout_record>, _ predictionStride: Int) {
    self.raw = raw
    self.predictionStride = predictionStride
  }

  /// One label with its score.
  public struct Prediction: Equatable, Sendable {
    /// 1 is the best.
    public let rank: Int
    /// Class index in the model.
    public let index: Int
    /// Class name; empty when the model has none.
    public let label: String
    /// Probability.
    public let score: Float
  }

  /// Ascending within a sink; a replayed record keeps its number.
  public var sequence: UInt64 { raw.pointee.sequence }
  /// Nanoseconds since 1970 UTC.
  public var timeNanoseconds: Int64 { raw.pointee.time_ns }
  /// UUIDv7 text, the idempotence key.
  public var id: String { string(raw.pointee.id) }
  /// The watch's name.
  public var watch: String { string(raw.pointee.watch) }
  /// The file's path as the kernel gave it; maybe no UTF-8.
  public var path: [UInt8] { bytes(raw.pointee.path) }
  /// Lower-case hex; empty when the file could not be read.
  public var sha256: String { string(raw.pointee.sha256) }
  /// Why the image failed; nil when it did not.
  public var error: String? { isOK ? nil : string(raw.pointee.error) }
  /// Whether there are predictions.
  public var isOK: Bool { raw.pointee.status == LOOKOUT_RECORD_OK }
  /// `ok` or `failed`.
  public var status: String { isOK ? "ok" : "failed" }
  /// Pixels after orientation; 0 when unknown.
  public var width: Int { Int(raw.pointee.width) }
  /// Pixels after orientation; 0 when unknown.
  public var height: Int { Int(raw.pointee.height) }
  /// The model's name.
  public var model: String { string(raw.pointee.model) }
  /// The digest of the weights that answered.
  public var modelDigest: String { string(raw.pointee.model_digest) }

  /// The first `limit` predictions, best first.
  public func predictions(upTo limit: Int = .max) -> [Prediction] {
    guard let base = UnsafeRawPointer(raw.pointee.predictions) else { return [] }
    return (0..<min(limit, Int(raw.pointee.prediction_count))).map { place in
      let item = (base + place * predictionStride).assumingMemoryBound(to: lookout_prediction.self).pointee
      return Prediction(rank: Int(item.rank), index: Int(item.index), label: string(item.label), score: item.score)
    }
  }
}

func bytes(_ text: lookout_str) -> [UInt8] {
  guard let start = text.ptr, text.len > 0 else { return [] }
  return Array(UnsafeRawBufferPointer(start: start, count: text.len))
}

func string(_ text: lookout_str) -> String { String(decoding: bytes(text), as: UTF8.self) }
