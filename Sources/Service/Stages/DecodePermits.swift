internal import Platform

/// How many pictures may be decoded at the same time, by decoders and requests together: the bound on pixels in memory.
final class DecodePermits: Sendable {
  /// Whoever holds one may decode; it goes back when it is dropped.
  struct Permit: ~Copyable {
    fileprivate let home: DecodePermits
    deinit { _ = home.free.tryPut(()) }
  }

  private let free: BoundedQueue<Void>

  /// `count`: at least 1.
  init(count: Int) {
    free = BoundedQueue(capacity: count)
    for _ in 0..<count { _ = free.tryPut(()) }
  }

  /// A permit, as soon as there is one.
  ///
  /// Blocks.
  func take() -> Permit {
    _ = free.take()
    return Permit(home: self)
  }

  /// A permit if there is one in time.
  func take(within limit: Duration) -> Permit? {
    free.take(within: limit) == nil ? nil : Permit(home: self)
  }
}
