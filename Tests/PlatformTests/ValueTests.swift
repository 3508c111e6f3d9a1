import Platform
import Testing

@Suite(.timeLimit(.minutes(15)))
struct UUIDv7Tests {
  @Test func ascends() {
    let made = (0..<10_000).map { _ in UUIDv7.make() }
    #expect(made == made.sorted())
    #expect(Set(made).count == made.count)
  }

  @Test func ascendsWhenTheClockGoesBack() {
    let first = UUIDv7.make()
    #expect(UUIDv7.make(now: 0) > first)
  }

  @Test func isWellFormed() throws {
    let made = UUIDv7.make()
    let parts = made.split(separator: "-")
    #expect(parts.map(\.count) == [8, 4, 4, 4, 12])
    #expect(made.allSatisfy { "0123456789abcdef-".contains($0) })
    #expect(parts[2].first == "7")
    let variant = try #require(parts[3].first)
    #expect("89ab".contains(variant))
  }

  @Test func beginsWithTheMillisecond() {
    let now = Clock.wallNanoseconds() / 1_000_000 + 3_600_000
    let made = UUIDv7.make(now: now * 1_000_000)
    #expect(Int64(made.filter { $0 != "-" }.prefix(12), radix: 16) == now)
  }
}

@Suite(.timeLimit(.minutes(15)))
struct GlobTests {
  @Test(arguments: [
    ("*.jpg", "a.jpg", true), ("*.jpg", "A.JPG", true), ("*.JPG", "a.jpg", true), ("*.jpg", "a.jpeg", false),
    ("img_[0-9]*", "IMG_4.png", true), ("img_[0-9]*", "img_x", false), ("a?c", "abc", true),
    ("", "", true), ("*", "", true), ("[", "[", true), ("\\*", "*", true), ("\\*", "a", false),
  ])
  func matchesAsAShellDoesInEitherCase(_ pattern: String, _ name: String, _ matches: Bool) {
    #expect(Glob.matches(pattern, name) == matches)
  }
}

@Suite(.timeLimit(.minutes(15)))
struct ClockTests {
  @Test(arguments: [
    (Duration.zero, Int64(0)), (.seconds(2), Int64(2_000_000_000)), (.milliseconds(-1500), Int64(-1_500_000_000)),
    (.nanoseconds(Int64.max), Int64.max), (.nanoseconds(Int64.min), Int64.min),
    (.nanoseconds(Int64.max) + .nanoseconds(1), Int64.max), (.seconds(Int64.max), Int64.max),
    (.seconds(Int64.min), Int64.min), (.seconds(9_223_372_036) + .milliseconds(999), Int64.max),
    (Duration(secondsComponent: 0, attosecondsComponent: 1_999_999_999), Int64(1)),
  ])
  func aDurationHasWholeNanosecondsWithinItsRange(_ duration: Duration, _ nanoseconds: Int64) {
    #expect(duration.nanoseconds == nanoseconds)
  }

  @Test func theMonotonicClockNeverGoesBack() {
    let first = Clock.monotonicNanoseconds()
    #expect(first > 0)
    Clock.pause(milliseconds: 2)
    #expect(Clock.monotonicNanoseconds() >= first + 2_000_000)
  }

  @Test func theWallClockCountsFrom1970() {
    #expect(Clock.wallNanoseconds() > 1_600_000_000 * 1_000_000_000)
  }
}
