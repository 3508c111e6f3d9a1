import Glibc
import Platform
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(15)))
struct LanePoolTests {
  @Test func everyLaneRunsOnceAndSeesWhatOthersWroteBeforeTheyMet() {
    let pool = LanePool(count: 3, name: "lane")
    for _ in 0..<200 {
      let before = Atomic(0)
      let after = Atomic(0)
      pool.run { lane in
        before.wrappingAdd(1 << (lane * 8), ordering: .relaxed)
        pool.synchronize()
        if before.load(ordering: .relaxed) == 0x010101 { after.wrappingAdd(1, ordering: .relaxed) }
      }
      #expect(after.load(ordering: .relaxed) == 3)
    }
  }

  /// Helpers that held their pool would keep it, or be the last to let it go and wait for themselves.
  @Test func aPoolThatGoesTakesItsHelpersAlong() throws {
    let makers = (0..<4).map { maker in
      OwnedThread(name: "make-\(maker)") {
        for turn in 0..<200 {
          let pool = LanePool(count: 3, name: "brief")
          if turn % 2 == 0 { pool.run { _ in } }
        }
      }
    }
    for maker in makers { maker.join() }
    // What was joined may stand in the list for a moment.
    let deadline = Clock.monotonicNanoseconds(after: .seconds(30))
    var names = try threadNames()
    while names.contains(where: { $0.hasPrefix("brief-") }), Clock.monotonicNanoseconds() < deadline {
      sched_yield()
      names = try threadNames()
    }
    #expect(!names.contains { $0.hasPrefix("brief-") })
  }

  private func threadNames() throws -> [String] {
    try Directory.listing(Path("/proc/self/task")).compactMap { thread in
      let file = Path("/proc/self/task").appending(thread.name).appending(Array("comm".utf8))
      return (try? AtomicFile.read(file, limit: 100)).map { String(decoding: $0, as: UTF8.self) }
    }
  }
}
