import Platform
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(15)))
struct ReadinessTests {
  private static let soon: Int64 = 1_000_000

  private static func told(by readiness: Readiness) -> [Int] {
    readiness.wait(until: Clock.monotonicNanoseconds() + soon)
  }

  @Test func tellsWhichGroupIsReadable() throws {
    let signals = try (0..<4).map { _ in try WakeSignal() }
    let readiness = try Readiness([[signals[0].raw], [signals[1].raw, signals[2].raw], [signals[3].raw]])
    #expect(Self.told(by: readiness).isEmpty)
    signals[2].wake()
    #expect(readiness.wait(until: .max) == [1])
    signals[0].wake()
    signals[3].wake()
    #expect(Set(readiness.wait(until: .max)) == [0, 2])
  }

  @Test func tellsAGroupOnceUntilItIsExpectedAnew() throws {
    let signal = try WakeSignal()
    let readiness = try Readiness([[signal.raw]])
    signal.wake()
    #expect(readiness.wait(until: .max) == [0])
    #expect(Self.told(by: readiness).isEmpty)
    readiness.expect(0)
    #expect(readiness.wait(until: .max) == [0], "it was readable before")
    signal.wait(for: .zero)
    readiness.expect(0)
    #expect(Self.told(by: readiness).isEmpty)
  }

  @Test func tellsOfInotifyWithoutReadingIt() throws {
    let scratch = Scratch()
    let (inotify, wake) = (try Inotify(), try WakeSignal())
    _ = try inotify.add(Path(scratch.path), events: .arrivalsAndDepartures)
    let readiness = try Readiness([[inotify.raw, wake.raw]])
    Files.write([1], to: scratch("a"))
    #expect(readiness.wait(until: .max) == [0])
    #expect(inotify.read(timeout: .zero, wake: wake).events.contains { $0.mask.contains(.closeWrite) })
  }

  @Test func aWakeUpEndsOneWait() throws {
    let readiness = try Readiness([])
    readiness.wake()
    readiness.wake()
    #expect(readiness.wait(until: .max).isEmpty)
    let thread = OwnedThread(name: "wake") { readiness.wake() }
    #expect(readiness.wait(until: .max).isEmpty)
    thread.join()
  }

  @Test(arguments: [Int64.min, 0]) func aMomentThatIsOverIsNotWaitedFor(_ moment: Int64) throws {
    #expect(try Readiness([]).wait(until: moment).isEmpty)
  }

  @Test func tellsMoreGroupsThanOneLookGives() throws {
    let signals = try (0..<150).map { _ in try WakeSignal() }
    let readiness = try Readiness(signals.map { [$0.raw] })
    for signal in signals { signal.wake() }
    var told: [Int] = []
    while told.count < 150 { told += readiness.wait(until: .max) }
    #expect(told.sorted() == Array(0..<150))
  }
}
