internal import Platform

/// A fixed number of equal buffers for decoded pictures; the bound on how many wait for a classifier.
///
/// `lease` blocks while all are out, which is what stops the decoders when the classifiers are behind.
package final class SlotPool: Sendable {
  /// One decoded picture's floats, H×W×C, owned by whoever holds the slot until it is given back.
  package struct Slot: @unchecked Sendable {
    package let floats: UnsafeMutableBufferPointer<Float>
  }

  /// How many there are.
  let count: Int
  private let free: BoundedQueue<Slot>
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
    free = BoundedQueue(capacity: count)
    memory = Memory(count: count * floatsPerSlot)
    for index in 0..<count {
      let part = memory.floats[index * floatsPerSlot..<(index + 1) * floatsPerSlot]
      _ = free.tryPut(Slot(floats: UnsafeMutableBufferPointer(rebasing: part)))
    }
  }

  /// A free slot, as soon as there is one; nil when the pool was closed.
  ///
  /// Blocks.
  package func lease() -> Slot? { free.take() }

  /// A free slot if there is one in time.
  package func lease(within limit: Duration) -> Slot? { free.take(within: limit) }

  /// Gives a slot back.
  ///
  /// Never blocks.
  package func giveBack(_ slot: Slot) { _ = free.tryPut(slot) }
}
