// The second stage. Each decoder is one thread `decode-N` with its own read buffer and preprocessors. It opens a file,
// reads it once, hashes and decodes these bytes, and leases the slot the picture goes into. It writes nothing.

internal import Glibc
internal import Hashing
internal import Imaging
internal import Platform
internal import SinkProtocol
internal import Synchronization

/// Turns admitted files into tensors.
final class Decoder: Sendable {
  /// What every decoder of one pipeline shares.
  struct Wiring: Sendable {
    let watches: [WatchSettings]
    let limits: ImageLimits
    let permits: DecodePermits
    let candidates: CandidateQueue
    let decoded: DecodedQueue
    let shelf: ModelShelf
    let ledger: Ledger
    let recorder: FlightRecorder
    let watchers: [Watcher]
    let tally: Tally
  }

  private let wiring: Wiring
  /// Of the flight recorder.
  private let slot: Int
  /// The watch whose file is in hand; any when none is.
  private let watch = Atomic<Int>(0)
  let heartbeat: Heartbeat

  /// `slot`: of the flight recorder.
  init(index: Int, slot: Int, wiring: Wiring) {
    self.wiring = wiring
    self.slot = slot
    heartbeat = Heartbeat(name: "decode-\(index)", slots: slot..<slot + 1)
  }

  /// The watch whose file system lets this decoder wait for longer than a limit; nil if none does.
  ///
  /// Any thread.
  func stuckWatch(now: Int64, limitNanoseconds: Int64) -> Int? {
    heartbeat.absence(now: now) > limitNanoseconds ? watch.load(ordering: .relaxed) : nil
  }

  /// Works until the candidates queue is closed and drained.
  func run() {
    var bench = Bench(limits: wiring.limits)
    var taken: [Candidate] = []
    while wiring.candidates.take(into: &taken) {
      for candidate in taken {
        heartbeat.begin()
        watch.store(candidate.watch, ordering: .relaxed)
        wiring.recorder.set(slot, candidate.arrival.id)
        let decoded = decode(candidate, on: &bench)
        wiring.recorder.clear(slot)
        heartbeat.rest()
        guard let decoded else { continue }
        let lane = decoded.lane(moreToCome: wiring.candidates.count > 0)
        if !wiring.decoded.put(decoded, in: lane) { decoded.discard() }
      }
      taken.removeAll(keepingCapacity: true)
    }
  }

  /// A thread's own tools: the read buffer and one preprocessor for each model it met.
  private struct Bench {
    let limits: ImageLimits
    var bytes: [UInt8] = []
    /// The models are kept, so that no later one can be taken for one of these.
    var preprocessors: [(model: LoadedModel, preprocessor: Preprocessor)] = []

    mutating func preprocessor(for model: LoadedModel, shelf: ModelShelf) -> Preprocessor {
      if let known = preprocessors.first(where: { $0.model === model }) { return known.preprocessor }
      let made = Preprocessor(model.preprocessing, limits: limits)
      preprocessors.removeAll { !shelf.holds($0.model) }
      preprocessors.append((model, made))
      return made
    }
  }

  private func decode(_ candidate: Candidate, on bench: inout Bench) -> Decoded? {
    let settings = wiring.watches[candidate.watch]
    guard let model = wiring.shelf.model(named: settings.model) else { return nil }
    var start = Clock.monotonicNanoseconds()
    var waited = start - candidate.admittedAt
    func decoded(_ content: Decoded.Content, _ sha256: String, width: Int = 0, height: Int = 0) -> Decoded {
      let end = Clock.monotonicNanoseconds()
      wiring.tally.decode.add(end - start)
      return Decoded(
        origin: .file(candidate), model: model, content: content, sha256: sha256, width: width, height: height,
        waitedNanoseconds: waited, decodedAt: end)
    }
    func failure(_ reason: String, sha256: String = "") -> Decoded { decoded(.failed(reason), sha256) }
    switch heartbeat.outside({ read(candidate, into: &bench.bytes) }) {
    case .whole: break
    case .changed: return lookAgain(at: candidate)
    case .gone: return withdraw(candidate)
    case .refused(let reason): return failure(reason)
    case .failed(let error):
      if mayPass(error, of: candidate) { return readAgainLater(candidate) }
      return failure("it cannot be read: \(error)")
    }
    let sha256 = bench.bytes.withUnsafeBytes { SHA256.hexDigest(of: $0) }
    if isRecognised(candidate, sha256) { return nil }
    if let blob = try? wiring.ledger.answer(sha256: sha256, modelDigest: model.digest),
      let earlier = try? ResultRecord(decoding: blob)
    {
      if settings.duplicates == .ignore {
        wiring.tally.ignored.add()
        return withdraw(candidate, as: .ignored)
      }
      return decoded(.answered(earlier), sha256)
    }
    heartbeat.rest()
    let leasing = Clock.monotonicNanoseconds()
    let slot = model.slots.lease()
    let permit = wiring.permits.take()
    // Waiting for a slot and a permit is no decoding.
    let leased = Clock.monotonicNanoseconds() - leasing
    waited += leased
    start += leased
    heartbeat.begin()
    let preprocessor = bench.preprocessor(for: model, shelf: wiring.shelf)
    do throws(ImagingError) {
      let facts = try Self.prepare(bench.bytes, with: preprocessor, into: slot)
      _ = consume permit
      return decoded(.tensor(slot), sha256, width: facts.width, height: facts.height)
    } catch {
      model.slots.giveBack([slot])
      return failure("\(error)", sha256: sha256)
    }
  }

