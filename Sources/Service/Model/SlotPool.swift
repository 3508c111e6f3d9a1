internal import Platform

/// A fixed number of equal buffers for decoded pictures; the bound on how many wait for a classifier.
///
/// `lease` blocks while all are out, which is what stops the decoders when the classifiers are behind. `SlotLine` says who
/// goes on when slots come back.
package final class SlotPool: @unchecked Sendable {
  /// One decoded picture's floats, H×W×C, owned by whoever holds the slot until it is given back.
  package struct Slot: @unchecked Sendable {
    package let floats: UnsafeMutableBufferPointer<Float>
  }

  /// How many there are.
  let count: Int
  private let monitor = Monitor()
  private let seats: Seats
  private var line: SlotLine
  /// As many as `line` says are free; the one that came back last is last, as it may still be in a cache.
  private var free: [Slot] = []
  private let memory: Memory

  private final class Memory: @unchecked Sendable {
    let floats: UnsafeMutableBufferPointer<Float>
    init(count: Int) {
      let raw = UnsafeMutableRawPointer.allocate(byteCount: count * 4, alignment: 64)
      floats = UnsafeMutableBufferPointer(start: raw.bindMemory(to: Float.self, capacity: count), count: count)
      floats.initialize(repeating: 0)
    }
    deinit { UnsafeMutableRawPointer(floats.baseAddress)?.deallocate() }
  }

  package init(count: Int, floatsPerSlot: Int) {
    self.count = count
    seats = Seats(in: monitor)
    line = SlotLine(count: count)
    memory = Memory(count: count * floatsPerSlot)
    free = (0..<count).map { index in
      let part = memory.floats[index * floatsPerSlot..<(index + 1) * floatsPerSlot]
      return Slot(floats: UnsafeMutableBufferPointer(rebasing: part))
    }
  }

  /// A free slot, as soon as there is one.
  ///
  /// Blocks.
  package func lease() -> Slot {
    monitor.locked {
      while !line.lease() {
        let seat = line.wait(urgently: false)
        while !line.isCalled(seat) { seats.wait(at: seat, until: nil) }
        line.leave(seat)
      }
      return free.removeLast()
    }
  }

  /// A free slot if there is one in time; whoever asks this way goes before those who ask without a limit.
  package func lease(within limit: Duration) -> Slot? {
    let deadline = Clock.monotonicNanoseconds(after: limit)
    return monitor.locked {
      while !line.lease() {
        let seat = line.wait(urgently: true)
        var isInTime = true
        while !line.isCalled(seat), isInTime { isInTime = seats.wait(at: seat, until: deadline) }
        isInTime = line.isCalled(seat)
        line.leave(seat)
        guard isInTime else { return nil }
      }
      return free.removeLast()
    }
  }

  /// Gives slots back, those of a batch together.
  ///
  /// Never blocks for long.
  package func giveBack(_ slots: [Slot]) {
    guard !slots.isEmpty else { return }
    var condition = monitor.locked {
      free += slots
      line.giveBack(slots.count)
      return nextToWake()
    }
    while let woken = condition {
      woken.signal()
      condition = monitor.locked { nextToWake() }
    }
  }

  private func nextToWake() -> Monitor.Condition? { line.nextToWake().map { seats.condition(of: $0) } }
}
