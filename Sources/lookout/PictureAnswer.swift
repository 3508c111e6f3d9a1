internal import LookoutSinkKit
internal import Platform

/// What is known of one picture: the record that a sink would get.
struct PictureAnswer: Sendable {
  struct Prediction: Sendable {
    let index: Int
    let label: String
    let score: Float
  }

  let id = UUIDv7.make()
  let timeNanoseconds = Clock.wallNanoseconds()
  let path: Path
  /// Of the file's bytes; empty if they could not be read.
  var sha256 = ""
  /// Why there is no answer.
  var error: String?
  var width = 0
  var height = 0
  /// Most probable first.
  var predictions: [Prediction] = []

  init(path: Path) { self.path = path }

  /// `path: label 0.9123, …` for people.
  var text: String {
    if let error { return "\(path.displayed): failed: \(error)" }
    let list = predictions.map { "\($0.label) \(Self.decimal($0.score))" }.joined(separator: ", ")
    return "\(path.displayed): \(list)"
  }

  /// The record as one line of JSON.
  func json(model: String, digest: String) -> [UInt8] {
    var json = JSONWriter()
    func member(_ name: String, _ text: String?) {
      json.key(name)
      json.value(text)
    }
    func member(_ name: String, _ number: Int) {
      json.key(name)
      json.value(number)
    }
    json.beginObject()
    member("id", id)
    member("time", timestamp(nanoseconds: timeNanoseconds))
    member("watch", "")
    json.path("path", path.bytes)
    member("sha256", sha256)
    member("status", error == nil ? "ok" : "failed")
    member("error", error)
    member("width", width)
    member("height", height)
    member("model", model)
    member("model_digest", digest)
    json.key("predictions")
    json.beginArray()
    for (place, prediction) in predictions.enumerated() {
      json.beginObject()
      member("rank", place + 1)
      member("index", prediction.index)
      member("label", prediction.label)
      json.key("score")
      json.value(prediction.score)
      json.endObject()
    }
    json.endArray()
    json.endObject()
    return json.bytes
  }

  /// A probability with four decimals.
  private static func decimal(_ score: Float) -> String {
    guard score.isFinite else { return "\(score)" }
    let tenThousandths = Int((score * 10_000).rounded())
    let digits = String(tenThousandths % 10_000)
    return "\(tenThousandths / 10_000).\(String(repeating: "0", count: 4 - digits.count))\(digits)"
  }
}
