// The record of one image as the ledger stores it and the sinks receive it.

/// One image's outcome: what a row of every sink is made of.
package struct ResultRecord: Equatable, Sendable {
  /// Whether scores exist.
  package enum Status: UInt8, Sendable {
    case ok = 0
    case failed = 1
  }

  /// One label with its score; `rank` starts at 1, `index` is the class in the model.
  package struct Prediction: Equatable, Sendable {
    package var rank: UInt32
    package var index: UInt32
    package var label: String
    package var score: Float

    package init(rank: UInt32, index: UInt32, label: String, score: Float) {
      self.rank = rank
      self.index = index
      self.label = label
      self.score = score
    }
  }

  /// The arrival's id (UUIDv7 text), the idempotence key in every sink.
  package var id: String
  /// Time of classification, nanoseconds since 1970 UTC.
  package var timeNanoseconds: Int64
  package var watch: String
  /// The file's path as the kernel gave it; maybe no UTF-8.
  package var path: [UInt8]
  /// Lower-case hex digest of the file's bytes; empty when they could not be read.
  package var sha256: String
  package var status: Status
  /// Why the image failed; nil when `status` is `ok`.
  package var error: String?
  /// Pixels after orientation; 0 when unknown.
  package var width: UInt32
  package var height: UInt32
  package var model: String
  package var modelDigest: String
  /// Best first.
  package var predictions: [Prediction]

  package init(
    id: String, timeNanoseconds: Int64, watch: String, path: [UInt8], sha256: String, status: Status,
    error: String? = nil, width: UInt32, height: UInt32, model: String, modelDigest: String,
    predictions: [Prediction]
  ) {
    self.id = id
    self.timeNanoseconds = timeNanoseconds
    self.watch = watch
    self.path = path
    self.sha256 = sha256
    self.status = status
    self.error = error
    self.width = width
    self.height = height
    self.model = model
    self.modelDigest = modelDigest
    self.predictions = predictions
  }
}

extension ResultRecord {
  /// The longest text or path that the coding carries, in bytes.
  package static let textLimit = 64 << 10
  /// The most predictions that one record carries.
  package static let predictionLimit = 4096
  /// The longest coded record, in bytes.
  package static let codedLimit = 4 << 20

  private static let codingVersion: UInt8 = 1

  /// The compact form that the ledger stores and frames carry.
  ///
  /// Text and paths above ``textLimit`` are cut (at a character), predictions above ``predictionLimit`` left out, so
  /// that what is written can always be read.
  package func encoded() -> [UInt8] {
    var writer = ByteWriter()
    writer.put(Self.codingVersion)
    writer.put(status.rawValue)
    writer.put(timeNanoseconds)
    writer.put(width)
    writer.put(height)
    writer.put(Self.bounded(id))
    writer.put(Self.bounded(watch))
    writer.put(path.prefix(Self.textLimit))
    writer.put(Self.bounded(sha256))
    writer.put(error.map { Self.bounded($0) })
    writer.put(Self.bounded(model))
    writer.put(Self.bounded(modelDigest))
    var room = Self.codedLimit - writer.bytes.count - 4
    var kept: [Prediction] = []
    for prediction in predictions.prefix(Self.predictionLimit) {
      room -= 16 + min(prediction.label.utf8.count, Self.textLimit)
      guard room >= 0 else { break }
      kept.append(prediction)
    }
    writer.put(UInt32(kept.count))
    for prediction in kept {
      writer.put(prediction.rank)
      writer.put(prediction.index)
      writer.put(prediction.score.bitPattern)
      writer.put(Self.bounded(prediction.label))
    }
    return writer.bytes
  }

  /// Reads what `encoded()` wrote.
  ///
  /// - Throws: `WireError` naming the offset, for any bytes that are not exactly one record.
  package init(decoding bytes: [UInt8]) throws(WireError) {
    guard bytes.count <= Self.codedLimit else {
      throw .tooLong(offset: 0, length: bytes.count, limit: Self.codedLimit)
    }
    var reader = ByteReader(bytes)
    guard try reader.take(UInt8.self) == Self.codingVersion else {
      throw .invalid(offset: 0, what: "an unknown version of the record coding")
    }
    guard let status = Status(rawValue: try reader.take(UInt8.self)) else {
      throw .invalid(offset: 1, what: "an unknown status")
    }
    let limit = Self.textLimit
    let time = try reader.take(Int64.self)
    let width = try reader.take(UInt32.self)
    let height = try reader.take(UInt32.self)
    let id = try reader.takeString(limit: limit)
    let watch = try reader.takeString(limit: limit)
    let path = try reader.takeBytes(limit: limit)
    let sha256 = try reader.takeString(limit: limit)
    let error = try reader.takeOptionalString(limit: limit)
    let model = try reader.takeString(limit: limit)
    let digest = try reader.takeString(limit: limit)
    let count = try reader.takeCount(limit: Self.predictionLimit, minimumSize: 16)
    var predictions: [Prediction] = []
    predictions.reserveCapacity(count)
    for _ in 0..<count {
      let rank = try reader.take(UInt32.self)
      let index = try reader.take(UInt32.self)
      let score = Float(bitPattern: try reader.take(UInt32.self))
      predictions.append(
        Prediction(rank: rank, index: index, label: try reader.takeString(limit: limit), score: score))
    }
    try reader.finish()
    self.init(
      id: id, timeNanoseconds: time, watch: watch, path: path, sha256: sha256, status: status, error: error,
      width: width, height: height, model: model, modelDigest: digest, predictions: predictions)
  }

  private static func bounded(_ text: String) -> String {
    guard text.utf8.count > textLimit else { return text }
    var cut = text.utf8.index(text.utf8.startIndex, offsetBy: textLimit)
    while cut > text.startIndex, cut.samePosition(in: text.unicodeScalars) == nil {
      cut = text.utf8.index(before: cut)
    }
    return String(text[..<cut])
  }
}
