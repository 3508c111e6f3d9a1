import Platform
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(15)))
struct BatchQueueTests {
  private typealias Queue = BatchQueue<String, Int>
  private let hour: Int64 = 3_600_000_000_000

  private func take(_ queue: Queue) -> [Int]? {
    var batch: [Int] = []
    return queue.take(into: &batch) ? batch : nil
  }

  @Test func aBatchIsOfOneLaneAndNoLargerThanItsLimit() {
    let queue = Queue(capacity: 16)
    let a = Queue.Lane(key: "a", limit: 3, lingerNanoseconds: 0)
    let b = Queue.Lane(key: "b", limit: 2, lingerNanoseconds: 0)
    for (number, lane) in [a, b, a, b, a, b, a].enumerated() { #expect(queue.put(number, in: lane)) }
    #expect(queue.count == 7)
    #expect(take(queue) == [0, 2, 4])
    #expect(take(queue) == [1, 3])
    #expect(take(queue) == [6])
    #expect(take(queue) == [5])
    #expect(queue.count == 0)
  }

  @Test func theLaneThatWaitsLongestGoesFirstHoweverFullAnotherIs() {
    let queue = Queue(capacity: 64)
    let flood = Queue.Lane(key: "flood", limit: 8, lingerNanoseconds: 0)
    for number in 0..<8 { #expect(queue.put(number, in: flood)) }
    #expect(queue.put(100, in: .init(key: "lonely", limit: 8, lingerNanoseconds: 0)))
    for number in 8..<40 { #expect(queue.put(number, in: flood)) }
    #expect(take(queue) == Array(0..<8))
    #expect(take(queue) == [100])
  }

  @Test func lanesTakeTurns() {
    let queue = Queue(capacity: 64)
    for number in 0..<4 { #expect(queue.put(number, in: .init(key: "a", limit: 1, lingerNanoseconds: 0))) }
    for number in 10..<12 { #expect(queue.put(number, in: .init(key: "b", limit: 1, lingerNanoseconds: 0))) }
    #expect((0..<6).map { _ in take(queue) } == [[0], [10], [1], [11], [2], [3]])
  }

  @Test func aFullLaneKeepsOnlyItsOwnProducersWaiting() {
    let queue = Queue(capacity: 64)
    let narrow = Queue.Lane(key: "narrow", limit: 1, lingerNanoseconds: 0, capacity: 1)
    #expect(queue.put(1, in: narrow))
    let producer = OwnedThread(name: "produce") { #expect(queue.put(2, in: narrow)) }
    #expect(queue.put(3, in: .init(key: "other", limit: 1, lingerNanoseconds: 0, capacity: 1)))
    #expect(take(queue) == [1])
    producer.join()
    #expect([take(queue), take(queue)] == [[3], [2]])
  }

  @Test func abortGivesTheRestBack() {
    let queue = Queue(capacity: 8)
    for number in 0..<3 { #expect(queue.put(number, in: .init(key: "\(number)", limit: 1, lingerNanoseconds: hour))) }
    #expect(queue.abort().sorted() == [0, 1, 2])
    #expect(queue.count == 0 && take(queue) == nil)
  }

  @Test func aHeldLaneIsLeftAloneUntilItIsReleased() {
    let queue = Queue(capacity: 8)
    let held = Queue.Lane(key: "held", limit: 1, lingerNanoseconds: 0)
    #expect(queue.put(1, in: held))
    queue.hold(["held"])
    #expect(queue.put(2, in: .init(key: "free", limit: 1, lingerNanoseconds: 0)))
    #expect(take(queue) == [2])
    let consumer = OwnedThread(name: "consume") {
      var batch: [Int] = []
      #expect(queue.take(into: &batch))
      #expect(batch == [1])
    }
    queue.hold([])
    consumer.join()
    #expect(queue.put(3, in: held))
    queue.hold(["held"])
    queue.close()
    #expect(take(queue) == nil)
    #expect(queue.abort() == [3])
  }

  @Test func aFullBatchNeedsNoLingering() {
    let queue = Queue(capacity: 8)
    let patient = Queue.Lane(key: "patient", limit: 2, lingerNanoseconds: hour)
    #expect(queue.put(1, in: patient))
    #expect(queue.put(2, in: .init(key: "hasty", limit: 9, lingerNanoseconds: 0)))
    #expect(take(queue) == [2])
    #expect(queue.put(3, in: patient))
    #expect(take(queue) == [1, 3])
  }

  @Test func lingeringEndsByItself() {
    let queue = Queue(capacity: 8)
    #expect(queue.put(1, in: .init(key: "a", limit: 9, lingerNanoseconds: 2_000_000)))
    #expect(take(queue) == [1])
  }

  @Test func closeDrainsWithoutLingeringAndLetsNothingIn() {
    let queue = Queue(capacity: 8)
    let lane = Queue.Lane(key: "a", limit: 2, lingerNanoseconds: hour)
    for number in 0..<3 { #expect(queue.put(number, in: lane)) }
    queue.close()
    #expect(!queue.put(9, in: lane))
    #expect(queue.isClosed)
    #expect(take(queue) == [0, 1])
    #expect(take(queue) == [2])
    #expect(take(queue) == nil)
  }

  @Test func closeFreesWhoWaits() {
    let empty = Queue(capacity: 1)
    let consumer = OwnedThread(name: "consume") {
      var batch: [Int] = []
      #expect(!empty.take(into: &batch))
    }
    let full = Queue(capacity: 1)
    let lane = Queue.Lane(key: "a", limit: 1, lingerNanoseconds: 0)
    #expect(full.put(1, in: lane))
    let producer = OwnedThread(name: "produce") { #expect(!full.put(2, in: lane)) }
    empty.close()
    full.close()
    consumer.join()
    producer.join()
  }

  @Test func nothingIsLostOrDoubledAmongManyThreads() {
    let queue = Queue(capacity: 5)
    let taken = Mutex<[Int]>([])
    let consumers = (0..<3).map { _ in
      OwnedThread(name: "consume") {
        var batch: [Int] = []
        while queue.take(into: &batch) {
          #expect(batch.count <= 4)
          #expect(Set(batch.map { $0 % 3 }).count == 1)
          let got = batch
          taken.withLock { $0 += got }
          batch.removeAll()
        }
      }
    }
    let producers = (0..<3).map { part in
      OwnedThread(name: "produce") {
        for number in 0..<500 {
          let value = number * 3 + part
          let lane = Queue.Lane(key: "\(value % 3)", limit: 4, lingerNanoseconds: 100_000)
          #expect(queue.put(value, in: lane))
        }
      }
    }
    for producer in producers { producer.join() }
    queue.close()
    for consumer in consumers { consumer.join() }
    #expect(taken.withLock { $0 }.sorted() == Array(0..<1500))
  }

  /// Each producer puts its next element when the last one was taken, so that one wake that is lost stops it for good.
  @Test(arguments: [1, 2]) func noWakeIsLostAmongManyProducersOfTinyBatches(_ limit: Int) {
    let pairs = 4
    // Room for every half of a pair, as nobody takes a half.
    let queue = Queue(capacity: limit == 1 ? 3 : pairs * limit)
    let bells = (0..<pairs * limit).map { _ in Bell() }
    let consumers = (0..<3).map { _ in
      OwnedThread(name: "consume") {
        var batch: [Int] = []
        while queue.take(into: &batch) {
          #expect(batch.count == limit)
          for producer in batch { bells[producer].ring() }
          batch.removeAll()
        }
      }
    }
    let producers = bells.indices.map { producer in
      OwnedThread(name: "produce") {
        let lane = Queue.Lane(key: "\(producer / limit)", limit: limit, lingerNanoseconds: limit == 1 ? 0 : hour)
        for round in 0..<3_000 {
          #expect(queue.put(producer, in: lane))
          guard bells[producer].wait(for: .seconds(120)) else {
            Issue.record("element \(round) of producer \(producer) was never taken")
            return
          }
        }
      }
    }
    for producer in producers { producer.join() }
    queue.close()
    for consumer in consumers { consumer.join() }
  }
}
