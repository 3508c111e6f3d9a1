internal import Engine
internal import HTTPServer
internal import LookoutSinkKit
internal import Platform

// The KServe V2 protocol (Open Inference Protocol) with the binary tensor data extension.
extension Routes {
  var inferenceRoutes: [Route] {
    [
      Route("GET", "/v2/health/live", run: liveness), Route("GET", "/v2/health/ready", run: inferenceReadiness),
      Route("GET", "/v2") { call in
        call.reply.send(
          .json(
            .object([
              "name": .string("lookout"), "version": .string(Version.text),
              "extensions": .array([.string("binary_tensor_data")]),
            ])))
      },
      Route("GET", "/v2/models/*", run: modelMetadata),
      Route("GET", "/v2/models/*/versions/*", run: modelMetadata),
      Route("GET", "/v2/models/*/ready", run: modelReadiness),
      Route("GET", "/v2/models/*/versions/*/ready", run: modelReadiness),
      Route("POST", "/v2/models/*/infer", run: infer),
      Route("POST", "/v2/models/*/versions/*/infer", run: infer),
    ]
  }

  private func liveness(_ call: Call) {
    let faults = Health.faults(board.reading, now: Clock.monotonicNanoseconds())
    call.reply.send(
      .json(.object(["live": .bool(faults.isEmpty)]), status: faults.isEmpty ? 200 : 503))
  }

  /// Whether requests are answered, whatever stands against the folders and the sinks.
  private func inferenceReadiness(_ call: Call) {
    let isReady = board.reading.phase == .serving
    call.reply.send(.json(.object(["ready": .bool(isReady)]), status: isReady ? 200 : 503))
  }

  /// The model that a path names, if its version is the one in service; otherwise the call is answered.
  private func model(of call: Call) -> LoadedModel? {
    let name = call.parameters[0]
    guard let model = operations.model(named: name) else {
      call.reply.send(.problem(404, "there is no model \(name)"))
      return nil
    }
    if call.parameters.count > 1, call.parameters[1] != Self.version(of: model) {
      call.reply.send(
        .problem(404, "model \(name) has no version \(call.parameters[1]); there is \(Self.version(of: model))"))
      return nil
    }
    return model
  }

  /// A model's version is the beginning of its digest.
  private static func version(of model: LoadedModel) -> String { String(model.digest.prefix(16)) }

  private func modelReadiness(_ call: Call) {
    guard model(of: call) != nil else { return }
    inferenceReadiness(call)
  }

  private func modelMetadata(_ call: Call) {
    guard let model = model(of: call) else { return }
    let shape = model.network.inputShape
    func tensor(_ name: String, _ extents: [Int]) -> JSON {
      .object([
        "name": .string(name), "datatype": .string("FP32"), "shape": .array(extents.map { .integer($0) }),
      ])
    }
    call.reply.send(
      .json(
        .object([
          "name": .string(model.name), "versions": .array([.string(Self.version(of: model))]),
          "platform": .string("lookout"),
          "inputs": .array([tensor(InferenceRequest.inputName, [-1, shape.c, shape.h, shape.w])]),
          "outputs": .array([tensor(InferenceRequest.outputName, [-1, model.network.outputCount])]),
        ])))
  }

  private func infer(_ call: Call) {
    guard let model = model(of: call) else { return }
    if call.request.headers["content-encoding"].map({ $0 != "identity" }) ?? false {
      return call.reply.send(.problem(415, "the body must not be compressed"))
    }
    guard let deadline = Self.deadline(call.request) else { return call.reply.send(Self.wrongTimeout) }
    // Reading the body takes a while, so it is a piece of work too.
    let isTaken = answering.take { self.infer(call, on: model, deadline: deadline) }
    if !isTaken { call.reply.send(.busy("as many requests wait for an answer as may")) }
  }

  private func infer(_ call: Call, on model: LoadedModel, deadline: Int64) {
    let shape = model.network.inputShape
    let wanted: InferenceRequest
    do throws(InferenceRequest.Fault) {
      wanted = try InferenceRequest(
        body: call.request.body, headLength: call.request.headers["inference-header-content-length"],
        shape: [shape.c, shape.h, shape.w])
    } catch {
      return call.reply.send(.problem(400, error.reason))
    }
    let answers = Pieces<Result<[Float], Ticket.Failure>>(count: wanted.images.count)
    let isTaken = Fan.out(wanted.images.count, over: answering) { index in
      do throws(Ticket.Failure) {
        answers[index] = .success(try operations.infer(wanted.images[index], model: model.name, deadline: deadline))
      } catch {
        answers[index] = .failure(error)
      }
    } done: {
      do throws(Ticket.Failure) {
        var scores: [Float] = []
        for answer in answers.all { scores += try answer.get() }
        call.reply.send(Self.answer(to: wanted, scores, of: model))
      } catch {
        call.reply.send(Self.response(to: error))
      }
    }
    if !isTaken { call.reply.send(.busy("as many requests wait for an answer as may")) }
  }

  private static func answer(to wanted: InferenceRequest, _ scores: [Float], of model: LoadedModel) -> Response {
    var json = JSONWriter()
    json.beginObject()
    json.member("model_name", model.name)
    json.member("model_version", version(of: model))
    if let id = wanted.id { json.member("id", id) }
    json.members("outputs", [scores]) { json, scores in
      json.member("name", InferenceRequest.outputName)
      json.member("datatype", "FP32")
      json.key("shape")
      json.beginArray()
      json.value(wanted.images.count)
      json.value(scores.count / wanted.images.count)
      json.endArray()
      if wanted.isBinaryOutput {
        json.key("parameters")
        json.beginObject()
        json.member("binary_data_size", scores.count * 4)
        json.endObject()
      } else {
        json.key("data")
        json.beginArray()
        for score in scores { json.value(score) }
        json.endArray()
      }
    }
    json.endObject()
    guard wanted.isBinaryOutput else { return .text(json: json.bytes) }
    var bytes = json.bytes
    for score in scores { withUnsafeBytes(of: score.bitPattern.littleEndian) { bytes.append(contentsOf: $0) } }
    return Response(
      status: 200, contentType: "application/octet-stream", body: bytes,
      headers: [("Inference-Header-Content-Length", "\(json.bytes.count)")])
  }
}
