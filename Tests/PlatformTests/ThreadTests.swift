import Glibc
import Platform
import Synchronization
import Testing

/// Gathers what threads hand in.
private final class Basket<Element: Sendable>: Sendable {
  private let content = Mutex<[Element]>([])
  func add(_ element: Element) { content.withLock { $0.append(element) } }
  var all: [Element] { content.withLock { $0 } }
}

@Suite(.timeLimit(.minutes(15)))
struct BoundedQueueTests {
  @Test func givesEveryElementToExactlyOneConsumer() {
    let queue = BoundedQueue<Int>(capacity: 7)
    let basket = Basket<[Int]>()
    let consumers = (0..<2).map { number in
      OwnedThread(name: "consume-\(number)") {
        var taken: [Int] = []
        while let element = queue.take() { taken.append(element) }
        basket.add(taken)
      }
    }
    let producers = (0..<3).map { number in
      OwnedThread(name: "produce-\(number)") {
        for index in 0..<2000 { #expect(queue.put(number * 2000 + index)) }
      }
    }
    for producer in producers { producer.join() }
    queue.close()
    for consumer in consumers { consumer.join() }
    #expect(basket.all.flatMap { $0 }.sorted() == Array(0..<6000))
    for taken in basket.all {
      for number in 0..<3 {
        let own = taken.filter { $0 / 2000 == number }
        #expect(own == own.sorted(), "one producer's elements come in its order")
      }
    }
  }

  @Test func isFirstInFirstOutAcrossTheEndOfTheRing() {
    let queue = BoundedQueue<Int>(capacity: 3)
    for number in 0..<10 {
      #expect(queue.put(number * 2) && queue.put(number * 2 + 1))
      #expect(queue.take() == number * 2)
      #expect(queue.take() == number * 2 + 1)
    }
  }

  @Test func putWaitsWhileItIsFull() {
    let queue = BoundedQueue<Int>(capacity: 1)
    #expect(queue.tryPut(1))
    #expect(!queue.tryPut(2))
    let order = Basket<String>()
    let begun = Bell()
    let done = Bell()
    let producer = OwnedThread(name: "produce") {
      begun.ring()
      #expect(queue.put(2))
      order.add("put")
      done.ring()
    }
    #expect(begun.wait(for: .seconds(30)))
    #expect(!done.wait(for: .milliseconds(30)))
    order.add("take")
    #expect(queue.take() == 1)
    producer.join()
    #expect(order.all == ["take", "put"])
    #expect(queue.take() == 2)
  }

  @Test func closeEndsAWaitingPutAndLetsNothingIn() {
    let queue = BoundedQueue<Int>(capacity: 1)
    #expect(queue.put(1))
    let answers = Basket<Bool>()
    let producer = OwnedThread(name: "produce") { answers.add(queue.put(2)) }
    queue.close()
    producer.join()
    #expect(answers.all == [false])
    #expect(!queue.put(3) && !queue.tryPut(3))
  }

  @Test func closeDrains() {
    let queue = BoundedQueue<Int>(capacity: 4)
    #expect(queue.put(1) && queue.put(2))
    queue.close()
    #expect(queue.take() == 1)
    #expect(queue.take() == 2)
    #expect(queue.take() == nil)
  }

  @Test func abortGivesTheRestBack() {
    let queue = BoundedQueue<Int>(capacity: 4)
    for number in 0..<3 { #expect(queue.put(number)) }
    #expect(queue.take() == 0)
    #expect(queue.abort() == [1, 2])
    #expect(queue.take() == nil)
    #expect(queue.abort().isEmpty)
  }
}

@Suite(.timeLimit(.minutes(15)))
struct OwnedThreadTests {
  @Test(arguments: [("watch", "watch"), ("a-name-that-is-too-long", "a-name-that-is-")])
  func bearsItsName(_ name: String, _ shown: String) throws {
    let names = Basket<String>()
    let thread = OwnedThread(name: name) {
      let bytes = (try? AtomicFile.read(Path("/proc/thread-self/comm"), limit: 100)) ?? []
      names.add(String(decoding: bytes, as: UTF8.self))
    }
    thread.join()
    #expect(names.all == ["\(shown)\n"])
  }

  @Test func joinWaitsForTheEndAndMayBeRepeated() {
    let ended = Basket<Int>()
    let gate = Bell()
    let thread = OwnedThread(name: "wait") {
      gate.wait(for: .seconds(30))
      ended.add(1)
    }
    gate.ring()
    thread.join()
    thread.join()
    #expect(ended.all == [1])
  }

  @Test func takesNoSignals() {
    let blocked = Basket<Bool>()
    let thread = OwnedThread(name: "signals") {
      var mask = sigset_t()
      pthread_sigmask(SIG_BLOCK, nil, &mask)
      for number in [SIGTERM, SIGHUP, SIGINT, SIGUSR1] { blocked.add(sigismember(&mask, number) == 1) }
    }
    thread.join()
    #expect(blocked.all == [true, true, true, true])
  }
}

@Suite(.timeLimit(.minutes(15)))
struct BellTests {
  @Test func keepsARingForTheNextWaitAndCountsSeveralAsOne() {
    let bell = Bell()
    bell.ring()
    bell.ring()
    #expect(bell.wait(for: .seconds(30)))
    #expect(!bell.wait(for: .milliseconds(1)))
  }

  @Test func wakesAWaitingThread() {
    let bell = Bell()
    let answers = Basket<Bool>()
    let thread = OwnedThread(name: "wait") { answers.add(bell.wait(for: .seconds(30))) }
    bell.ring()
    thread.join()
    #expect(answers.all == [true])
  }

  @Test(arguments: [Duration.zero, .seconds(-5), .nanoseconds(1)])
  func waitsNoLongerThanSaid(_ duration: Duration) {
    #expect(!Bell().wait(for: duration))
  }

  @Test func anEndlessWaitIsNoOverflow() {
    let bell = Bell()
    bell.ring()
    #expect(bell.wait(for: .seconds(Int64.max)))
  }
}

@Suite(.timeLimit(.minutes(15)))
struct OwnedThreadSignalTests {
  @Test func faultsReachTheirHandlerAndNothingElseDoes() {
    let basket = Basket<Int32>()
    let thread = OwnedThread(name: "signals") {
      var blocked = sigset_t()
      pthread_sigmask(SIG_BLOCK, nil, &blocked)
      for signal in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGTERM, SIGHUP, SIGCHLD]
      where sigismember(&blocked, signal) == 1 { basket.add(signal) }
    }
    thread.join()
    #expect(Set(basket.all) == [SIGTERM, SIGHUP, SIGCHLD])
  }
}
