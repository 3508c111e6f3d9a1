import Engine
import TestSupport
import Testing

/// SplitMix64 over a counter, as `Tests/Vectors/training_counter.py` draws.
enum Counted {
  private static func bits(_ seed: UInt64, _ count: Int) -> [UInt64] {
    (0..<count).map { index in
      var z = seed &+ UInt64(index + 1) &* 0x9E37_79B9_7F4A_7C15
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }
  }

  /// From −1 to 1.
  static func floats(_ seed: UInt64, _ count: Int) -> [Float] {
    bits(seed, count).map { Float($0 >> 40) / 8_388_608 - 1 }
  }

  static func bytes(_ seed: UInt64, _ count: Int) -> [UInt8] { bits(seed, count).map { UInt8($0 >> 56) } }
}

/// A file of `Fixtures`.
enum Fixture {
  static let folder = "\(#filePath.dropLast("Counted.swift".count))Fixtures"

  static func json(_ name: String) -> JSON {
    do {
      return try JSON(parsing: Files.text("\(folder)/\(name)"))
    } catch {
      preconditionFailure("\(name): \(error)")
    }
  }
}

extension JSON {
  /// A member; nil if it is absent or null.
  subscript(name: String) -> JSON? {
    guard case .object(let members) = value, let found = members.first(where: { $0.name == name })?.value else {
      return nil
    }
    if case .null = found.value { return nil }
    return found
  }

  var elements: [JSON] {
    if case .array(let elements) = value { return elements }
    return []
  }

  var members: [Member] {
    if case .object(let members) = value { return members }
    return []
  }

  var double: Double {
    if case .number(let digits) = value { return Double(digits) ?? .nan }
    return .nan
  }

  var doubles: [Double] { elements.map(\.double) }
  var floats: [Float] { elements.map { Float($0.double) } }
  var integers: [Int] { elements.map { Int($0.double) } }
}

/// The first number that is further off than allowed is an issue.
func expectClose(
  _ found: [Double], _ expected: [Double], relative: Double, absolute: Double = 1e-9, _ what: String,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(found.count == expected.count, "\(what)", sourceLocation: sourceLocation)
  for (index, (a, b)) in zip(found, expected).enumerated() {
    guard (a - b).magnitude <= absolute + relative * b.magnitude else {
      Issue.record("\(what): number \(index) is \(a), expected \(b)", sourceLocation: sourceLocation)
      return
    }
  }
}
