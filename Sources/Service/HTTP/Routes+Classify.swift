internal import HTTPServer
internal import Imaging
internal import LookoutSinkKit
internal import Platform
internal import SinkProtocol

// `POST /v1/classify`: pictures in, records out, in the batches of the folders.
extension Routes {
  /// How long an answer may take if nobody says, and at most.
  private static let answerMilliseconds = (usual: 10_000, limit: 60_000)

  /// One picture's record, or why there is none.
  typealias Answered = Result<ResultRecord, Ticket.Failure>

  func classify(_ call: Call) {
    let request = call.request
    if request.headers["content-encoding"].map({ $0 != "identity" }) ?? false {
      return call.reply.send(.problem(415, "the body must not be compressed"))
    }
    guard let deadline = Self.deadline(request) else { return call.reply.send(Self.wrongTimeout) }
    let isForm = request.mediaType == "multipart/form-data"
    let pictures = isForm ? request.parts : [.init(name: "", fileName: nil, contentType: nil, bytes: request.body)]
    guard let first = pictures.first, isForm || !first.bytes.isEmpty else {
      return call.reply.send(
        .problem(400, "send a JPEG or PNG picture as the body, or many as multipart/form-data"))
    }
    guard isForm || Self.format(first.bytes) != nil else {
      return call.reply.send(
        .problem(415, "the body is neither JPEG nor PNG\(request.mediaType.map { " (it says \($0))" } ?? "")"))
    }
    let model = request.query["model"] ?? "default"
    let answers = Pieces<Answered>(count: pictures.count)
    let isTaken = Fan.out(pictures.count, over: answering) { index in
      answers[index] = answer(pictures[index].bytes, model: model, deadline: deadline)
    } done: {
      call.reply.send(isForm ? Self.many(pictures, answers.all, model: model) : Self.one(answers.all[0]))
    }
    if !isTaken { call.reply.send(.busy("as many pictures wait for an answer as may")) }
  }

  private func answer(_ bytes: [UInt8], model: String, deadline: Int64) -> Answered {
    guard Self.format(bytes) != nil else { return .failure(.refused("it is neither JPEG nor PNG")) }
    do throws(Ticket.Failure) {
      return .success(try operations.classify(bytes, model: model, deadline: deadline))
    } catch {
      return .failure(error)
    }
  }

  private static func format(_ bytes: [UInt8]) -> ImageFormat? { bytes.withUnsafeBytes { ImageFormat.sniff($0) } }

  /// The moment until which an answer is wanted (`timeout_ms`); nil if that makes no sense.
  static func deadline(_ request: Request) -> Int64? {
    let text = request.query["timeout_ms"] ?? "\(answerMilliseconds.usual)"
    guard let milliseconds = number(text, in: 1...answerMilliseconds.limit) else { return nil }
    return Clock.monotonicNanoseconds() + Int64(milliseconds) * 1_000_000
  }

  static var wrongTimeout: Response {
    .problem(400, "timeout_ms must be a whole number from 1 to \(answerMilliseconds.limit)")
  }

  private static func one(_ answer: Answered) -> Response {
    switch answer {
    case .success(let record):
      var json = JSONWriter()
      json.value(record)
      return .text(json: json.bytes)
    case .failure(let failure): return response(to: failure)
    }
  }

  /// An array in the order of the form; a picture that cannot be answered has a record with its error.
  ///
  /// What has nothing to do with the pictures is the response to all of them.
  private static func many(_ pictures: [Request.Part], _ answers: [Answered], model: String) -> Response {
    var json = JSONWriter()
    json.beginArray()
    for (picture, answer) in zip(pictures, answers) {
      switch answer {
      case .success(var record):
        record.path = Array((picture.fileName ?? picture.name).utf8)
        json.value(record)
      case .failure(.refused(let reason)):
        var record = ResultRecord(
          id: UUIDv7.make(), timeNanoseconds: Clock.wallNanoseconds(), watch: "",
          path: Array((picture.fileName ?? picture.name).utf8), sha256: "", status: .ok, width: 0, height: 0,
          model: model, modelDigest: "", predictions: [])
        record.fail(reason)
        json.value(record)
      case .failure(let failure): return response(to: failure)
      }
    }
    json.endArray()
    return .text(json: json.bytes)
  }

  static func response(to failure: Ticket.Failure) -> Response {
    switch failure {
    case .unknownModel(let name): .problem(404, "there is no model \(name)")
    case .refused(let reason): .problem(400, reason)
    case .busy: .busy("as many requests are under way as may")
    case .expired: .problem(504, "there was no answer in time")
    case .stopping: .busy("the service stops or changes its configuration")
    }
  }
}

extension JSONWriter {
  /// A record with the names that every sink uses.
  mutating func value(_ record: ResultRecord) {
    beginObject()
    member("id", record.id)
    member("time", timestamp(nanoseconds: record.timeNanoseconds))
    member("watch", record.watch)
    path("path", record.path)
    member("sha256", record.sha256)
    member("status", record.status == .ok ? "ok" : "failed")
    member("error", record.error)
    member("width", Int(record.width))
    member("height", Int(record.height))
    member("model", record.model)
    member("model_digest", record.modelDigest)
    members("predictions", record.predictions) { json, prediction in
      json.member("rank", Int(prediction.rank))
      json.member("index", Int(prediction.index))
      json.member("label", prediction.label)
      json.key("score")
      json.value(prediction.score)
    }
    endObject()
  }
}
