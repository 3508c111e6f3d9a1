/// Elements in lanes that leave in batches of one lane; which lane is ripe at which moment says `LaneOrder`.
///
/// A value without clock or lock.
package struct BatchLanes<Key: Hashable & Sendable, Element: Sendable>: Sendable {
  /// How the elements of one key go together.
  package struct Lane: Sendable {
    package let key: Key
    /// The largest batch; at least 1.
    package let limit: Int
    /// Nanoseconds that an element waits for others.
    package let lingerNanoseconds: Int64
    /// The most elements of this lane; at least 1.
    package let capacity: Int

    package init(key: Key, limit: Int, lingerNanoseconds: Int64, capacity: Int = .max) {
      self.key = key
      self.limit = max(1, limit)
      self.lingerNanoseconds = lingerNanoseconds
      self.capacity = max(1, capacity)
    }
  }

  private var order = LaneOrder()
  /// The numbers of lanes, also of some in which nothing lies any more.
  private var numbers: [Key: Int] = [:]
  /// By number.
  private var keys: [Key] = []
  private var contents: [[Element]] = []
  /// Of all lanes.
  package private(set) var count = 0
  /// Lanes that nothing is taken from.
  package var held: Set<Key> = [] {
    didSet { for (key, number) in numbers { order.hold(number, held.contains(key)) } }
  }
  /// Everything is ripe, whatever it lacks.
  package var isClosed: Bool {
    get { order.isClosed }
    set { order.isClosed = newValue }
  }

  package init() {}

  package func isFull(_ lane: Lane) -> Bool { lane.capacity < .max && count(of: lane.key) >= lane.capacity }

  /// How many elements lie in the lane of a key.
  package func count(of key: Key) -> Int { numbers[key].map { order.count(of: $0) } ?? 0 }

  /// How many elements lie in the lane with a number that `reserve` gave.
  func count(at number: Int) -> Int { order.count(of: number) }

  /// The number of a lane, which it keeps until `leave` was called as often.
  mutating func reserve(_ lane: Lane) -> Int {
    let number = number(of: lane.key)
    order.reserve(number)
    return number
  }

  mutating func leave(_ number: Int) { order.leave(number) }

  /// A key that went away is forgotten when others need numbers; one that returns then goes first once.
  private mutating func number(of key: Key) -> Int {
    if let number = numbers[key] { return number }
    let number = order.open(isHeld: held.contains(key))
    if number == keys.count {
      keys.append(key)
      contents.append([])
    } else {
      numbers[keys[number]] = nil
      keys[number] = key
    }
    numbers[key] = number
    return number
  }

  /// Adds an element that came at the moment `now`; what its lane says counts for the whole lane from now on.
  package mutating func add(_ element: Element, to lane: Lane, now: Int64) {
    let number = number(of: lane.key)
    order.add(to: number, limit: lane.limit, lingerNanoseconds: lane.lingerNanoseconds, now: now)
    contents[number].append(element)
    count += 1
  }

  /// The moment at which the next lane becomes ripe if nothing is added; nil if none will.
  package var nextDue: Int64? { order.nextDue }

  /// Appends the next batch to `batch`; false if no lane is ripe at the moment `now`.
  package mutating func take(now: Int64, into batch: inout [Element]) -> Bool {
    guard let (number, taken) = order.serve(now: now) else { return false }
    if taken == contents[number].count {
      batch.append(contentsOf: contents[number])
      contents[number] = []
    } else {
      batch.append(contentsOf: contents[number][..<taken])
      contents[number].removeFirst(taken)
    }
    count -= taken
    return true
  }

  /// How many batches are ripe at the moment `now`, counted no further than to a bound; of what remains of a lane beyond
  /// its whole batches only one is counted.
  package func ripeBatches(now: Int64, upTo bound: Int) -> Int { order.ripeBatches(now: now, upTo: bound) }

  /// Takes everything out, held or not.
  package mutating func removeAll() -> [Element] {
    defer {
      order.removeAll()
      for number in contents.indices { contents[number] = [] }
      count = 0
    }
    return contents.flatMap { $0 }
  }
}