  /// Decodes bytes into a slot (`withUnsafeBytes` passes on no typed error).
  static func prepare(
    _ bytes: [UInt8], with preprocessor: Preprocessor, into slot: SlotPool.Slot
  ) throws(ImagingError) -> ImageFacts {
    let result = bytes.withUnsafeBytes { bytes -> Result<ImageFacts, ImagingError> in
      do throws(ImagingError) {
        return .success(try preprocessor.prepare(bytes, into: slot.floats))
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  private enum Reading {
    case whole
    case changed
    case gone
    /// It is nothing that may be read.
    case refused(String)
    case failed(PlatformError)
  }

  /// Reads a file as it was when it was admitted, or tells why not.
  ///
  /// One look suffices, after the last byte was read: whatever is done to a file moves the time of its change on, so a file
  /// that is still what was admitted has been that all the while.
  private func read(_ candidate: Candidate, into bytes: inout [UInt8]) -> Reading {
    let size = candidate.arrival.identity.size
    let isTooLarge = size > Int64(wiring.limits.maxFileBytes)
    do throws(PlatformError) {
      let file = try FileDescriptor.open(
        Path(candidate.arrival.path), flags: [.readOnly, .noFollow, .nonBlocking])
      var failure: PlatformError?
      do throws(PlatformError) {
        if !isTooLarge { try file.readAll(into: &bytes, expecting: Int(size)) }
      } catch {
        // It may be another thing than what was admitted, one that cannot be read like a file.
        failure = error
      }
      let status = try file.status()
      guard status.kind == .regular else { return .refused("it is no regular file any more") }
      guard status.identity == candidate.arrival.identity else { return .changed }
      if let failure { return .failed(failure) }
      if isTooLarge { return .refused("\(size) bytes, more than the limit of \(wiring.limits.maxFileBytes)") }
      return bytes.count == Int(size) ? .whole : .changed
    } catch {
      return error.isNotFound ? .gone : .failed(error)
    }
  }

  /// Whether the file may be as innocent as can be, so that it stays where it is and is read again later.
  ///
  /// An I/O error may be a bad sector under this very file, and so is not waited out for ever.
  private func mayPass(_ error: PlatformError, of candidate: Candidate) -> Bool {
    if case .system(_, _, EIO) = error { return candidate.readFailures < Self.ioErrorLimit }
    if case .system(_, _, EACCES) = error {
      // If not even its status can be had, it is the folder that is closed.
      return (try? FileStatus.of(Path(candidate.arrival.path), followingLinks: false)) == nil
    }
    return error.mayPass
  }

  /// With waits that double up to a minute: about six minutes.
  private static let ioErrorLimit = 10

  /// Whether only the rights, owner, links or times of an answered file changed.
  private func isRecognised(_ candidate: Candidate, _ sha256: String) -> Bool {
    let disposition = wiring.watches[candidate.watch].after.disposition
    return wiring.ledger.patiently(heartbeat, until: { wiring.decoded.isClosed }) { () throws(LedgerError) in
      try wiring.ledger.recognise(candidate.arrival, sha256: sha256, disposition: disposition)
    } ?? false
  }

  /// Ends an arrival that has no result; gives nothing, for there is nothing to hand on.
  private func withdraw(_ candidate: Candidate, as state: ArrivalState = .vanished) -> Decoded? {
    _ = wiring.ledger.patiently(heartbeat, until: { wiring.decoded.isClosed }) { () throws(LedgerError) in
      try wiring.ledger.withdraw([candidate.arrival.id], as: state, now: Clock.wallNanoseconds())
    }
    return nil
  }

  /// The file changed since it was admitted: this arrival ends, and the watcher finds the new contents.
  private func lookAgain(at candidate: Candidate) -> Decoded? {
    defer { wiring.watchers[candidate.watch].reexamine(candidate.arrival) }
    return withdraw(candidate)
  }

  private func readAgainLater(_ candidate: Candidate) -> Decoded? {
    defer { wiring.watchers[candidate.watch].readAgainLater(candidate.arrival) }
    return withdraw(candidate)
  }
}
