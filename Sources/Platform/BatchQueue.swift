/// A bounded queue whose elements lie in lanes and leave in batches of one lane: for work that is only cheap together
/// with its like.
///
/// `BatchLanes` says which batch is next, `BatchExchange` who is woken for it. Any number of producers and consumers.
package final class BatchQueue<Key: Hashable & Sendable, Element: Sendable>: @unchecked Sendable {
  package typealias Lane = BatchLanes<Key, Element>.Lane

  private let monitor = Monitor()
  private let seats: Seats
  private var exchange: BatchExchange<Key, Element>

  /// `capacity`: the most elements in all lanes together; at least 1.
  package init(capacity: Int) {
    exchange = BatchExchange(capacity: capacity)
    seats = Seats(in: monitor)
  }

  /// Adds an element to its lane, waiting while the queue or the lane is full.
  ///
  /// - Returns: false if the queue is closed; the element was not taken.
  package func put(_ element: Element, in lane: Lane) -> Bool {
    changing { () -> Bool in
      while !exchange.lanes.isClosed {
        if exchange.put(element, in: lane, now: Clock.monotonicNanoseconds()) { return true }
        let seat = exchange.seatProducer(for: lane)
        seats.wait(at: seat, until: nil)
        exchange.producerReturned(from: seat)
      }
      return false
    }
  }

  /// Takes the next batch, all of one lane, waiting until a lane is ripe.
  ///
  /// - Returns: false when the queue is closed and empty; `batch` gets the elements appended.
  package func take(into batch: inout [Element]) -> Bool {
    changing { () -> Bool in
      while !exchange.take(now: Clock.monotonicNanoseconds(), into: &batch) {
        if exchange.lanes.isClosed { return false }
        let (seat, alarm) = exchange.seatConsumer()
        seats.wait(at: seat, until: alarm)
        exchange.consumerReturned(from: seat)
      }
      return true
    }
  }

  /// Keeps consumers from these lanes, and from no others, until it is called again.
  ///
  /// What lies in them when the queue is closed is not taken; `abort` gives it back.
  package func hold(_ keys: Set<Key>) { changing { exchange.hold(keys) } }

  /// Lets nothing more in; consumers get what is inside, then the end.
  package func close() { changing { exchange.close() } }

  /// Closes the queue and gives back what nobody took.
  package func abort() -> [Element] {
    close()
    return monitor.locked { exchange.removeAll() }
  }

  package var count: Int { monitor.locked { exchange.lanes.count } }

  package var isClosed: Bool { monitor.locked { exchange.lanes.isClosed } }

  /// Runs `body` within the monitor and then wakes whom the change concerns, outside it, so that they find it free.
  private func changing<Result>(_ body: () -> Result) -> Result {
    var (result, condition) = monitor.locked { (body(), nextToWake()) }
    while let woken = condition {
      woken.signal()
      condition = monitor.locked { nextToWake() }
    }
    return result
  }

  private func nextToWake() -> Monitor.Condition? {
    exchange.nextToWake(now: Clock.monotonicNanoseconds()).map { seats.condition(of: $0) }
  }
}
