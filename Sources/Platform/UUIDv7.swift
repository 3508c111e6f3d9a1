internal import CShims
internal import Synchronization

/// Identifiers that sort by the time they were made (RFC 9562, version 7).
package enum UUIDv7 {
  private struct State {
    var millisecond: Int64 = 0
    var counter: UInt16 = 0
    /// Not used yet; the kernel is asked for many at once.
    var random: [UInt64] = []

    mutating func nextRandom() -> UInt64 {
      if random.isEmpty {
        random = [UInt64](repeating: 0, count: 256)
        random.withUnsafeMutableBytes { bytes in
          if let base = bytes.baseAddress { lookout_random(base, bytes.count) }
        }
      }
      return random.removeLast()
    }
  }

  private static let state = Mutex(State())

  /// A new identifier, lower case with dashes; within one process each is greater than the one before.
  package static func make(now: Int64 = Clock.wallNanoseconds()) -> String {
    let (millisecond, counter, random) = state.withLock { state in
      let wall = now / 1_000_000
      if wall > state.millisecond {
        (state.millisecond, state.counter) = (wall, UInt16(state.nextRandom() & 0x3FF))
      } else if state.counter < 0xFFF {
        state.counter += 1
      } else {
        (state.millisecond, state.counter) = (state.millisecond + 1, 0)
      }
      return (state.millisecond, state.counter, state.nextRandom())
    }
    let high = UInt64(millisecond) << 16 | 0x7000 | UInt64(counter)
    let low = random >> 2 | 1 << 63
    let digits = hex(high) + hex(low)
    var text = ""
    for (index, digit) in digits.enumerated() {
      if [8, 12, 16, 20].contains(index) { text.append("-") }
      text.append(digit)
    }
    return text
  }

  private static func hex(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
