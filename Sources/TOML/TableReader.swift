/// Reads the keys of one table strictly: each key is asked for once, and what nobody asked for is a problem.
///
/// Problems are collected, so that one run shows them all; a getter that meets one gives its default.
package struct TableReader {
  package let name: String
  package let position: FilePosition
  private var entries: [TOMLValue.Entry]
  private var asked: [String] = []
  package private(set) var problems: [SettingsProblem] = []

  /// `value`: must be a table; anything else is a problem and reads as an empty one.
  package init(_ name: String, _ value: TOMLValue) {
    self.name = name
    position = value.position
    if case .table(let entries) = value.content {
      self.entries = entries
    } else {
      entries = []
      problem(value.position, "[\(name)] must be a table")
    }
  }

  package mutating func problem(_ position: FilePosition, _ reason: String) {
    problems.append(SettingsProblem(position: position, reason: reason))
  }

  private mutating func take(_ key: String) -> TOMLValue? {
    asked.append(key)
    guard let index = entries.firstIndex(where: { $0.key == key }) else { return nil }
    return entries.remove(at: index).value
  }

  /// Where the key's value stands, or the table if it is absent.
  ///
  /// Ask before taking it.
  package func place(of key: String) -> FilePosition { entries.first { $0.key == key }?.value.position ?? position }

  /// Where each key that nobody asked for yet stands.
  package var positions: [(key: String, position: FilePosition)] { entries.map { ($0.key, $0.value.position) } }

  /// Of the keys that nobody asked for yet, those that are absolute paths.
  package var paths: [(key: String, value: String)] {
    entries.compactMap { entry in
      guard case .string(let text) = entry.value.content, text.hasPrefix("/") else { return nil }
      return (entry.key, text)
    }
  }

  private mutating func mismatch(_ key: String, _ value: TOMLValue, _ wanted: String) {
    problem(value.position, "[\(name)] \(key) must be \(wanted)")
  }

  package mutating func string(_ key: String, default fallback: String) -> String {
    guard let value = take(key) else { return fallback }
    guard case .string(let text) = value.content else {
      mismatch(key, value, "a string")
      return fallback
    }
    return text
  }

  package mutating func requiredString(_ key: String) -> String {
    guard entries.contains(where: { $0.key == key }) else {
      asked.append(key)
      problem(position, "[\(name)] lacks \(key), a string")
      return ""
    }
    return string(key, default: "")
  }

  package mutating func integer(_ key: String, default fallback: Int, in range: ClosedRange<Int>) -> Int {
    guard let value = take(key) else { return fallback }
    guard case .integer(let number) = value.content, range.contains(number) else {
      mismatch(key, value, "a whole number from \(range.lowerBound) to \(range.upperBound)")
      return fallback
    }
    return number
  }

  /// A number of bytes, such as "800M": K, M and G are powers of 1024; "none" is 0.
  package mutating func size(_ key: String, default fallback: Int) -> Int {
    scaled(key, default: fallback, units: ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30], none: "none") {
      "a size such as \"800M\" or \"2G\", or \"none\""
    }
  }

  /// A time in seconds, such as "30d" or "12h".
  package mutating func duration(_ key: String, default fallback: Int) -> Int {
    scaled(key, default: fallback, units: ["s": 1, "m": 60, "h": 3600, "d": 86_400], none: nil) {
      "a time such as \"30d\", \"12h\" or \"90m\""
    }
  }

  private mutating func scaled(
    _ key: String, default fallback: Int, units: [Character: Int], none: String?, wanted: () -> String
  ) -> Int {
    guard let value = take(key) else { return fallback }
    if case .string(let text) = value.content {
      if text == none { return 0 }
      if let last = text.last, let unit = units[last], let number = Int(text.dropLast()), number > 0 {
        let (product, overflow) = number.multipliedReportingOverflow(by: unit)
        if !overflow { return product }
      }
    }
    mismatch(key, value, wanted())
    return fallback
  }

  package mutating func number(_ key: String, default fallback: Double, in range: ClosedRange<Double>) -> Double {
    guard let value = take(key) else { return fallback }
    guard let number = Self.number(value), range.contains(number) else {
      mismatch(key, value, "a number from \(range.lowerBound) to \(range.upperBound)")
      return fallback
    }
    return number
  }

  private static func number(_ value: TOMLValue) -> Double? {
    switch value.content {
    case .integer(let number): Double(number)
    case .float(let number) where number.isFinite: number
    default: nil
    }
  }

  package mutating func numbers(_ key: String, default fallback: [Double]) -> [Double] {
    guard let value = take(key) else { return fallback }
    guard case .array(let values) = value.content else {
      mismatch(key, value, "a list of numbers")
      return fallback
    }
    let numbers = values.compactMap { Self.number($0) }
    if numbers.count != values.count { mismatch(key, value, "a list of numbers") }
    return numbers
  }

  /// Two numbers, the smaller first: `[0.08, 1]`.
  package mutating func span(
    _ key: String, default fallback: ClosedRange<Double>, within range: ClosedRange<Double>
  ) -> ClosedRange<Double> {
    let place = place(of: key)
    let ends = numbers(key, default: [fallback.lowerBound, fallback.upperBound])
    guard ends.count == 2, ends[0] <= ends[1], range.contains(ends[0]), range.contains(ends[1]) else {
      problem(
        place, "[\(name)] \(key) must be two numbers from \(range.lowerBound) to \(range.upperBound), the smaller first"
      )
      return fallback
    }
    return ends[0]...ends[1]
  }

  package mutating func boolean(_ key: String, default fallback: Bool) -> Bool {
    guard let value = take(key) else { return fallback }
    guard case .boolean(let flag) = value.content else {
      mismatch(key, value, "true or false")
      return fallback
    }
    return flag
  }

  package mutating func strings(_ key: String, default fallback: [String]) -> [String] {
    placedStrings(key)?.map(\.text) ?? fallback
  }

  /// A list of strings, each with its place; nil if the key is absent or is no such list.
  package mutating func placedStrings(_ key: String) -> [(text: String, position: FilePosition)]? {
    guard let value = take(key) else { return nil }
    guard case .array(let values) = value.content else {
      mismatch(key, value, "a list of strings")
      return nil
    }
    var texts: [(text: String, position: FilePosition)] = []
    for value in values {
      guard case .string(let text) = value.content else {
        mismatch(key, value, "a list of strings")
        return nil
      }
      texts.append((text, value.position))
    }
    return texts
  }

  package mutating func choice<T: RawRepresentable & CaseIterable>(_ key: String, default fallback: T) -> T
  where T.RawValue == String {
    let place = place(of: key)
    let text = string(key, default: fallback.rawValue)
    if let choice = T(rawValue: text) { return choice }
    problem(
      place, "[\(name)] \(key) must be one of \(T.allCases.map(\.rawValue).joined(separator: ", ")), not \"\(text)\"")
    return fallback
  }

  /// The named sub-tables of this table, in the order of the file; the table is used up by it.
  package mutating func tables() -> [(key: String, position: FilePosition, value: TOMLValue)] {
    defer { entries = [] }
    return entries.map { ($0.key, $0.position, $0.value) }
  }

  /// A sub-table, or nil if it is absent.
  package mutating func table(_ key: String) -> TOMLValue? { take(key) }

  /// What is left, as JSON, for whoever reads it instead; the table is used up by it.
  package mutating func restAsJSON() -> String {
    defer { entries = [] }
    for entry in entries { refuseWhatJSONLacks(entry.key, entry.value) }
    return TOMLValue(content: .table(entries), position: position).json
  }

  private mutating func refuseWhatJSONLacks(_ key: String, _ value: TOMLValue) {
    switch value.content {
    case .table(let entries): for entry in entries { refuseWhatJSONLacks(entry.key, entry.value) }
    case .array(let values): for value in values { refuseWhatJSONLacks(key, value) }
    case .float(let number) where !number.isFinite: mismatch(key, value, "a finite number")
    case .other: mismatch(key, value, "text, a number, true or false; write a date or time in quotes")
    case .string, .integer, .float, .boolean: break
    }
  }

  /// Reports every key that nobody asked for, and gives all problems.
  package mutating func finish() -> [SettingsProblem] {
    for entry in entries {
      let known = asked.sorted().joined(separator: ", ")
      problem(
        entry.position,
        name.isEmpty
          ? "unknown table \(entry.key); there are: \(known)" : "[\(name)] has no key \(entry.key); there are: \(known)"
      )
    }
    entries = []
    return problems
  }
}
