internal import Synchronization

/// Pieces of one request, worked off by several threads of a crew without one request keeping all of them.
///
/// A thread takes one piece and goes to the back of the crew's queue for the next, so that requests of one piece pass by
/// requests of many.
final class Fan: Sendable {
  private let count: Int
  private let crew: Crew
  private let next = Atomic(0)
  private let left: Atomic<Int>
  private let piece: @Sendable (Int) -> Void
  private let done: @Sendable () -> Void

  private init(
    count: Int, crew: Crew, piece: @escaping @Sendable (Int) -> Void, done: @escaping @Sendable () -> Void
  ) {
    self.count = count
    self.crew = crew
    left = Atomic(count)
    self.piece = piece
    self.done = done
  }

  /// Starts the work on at least one piece; `piece` gets each number below `count` once, `done` follows the last.
  ///
  /// Never blocks.
  ///
  /// - Returns: false if as much waits for the crew as may; nothing is called then.
  static func out(
    _ count: Int, over crew: Crew, piece: @escaping @Sendable (Int) -> Void, done: @escaping @Sendable () -> Void
  ) -> Bool {
    guard crew.promise(count) else { return false }
    let fan = Fan(count: count, crew: crew, piece: piece, done: done)
    guard crew.take({ fan.work() }) else {
      crew.release(count)
      return false
    }
    for _ in 1..<max(1, min(count, crew.count)) where !crew.take({ fan.work() }) { break }
    return true
  }

  private func work() {
    while true {
      let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
      guard index < count else { return }
      piece(index)
      crew.release(1)
      if left.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0 { return done() }
      if crew.take({ self.work() }) { return }
    }
  }
}

/// What the pieces of one request come to, each in its place.
final class Pieces<Element: Sendable>: Sendable {
  private let elements: Mutex<[Element?]>

  init(count: Int) { elements = Mutex([Element?](repeating: nil, count: count)) }

  subscript(index: Int) -> Element? {
    get { elements.withLock { $0[index] } }
    set { elements.withLock { $0[index] = newValue } }
  }

  /// All of them, in order; those that nobody gave are left out.
  var all: [Element] { elements.withLock { $0.compactMap(\.self) } }
}
