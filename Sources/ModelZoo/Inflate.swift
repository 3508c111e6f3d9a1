/// Why packed bytes cannot be unpacked.
struct InflateFault: Error {
  let reason: String
}

/// Unpacks a raw DEFLATE stream (RFC 1951) that must give exactly `size` bytes.
///
/// Written for checkpoints that somebody packed again; PyTorch itself stores without packing.
func inflate(_ packed: UnsafeRawBufferPointer, size: Int) throws(InflateFault) -> [UInt8] {
  var stream = DeflateStream(packed: packed, size: size)
  try stream.unpack()
  return stream.output
}

private struct DeflateStream {
  private let packed: UnsafeRawBufferPointer
  private let size: Int
  private var position = 0
  private var bits: UInt32 = 0
  private var bitCount = 0
  private(set) var output: [UInt8] = []

  init(packed: UnsafeRawBufferPointer, size: Int) {
    self.packed = packed
    self.size = size
  }

  mutating func unpack() throws(InflateFault) {
    var isLast = false
    while !isLast {
      isLast = try take(1) == 1
      switch try take(2) {
      case 0: try stored()
      case 1: try block(literals: HuffmanCode.fixedLiterals, distances: HuffmanCode.fixedDistances)
      case 2:
        let (literals, distances) = try dynamicCodes()
        try block(literals: literals, distances: distances)
      default: throw InflateFault(reason: "an unknown block type")
      }
    }
    guard output.count == size else { throw InflateFault(reason: "\(output.count) bytes instead of \(size)") }
  }

  private mutating func take(_ count: Int) throws(InflateFault) -> Int {
    while bitCount < count {
      guard position < packed.count else { throw InflateFault(reason: "the packed bytes are cut short") }
      bits |= UInt32(packed[position]) << UInt32(bitCount)
      position += 1
      bitCount += 8
    }
    let value = bits & (1 << UInt32(count) - 1)
    bits >>= UInt32(count)
    bitCount -= count
    return Int(value)
  }

  private func room(for count: Int) throws(InflateFault) {
    guard size - output.count >= count else { throw InflateFault(reason: "more bytes than announced") }
  }

  private mutating func stored() throws(InflateFault) {
    bits = 0
    bitCount = 0
    let length = try take(16)
    guard try take(16) == ~length & 0xFFFF else { throw InflateFault(reason: "a stored block's length is damaged") }
    guard packed.count - position >= length else { throw InflateFault(reason: "the packed bytes are cut short") }
    try room(for: length)
    output.append(contentsOf: packed[position..<(position + length)])
    position += length
  }

  private mutating func symbol(_ code: HuffmanCode) throws(InflateFault) -> Int {
    var value = 0
    var first = 0
    var index = 0
    for length in 1...15 {
      value |= try take(1)
      let count = code.counts[length]
      if value - first < count { return code.symbols[index + value - first] }
      index += count
      first = (first + count) << 1
      value <<= 1
    }
    throw InflateFault(reason: "a code that is not in its table")
  }

  private mutating func block(literals: HuffmanCode, distances: HuffmanCode) throws(InflateFault) {
    while true {
      let literal = try symbol(literals)
      if literal < 256 {
        try room(for: 1)
        output.append(UInt8(literal))
        continue
      }
      guard literal > 256 else { return }
      guard literal <= 285 else { throw InflateFault(reason: "an unknown length code") }
      let length = DeflateStream.lengthBases[literal - 257] + (try take(DeflateStream.lengthBits[literal - 257]))
      let code = try symbol(distances)
      guard code < 30 else { throw InflateFault(reason: "an unknown distance code") }
      let distance = DeflateStream.distanceBases[code] + (try take(code < 4 ? 0 : code / 2 - 1))
      guard distance <= output.count else { throw InflateFault(reason: "a distance before the first byte") }
      try room(for: length)
      for _ in 0..<length { output.append(output[output.count - distance]) }
    }
  }

  private mutating func dynamicCodes() throws(InflateFault) -> (HuffmanCode, HuffmanCode) {
    let literalCount = try take(5) + 257
    let distanceCount = try take(5) + 1
    let lengthCount = try take(4) + 4
    var codeLengths = [Int](repeating: 0, count: 19)
    for place in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15].prefix(lengthCount) {
      codeLengths[place] = try take(3)
    }
    let lengthCode = try HuffmanCode(lengths: codeLengths)
    var lengths: [Int] = []
    while lengths.count < literalCount + distanceCount {
      let code = try symbol(lengthCode)
      switch code {
      case 0..<16: lengths.append(code)
      case 16:
        guard let last = lengths.last else { throw InflateFault(reason: "a repetition of nothing") }
        lengths += Array(repeating: last, count: 3 + (try take(2)))
      case 17: lengths += Array(repeating: 0, count: 3 + (try take(3)))
      default: lengths += Array(repeating: 0, count: 11 + (try take(7)))
      }
    }
    guard lengths.count == literalCount + distanceCount else { throw InflateFault(reason: "too many code lengths") }
    return (
      try HuffmanCode(lengths: Array(lengths[..<literalCount])),
      try HuffmanCode(lengths: Array(lengths[literalCount...]))
    )
  }

  private static let lengthBases = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
  ]
  private static let lengthBits = [
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
  ]
  private static let distanceBases = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145,
    8193, 12289, 16385, 24577,
  ]
}

/// A canonical Huffman code: how many codes each length has, and the symbols in the order of their codes.
private struct HuffmanCode {
  let counts: [Int]
  let symbols: [Int]

  static let fixedLiterals = HuffmanCode(
    trusted: (0..<288).map { $0 < 144 ? 8 : $0 < 256 ? 9 : $0 < 280 ? 7 : 8 })
  static let fixedDistances = HuffmanCode(trusted: [Int](repeating: 5, count: 30))

  init(lengths: [Int]) throws(InflateFault) {
    self.init(trusted: lengths)
    var left = 1
    for length in 1...15 {
      left = left * 2 - counts[length]
      guard left >= 0 else { throw InflateFault(reason: "an impossible code table") }
    }
  }

  private init(trusted lengths: [Int]) {
    var counts = [Int](repeating: 0, count: 16)
    for length in lengths { counts[length] += 1 }
    counts[0] = 0
    self.counts = counts
    symbols = (1...15).flatMap { length in lengths.indices.filter { lengths[$0] == length } }
  }
}
