import FoundationEssentials
import Glibc
import Service
import Testing

@Suite(.timeLimit(.minutes(15)))
struct FlightRecorderTests {
  let fixture: LedgerFixture
  let path: String

  init() throws {
    fixture = try LedgerFixture()
    path = fixture.folder.appendingPathComponent("flight").path
  }

  @Test func holdsWhatIsSetAndNotWhatIsCleared() throws {
    #expect(FlightRecorder.survivors(path: path).isEmpty)
    let recorder = try FlightRecorder(path: path, slots: 3)
    recorder.set(0, "one")
    recorder.set(1, "two")
    recorder.set(2, String(repeating: "x", count: 80))
    recorder.set(1, "three")
    recorder.clear(0)
    #expect(FlightRecorder.survivors(path: path) == ["three", String(repeating: "x", count: FlightRecorder.idLimit)])
    _ = try FlightRecorder(path: path, slots: 1)
    #expect(FlightRecorder.survivors(path: path).isEmpty)
    recorder.set(0, "still mapped")
    recorder.discard()
    #expect(!FileManager.default.fileExists(atPath: path))
  }

  @Test func tellsWhenEventsMayHaveGoneUnheard() throws {
    let recorder = try FlightRecorder(path: path, slots: 1)
    #expect(FlightRecorder.report(path: path).unheard == nil)
    recorder.note(now: 9_000_000_000, heardUntil: 7_000_000_000)
    #expect(FlightRecorder.report(path: path).unheard == 7_000_000_000...10_000_000_000)
    recorder.note(now: 1_000_000_000, heardUntil: 7_000_000_000)
    #expect(FlightRecorder.report(path: path).unheard == 2_000_000_000...2_000_000_000, "the clock was set back")
    recorder.note(now: .max, heardUntil: 0)
    #expect(FlightRecorder.report(path: path).unheard == nil, "garbage")
    recorder.discard()
    #expect(FlightRecorder.report(path: path).unheard == nil)
  }

  @Test func saysWhyItCannotBeMade() {
    let error = #expect(throws: FlightRecorder.Unavailable.self) {
      try FlightRecorder(path: path + "/no/such", slots: 1)
    }
    #expect(error?.description.contains(path) == true)
  }

  @Test func survivesGarbageInEveryByte() throws {
    let recorder = try FlightRecorder(path: path, slots: 2)
    recorder.set(0, "one")
    recorder.set(1, "two")
    let sound = try Data(contentsOf: URL(fileURLWithPath: path))
    let copy = path + ".copy"
    for offset in 0..<sound.count {
      for value in [UInt8(0x00), 0x7F, 0xFF] {
        var data = sound
        data[offset] = value
        try data.write(to: URL(fileURLWithPath: copy))
        #expect(FlightRecorder.survivors(path: copy).allSatisfy { ["one", "two"].contains($0) })
      }
      try sound.prefix(offset).write(to: URL(fileURLWithPath: copy))
      #expect(FlightRecorder.survivors(path: copy).count < 2)
    }
    #expect(FlightRecorder.survivors(path: fixture.folder.path).isEmpty)
    #expect(FlightRecorder.survivors(path: "/dev/null").isEmpty)
  }

  @Test func namesTheCulpritOfACrash() async throws {
    await #expect(processExitsWith: .signal(SIGSEGV)) { [path = path as String] in
      let recorder = try FlightRecorder(path: path, slots: 2)
      recorder.markFaults()
      await withCheckedContinuation { continuation in
        Task.detached {
          recorder.set(0, "innocent")
          continuation.resume()
          pause()
        }
      }
      recorder.set(1, "culprit")
      raise(SIGSEGV)
    }
    let report = FlightRecorder.report(path: path)
    #expect(report == .init(crashed: true, culprits: ["culprit"], inHand: ["innocent", "culprit"]))
  }

  @Test func blamesNobodyForAKillFromOutside() async throws {
    await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
      let recorder = try FlightRecorder(path: path, slots: 1)
      recorder.markFaults()
      recorder.set(0, "innocent")
      kill(getpid(), SIGKILL)
      pause()
    }
    #expect(FlightRecorder.report(path: path) == .init(crashed: false, culprits: [], inHand: ["innocent"]))
  }

  @Test func accusesWhatAWedgedThreadHasInHandAndNothingElse() throws {
    let recorder = try FlightRecorder(path: path, slots: 3)
    recorder.set(0, "innocent")
    recorder.set(1, "wedged")
    recorder.accuse(1)
    recorder.set(2, "slow")
    recorder.accuse(2)
    recorder.set(2, "next")
    #expect(
      FlightRecorder.report(path: path)
        == .init(crashed: false, culprits: ["wedged"], inHand: ["innocent", "wedged", "next"]))
    recorder.clear(1)
    #expect(FlightRecorder.report(path: path).culprits.isEmpty)
  }
}
