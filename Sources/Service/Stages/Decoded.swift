internal import SinkProtocol

/// What a decoder hands on: a picture in a slot, an earlier answer to the same bytes, or a failure to record.
struct Decoded: Sendable {
  enum Content: Sendable {
    case tensor(SlotPool.Slot)
    /// The record of an earlier picture with the same bytes.
    case answered(ResultRecord)
    case failed(String)
  }

  let candidate: Candidate
  let model: LoadedModel
  let content: Content
  let sha256: String
  let width: Int
  let height: Int
}
