/// Memory that grows to the largest picture seen and is reused by the next; one owner, one thread.
final class ByteBuffer {
  private(set) var base: UnsafeMutablePointer<UInt8>
  private(set) var capacity: Int

  init() {
    base = .allocate(capacity: 16)
    capacity = 16
  }

  deinit { base.deallocate() }

  /// Gives room for `count` bytes; what was in the buffer is lost when it must grow.
  func reserve(_ count: Int) -> UnsafeMutablePointer<UInt8> {
    if count > capacity {
      base.deallocate()
      base = .allocate(capacity: count)
      capacity = count
    }
    return base
  }

  /// Gives memory beyond `bytes` back, so that one giant picture does not weigh on the process for ever.
  func shrink(to bytes: Int) {
    guard capacity > bytes else { return }
    base.deallocate()
    base = .allocate(capacity: 16)
    capacity = 16
  }
}
