import Glibc
import Platform
import Service
import Synchronization
import Testing

/// A guest that does what a test says, once each time it works.
private final class Sleeper: Guest {
  let name: String
  let wake: WakeSignal
  private let step: @Sendable (Sleeper, Int) -> Int64?
  private let works = Mutex<[String]>([])
  private let isWorking = Atomic<Bool>(false)

  /// `step`: takes how often it has worked before, and gives until when it rests.
  init(_ name: String, step: @escaping @Sendable (Sleeper, Int) -> Int64?) throws {
    self.name = name
    wake = try WakeSignal()
    self.step = step
  }

  var descriptors: [Int32] { [wake.raw] }

  func work() -> Int64? {
    let isAlone = !isWorking.exchange(true, ordering: .acquiringAndReleasing)
    #expect(isAlone, "it works on two threads at once")
    let thread = (try? AtomicFile.read(Path("/proc/thread-self/comm"), limit: 100)) ?? []
    let before = works.withLock { works in
      defer { works.append(String(decoding: thread.dropLast(), as: UTF8.self)) }
      return works.count
    }
    let until = step(self, before)
    isWorking.store(false, ordering: .releasing)
    return until
  }

  /// Takes what woke it.
  func hear() { wake.wait(for: .zero) }

  /// The names of the threads on which it worked.
  var threads: [String] { works.withLock { $0 } }
}

/// A porter that serves on a thread of its own.
private struct House {
  let porter: Porter
  private let thread: OwnedThread

  init(_ guests: [Sleeper]) throws {
    let porter = try Porter(guests: guests)
    self.porter = porter
    thread = OwnedThread(name: "porter") { porter.run() }
  }

  func awaitEnd() { thread.join() }
}

