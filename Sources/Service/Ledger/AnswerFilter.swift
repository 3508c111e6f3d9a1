internal import Synchronization

/// Tells without a look at the ledger that it holds no answer for some bytes and model: a Bloom filter of fixed size.
///
/// It may say that there is one where there is none, and then the ledger is asked; the other way round it never errs.
/// With a million answers it is wrong once in forty. Any thread, without a lock.
final class AnswerFilter: @unchecked Sendable {
  /// 2^23 bits are 1 MiB.
  private static let bits: UInt64 = 1 << 23
  private static let probes: UInt64 = 4

  private let words: UnsafeMutablePointer<Atomic<UInt64>>
  private let complete = Atomic(false)

  init() {
    let count = Int(Self.bits / 64)
    words = .allocate(capacity: count)
    for index in 0..<count { (words + index).initialize(to: Atomic(0)) }
  }

  deinit {
    words.deinitialize(count: Int(Self.bits / 64))
    words.deallocate()
  }

  /// Whether everything that the ledger held when it was opened has been entered; until then there may always be an
  /// answer.
  var isComplete: Bool { complete.load(ordering: .acquiring) }

  func becomeComplete() { complete.store(true, ordering: .releasing) }

  func insert(sha256: String, modelDigest: String) {
    for bit in Self.places(sha256, modelDigest) {
      words[Int(bit / 64)].bitwiseOr(1 << (bit % 64), ordering: .releasing)
    }
  }

  func mayHold(sha256: String, modelDigest: String) -> Bool {
    guard isComplete else { return true }
    return Self.places(sha256, modelDigest).allSatisfy {
      words[Int($0 / 64)].load(ordering: .acquiring) & (1 << ($0 % 64)) != 0
    }
  }

  /// Bits of a pair, by two hashes (FNV-1a, and its value mixed again).
  private static func places(_ sha256: String, _ modelDigest: String) -> some Sequence<UInt64> {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for text in [sha256, modelDigest] {
      for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
      hash = (hash ^ 0xFF) &* 0x0000_0100_0000_01B3
    }
    let step = ((hash ^ (hash >> 29)) &* 0xBF58_476D_1CE4_E5B9) >> 17
    return (0..<probes).lazy.map { ((hash >> 32) &+ hash &+ $0 &* (step | 1)) & (bits - 1) }
  }
}
