import Service
import Testing

@Suite(.timeLimit(.minutes(15)))
struct SinkBackoffTests {
  @Test func doublesUpToTheLongestWait() {
    var backoff = SinkBackoff(shortest: .milliseconds(100), longest: .milliseconds(500))
    let waits = (0..<5).map { _ in backoff.failed(fraction: 1) }
    #expect(waits == [100, 200, 400, 500, 500].map { .milliseconds($0) })
    #expect(backoff.failures == 5)
  }

  @Test func startsAnewAfterASuccess() {
    var backoff = SinkBackoff(shortest: .milliseconds(100), longest: .seconds(60))
    for _ in 0..<4 { _ = backoff.failed(fraction: 1) }
    backoff.succeeded()
    #expect(backoff == SinkBackoff(shortest: .milliseconds(100), longest: .seconds(60)))
    #expect(backoff.failed(fraction: 1) == .milliseconds(100))
  }

  @Test(arguments: [(0.0, 50), (0.5, 75), (1.0, 100), (-3.0, 50), (7.0, 100), (.nan, 100)])
  func spreadsOverTheUpperHalf(_ fraction: Double, _ milliseconds: Int) {
    var backoff = SinkBackoff()
    #expect(backoff.failed(fraction: fraction) == .milliseconds(milliseconds))
  }

  @Test func neverOverflows() {
    var backoff = SinkBackoff(shortest: .nanoseconds(1), longest: .seconds(3_600))
    var last = Duration.zero
    for _ in 0..<500 { last = backoff.failed(fraction: 1) }
    #expect(last == .seconds(3_600))
  }
}

@Suite(.timeLimit(.minutes(15)))
struct BatchReachTests {
  @Test func aSinkThatIsTooSlowGetsDownToOneRecordAndUpAgain() {
    var reach = BatchReach()
    #expect(reach.records == 256)
    let shrinking = (0..<4).map { _ in
      reach.expired()
      return reach.records
    }
    #expect(shrinking == [32, 4, 1, 1])
    let growing = (0..<9).map { _ in
      reach.delivered()
      return reach.records
    }
    #expect(growing == [2, 4, 8, 16, 32, 64, 128, 256, 256])
  }
}
