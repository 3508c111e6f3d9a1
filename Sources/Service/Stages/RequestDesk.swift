internal import Engine
internal import Hashing
internal import Imaging
internal import Platform
internal import SinkProtocol
internal import Synchronization

/// Where pictures and tensors from the socket join the batches of the folders.
///
/// The thread that asks decodes its own picture, leases a slot like any decoder, and waits for its answer. So requests
/// and folders share slots and classifiers as equals, and at most `limit` requests are under way. Any thread.
final class RequestDesk: Sendable {
  private struct State {
    var underWay = 0
    var isClosed = false
  }

  private let limit: Int
  private let limits: ImageLimits
  private let permits: DecodePermits
  private let decoded: DecodedQueue
  private let shelf: ModelShelf
  private let tally: Tally
  private let state = Mutex(State())

  init(
    limit: Int, limits: ImageLimits, permits: DecodePermits, decoded: DecodedQueue, shelf: ModelShelf, tally: Tally
  ) {
    self.limit = limit
    self.permits = permits
    self.limits = limits
    self.decoded = decoded
    self.shelf = shelf
    self.tally = tally
  }

  /// Refuses every further request with `.stopping`.
  func close() { state.withLock { $0.isClosed = true } }

  /// Answers a picture's bytes.
  ///
  /// `deadline`: a moment of the monotonic clock. The record's watch and path are empty.
  func classify(_ bytes: [UInt8], model name: String, deadline: Int64) throws(Ticket.Failure) -> ResultRecord {
    try enter()
    defer { leave() }
    let model = try model(named: name)
    let slot = try lease(of: model, until: deadline)
    let facts = try decode(bytes, into: slot, for: model, until: deadline)
    let scores = try answer(slot, of: model, until: deadline)
    return ResultRecord(
      id: UUIDv7.make(), timeNanoseconds: Clock.wallNanoseconds(), watch: "", path: [],
      sha256: bytes.withUnsafeBytes { SHA256.hexDigest(of: $0) }, status: .ok, error: nil, width: UInt32(facts.width),
      height: UInt32(facts.height), model: model.name, modelDigest: model.digest,
      predictions: model.predictions(of: scores[...]))
  }

  /// Answers one input tensor in C, H, W order with the network's own output.
  func infer(_ tensor: [Float], model name: String, deadline: Int64) throws(Ticket.Failure) -> [Float] {
    try enter()
    defer { leave() }
    let model = try model(named: name)
    let shape = model.network.inputShape
    guard tensor.count == shape.countPerImage else {
      throw .refused("\(tensor.count) numbers; the model takes \(shape.c) x \(shape.h) x \(shape.w)")
    }
    let slot = try lease(of: model, until: deadline)
    let area = shape.h * shape.w
    for channel in 0..<shape.c {
      for pixel in 0..<area { slot.floats[pixel * shape.c + channel] = tensor[channel * area + pixel] }
    }
    return try answer(slot, of: model, until: deadline)
  }

  private func decode(
    _ bytes: [UInt8], into slot: SlotPool.Slot, for model: LoadedModel, until deadline: Int64
  ) throws(Ticket.Failure) -> ImageFacts {
    let left = max(0, deadline - Clock.monotonicNanoseconds())
    guard let permit = permits.take(within: .nanoseconds(left)) else {
      model.slots.giveBack([slot])
      throw .expired
    }
    let start = Clock.monotonicNanoseconds()
    do throws(ImagingError) {
      let facts = try Decoder.prepare(bytes, with: Preprocessor(model.preprocessing, limits: limits), into: slot)
      _ = consume permit
      tally.decode.add(since: start)
      return facts
    } catch {
      model.slots.giveBack([slot])
      throw .refused("\(error)")
    }
  }

  private func enter() throws(Ticket.Failure) {
    let failure = state.withLock { state -> Ticket.Failure? in
      guard !state.isClosed else { return .stopping }
      guard state.underWay < limit else { return .busy }
      state.underWay += 1
      return nil
    }
    if let failure { throw failure }
    tally.requested.add()
  }

  private func leave() { state.withLock { $0.underWay -= 1 } }

  private func model(named name: String) throws(Ticket.Failure) -> LoadedModel {
    guard let model = shelf.model(named: name) else { throw .unknownModel(name) }
    return model
  }

  private func lease(of model: LoadedModel, until deadline: Int64) throws(Ticket.Failure) -> SlotPool.Slot {
    let left = deadline - Clock.monotonicNanoseconds()
    guard left > 0, let slot = model.slots.lease(within: .nanoseconds(left)) else { throw .expired }
    return slot
  }

  private func answer(
    _ slot: SlotPool.Slot, of model: LoadedModel, until deadline: Int64
  ) throws(Ticket.Failure) -> [Float] {
    let ticket = Ticket()
    let item = Decoded(
      origin: .request(ticket), model: model, content: .tensor(slot), decodedAt: Clock.monotonicNanoseconds())
    guard decoded.put(item, in: item.lane(moreToCome: false)) else {
      model.slots.giveBack([slot])
      throw .stopping
    }
    return try ticket.wait(until: deadline)
  }
}
