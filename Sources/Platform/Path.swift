/// A path as the kernel has it: bytes without NUL, UTF-8 or not.
package struct Path: Hashable, Sendable {
  package let bytes: [UInt8]

  package init(_ bytes: [UInt8]) {
    precondition(!bytes.contains(0), "a path holds no NUL")
    self.bytes = bytes
  }

  package init(_ text: String) { self.init(Array(text.utf8)) }

  /// This path with a name behind it.
  package func appending(_ name: [UInt8]) -> Path {
    bytes.last == UInt8(ascii: "/") ? Path(bytes + name) : Path(bytes + [UInt8(ascii: "/")] + name)
  }

  package func appending(_ name: String) -> Path { appending(Array(name.utf8)) }

  /// What stands behind the last slash.
  package var lastComponent: [UInt8] {
    guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return bytes }
    return Array(bytes[(slash + 1)...])
  }

  /// The folder that holds it; `/` and a bare name have themselves and `.`.
  package var parent: Path {
    guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return Path(".") }
    return Path(Array(bytes[..<max(slash, 1)]))
  }

  /// For people: bytes that are no UTF-8, and control characters, stand as `\xNN`.
  package var displayed: String { Self.escape(bytes) }

  /// The path for a C call; valid during the call.
  package func withCString<T>(_ body: (UnsafePointer<CChar>) -> T) -> T {
    (bytes + [0]).withUnsafeBufferPointer { buffer in
      buffer.withMemoryRebound(to: CChar.self) { chars in
        guard let base = chars.baseAddress else { preconditionFailure("an array of one byte has an address") }
        return body(base)
      }
    }
  }

  static func escape(_ bytes: [UInt8]) -> String {
    var text = ""
    var rest = bytes[...]
    while !rest.isEmpty {
      let length = sequenceLength(rest)
      if length > 0 {
        text += String(decoding: rest.prefix(length), as: UTF8.self)
        rest = rest.dropFirst(length)
      } else {
        let byte = rest.removeFirst()
        let digits = String(byte, radix: 16)
        text += "\\x" + (digits.count == 1 ? "0" + digits : digits)
      }
    }
    return text
  }

  /// The length of the printable UTF-8 sequence at the start, or 0.
  private static func sequenceLength(_ bytes: ArraySlice<UInt8>) -> Int {
    guard let first = bytes.first, first >= 0x20, first != 0x7F else { return 0 }
    if first < 0x80 { return 1 }
    let length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2
    let second = bytes.dropFirst().first ?? 0
    let isControl = first == 0xC2 && second < 0xA0
    guard first >= 0xC2, !isControl, bytes.count >= length,
      String(validating: bytes.prefix(length), as: UTF8.self) != nil
    else { return 0 }
    return length
  }
}