@Suite(.timeLimit(.minutes(15)))
struct PorterTests {
  @Test func everyGuestWorksAtOnceOnAThreadOfItsNameAndTheServiceEndsWithTheLast() throws {
    let guests = try (0..<100).map { try Sleeper("guest-\($0)") { _, _ in nil } }
    try House(guests).awaitEnd()
    for guest in guests { #expect(guest.threads == [guest.name]) }
    try House([]).awaitEnd()
  }

  @Test func whatComesForAGuestThatRestsStartsAThread() throws {
    let rested = Bell()
    let guest = try Sleeper("guest") { guest, before in
      guest.hear()
      rested.ring()
      return before < 3 ? .max : nil
    }
    let house = try House([guest])
    for _ in 0..<3 {
      #expect(rested.wait(for: .seconds(30)))
      guest.wake.wake()
    }
    house.awaitEnd()
    #expect(guest.threads.count == 4)
  }

  @Test func aRestEndsInTime() throws {
    let begin = Clock.monotonicNanoseconds()
    let guest = try Sleeper("guest") { _, before in before == 0 ? begin + 50_000_000 : nil }
    try House([guest]).awaitEnd()
    #expect(Clock.monotonicNanoseconds() >= begin + 50_000_000)
    #expect(guest.threads.count == 2)
  }

  @Test func eachOfManyRestsEndsInItsOwnTime() throws {
    let begin = Clock.monotonicNanoseconds()
    let guests = try [Int64(80), 20, 50].map { milliseconds in
      let moment = begin + milliseconds * 1_000_000
      return try Sleeper("\(milliseconds)") { _, before in
        if before == 0 { return moment }
        #expect(Clock.monotonicNanoseconds() >= moment)
        return nil
      }
    }
    try House(guests).awaitEnd()
    for guest in guests { #expect(guest.threads.count == 2) }
  }

  @Test func whatComesWhileAGuestGoesToRestIsNotLost() throws {
    let guest = try Sleeper("guest") { guest, before in
      guest.hear()
      // After it heard, and before the porter knows that it rests.
      if before < 200 { guest.wake.wake() }
      return before < 200 ? .max : nil
    }
    try House([guest]).awaitEnd()
    #expect(guest.threads.count == 201)
  }

  @Test func whatAGuestHeardItselfDoesNotCallItAgain() throws {
    let begun = Bell()
    let go = Bell()
    let guest = try Sleeper("guest") { guest, before in
      guard before == 0 else { return nil }
      begun.ring()
      go.wait(for: .seconds(30))
      guest.hear()
      return Clock.monotonicNanoseconds() + 50_000_000
    }
    let house = try House([guest])
    #expect(begun.wait(for: .seconds(30)))
    guest.wake.wake()
    let heard = Clock.monotonicNanoseconds()
    go.ring()
    house.awaitEnd()
    #expect(Clock.monotonicNanoseconds() >= heard + 50_000_000, "its rest was cut short")
    #expect(guest.threads.count == 2)
  }

  @Test func aGuestThatHangsHoldsUpNoOther() throws {
    let go = Bell()
    let rested = Bell()
    let hung = try Sleeper("hung") { _, _ in
      go.wait(for: .seconds(60))
      return nil
    }
    let other = try Sleeper("other") { guest, before in
      guest.hear()
      rested.ring()
      return before < 20 ? .max : nil
    }
    let house = try House([hung, other])
    for _ in 0..<20 {
      #expect(rested.wait(for: .seconds(30)))
      other.wake.wake()
    }
    #expect(rested.wait(for: .seconds(30)))
    #expect(other.threads.count == 21 && hung.threads.count == 1)
    go.ring()
    house.awaitEnd()
  }

  @Test func whereManyAreDueAtOnceTheyTakeTurnsAndThoseThatHangHoldUpNoOther() throws {
    let go = Bell()
    let hung = try (0..<40).map { number in
      try Sleeper("hung-\(number)") { _, _ in
        go.wait(for: .seconds(60))
        go.ring()
        return nil
      }
    }
    let begin = Clock.monotonicNanoseconds()
    let last = try Sleeper("last") { _, _ in
      #expect(Clock.monotonicNanoseconds() >= begin + 200_000_000, "two crowds of 16 were waited for")
      go.ring()
      return nil
    }
    try House(hung + [last]).awaitEnd()
    for guest in hung + [last] { #expect(guest.threads.count == 1) }
  }

  @Test func manyGuestsThatManyThreadsCallMissNothing() throws {
    let calls = 2_000
    let asked = (0..<80).map { _ in Counter() }
    let done = (0..<80).map { _ in Counter() }
    let isOver = Counter()
    let guests = try (0..<80).map { number in
      try Sleeper("guest-\(number)") { guest, before in
        guest.hear()
        let mayEnd = isOver.value > 0
        done[number].add(asked[number].takeAll())
        if mayEnd { return nil }
        return before % 3 == 0 ? Clock.monotonicNanoseconds() + 1_000_000 : .max
      }
    }
    let house = try House(guests)
    let callers = (0..<4).map { caller in
      OwnedThread(name: "call-\(caller)") {
        for call in 0..<calls {
          let number = (call * 7 + caller * 13) % guests.count
          asked[number].add(1)
          guests[number].wake.wake()
        }
      }
    }
    for caller in callers { caller.join() }
    // Without any further call everything is done.
    for number in guests.indices {
      let deadline = Clock.monotonicNanoseconds(after: .seconds(60))
      while asked[number].value > 0, Clock.monotonicNanoseconds() < deadline { sched_yield() }
    }
    isOver.add(1)
    for guest in guests { guest.wake.wake() }
    house.awaitEnd()
    #expect(done.reduce(0) { $0 + $1.value } == 4 * calls)
  }

  @Test func thePorterIsAtRestWhileItsGuestsAreAndAfterThem() throws {
    let rested = Bell()
    let guest = try Sleeper("guest") { guest, before in
      guest.hear()
      rested.ring()
      return before == 0 ? .max : nil
    }
    let house = try House([guest])
    #expect(rested.wait(for: .seconds(30)))
    var isAtRest = false
    let deadline = Clock.monotonicNanoseconds(after: .seconds(30))
    while !isAtRest, Clock.monotonicNanoseconds() < deadline {
      isAtRest = house.porter.heartbeat.reading.activity == .resting
      sched_yield()
    }
    #expect(isAtRest)
    guest.wake.wake()
    house.awaitEnd()
    #expect(house.porter.heartbeat.reading.activity == .resting)
  }

  /// The limit of threads binds no superuser.
  @Test(.enabled(if: geteuid() == 0)) func aGuestForWhomThereIsNoThreadGetsOneWhenThereIs() async {
    await #expect(processExitsWith: .success) {
      let guest = try Sleeper("guest") { _, _ in nil }
      let porter = try Porter(guests: [guest])
      let mayGo = Bell()
      let raising = OwnedThread(name: "raise") {
        mayGo.wait(for: .seconds(30))
        // Once it tried and rests.
        while porter.heartbeat.reading.turns < 2 { sched_yield() }
        var limit = rlimit(rlim_cur: 4_096, rlim_max: 4_096)
        setrlimit(__rlimit_resource_t(__RLIMIT_NPROC.rawValue), &limit)
      }
      var limit = rlimit(rlim_cur: 0, rlim_max: 4_096)
      setrlimit(__rlimit_resource_t(__RLIMIT_NPROC.rawValue), &limit)
      try #require(setuid(65_534) == 0)
      #expect(throws: PlatformError.system(call: "pthread_create", path: nil, errno: EAGAIN)) {
        try OwnedThread(ifPossible: "none") {}
      }
      mayGo.ring()
      porter.run()
      raising.join()
      #expect(guest.threads == ["guest"])
    }
  }
}

/// A number that many threads change.
private final class Counter: Sendable {
  private let number = Atomic(0)

  func add(_ count: Int) { number.wrappingAdd(count, ordering: .acquiringAndReleasing) }
  func takeAll() -> Int { number.exchange(0, ordering: .acquiringAndReleasing) }
  var value: Int { number.load(ordering: .acquiring) }
}
