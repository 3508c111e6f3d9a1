internal import Synchronization

/// Identifiers that sort by the time they were made (RFC 9562, version 7).
package enum UUIDv7 {
  private static let last = Mutex<(millisecond: Int64, counter: UInt16)>((0, 0))

  /// A new identifier, lower case with dashes; within one process each is greater than the one before.
  package static func make(now: Int64 = Clock.wallNanoseconds()) -> String {
    let (millisecond, counter) = last.withLock { last in
      let wall = now / 1_000_000
      if wall > last.millisecond {
        last = (wall, UInt16.random(in: 0..<0x400))
      } else if last.counter < 0xFFF {
        last.counter += 1
      } else {
        last = (last.millisecond + 1, 0)
      }
      return last
    }
    let high = UInt64(millisecond) << 16 | 0x7000 | UInt64(counter)
    let low = UInt64.random(in: 0..<(1 << 62)) | 1 << 63
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
