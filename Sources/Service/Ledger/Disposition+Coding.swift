extension Disposition {
  /// The stored form: one letter, then the directory; for quarantine its length in four bytes, little-endian, comes
  /// first and the reason last.
  var stored: [UInt8] {
    switch self {
    case .keep: return [UInt8(ascii: "k")]
    case .delete: return [UInt8(ascii: "d")]
    case .move(let directory): return [UInt8(ascii: "m")] + directory
    case .quarantine(let directory, let reason):
      let length = UInt32(truncatingIfNeeded: directory.count)
      let prefix = (0..<4).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) }
      return [UInt8(ascii: "q")] + prefix + directory + Array(reason.utf8)
    }
  }

  /// Reads the stored form; nil when it is not one.
  init?(stored: [UInt8]) {
    switch stored.first {
    case UInt8(ascii: "k") where stored.count == 1: self = .keep
    case UInt8(ascii: "d") where stored.count == 1: self = .delete
    case UInt8(ascii: "m"): self = .move(directory: Array(stored.dropFirst()))
    case UInt8(ascii: "q") where stored.count >= 5:
      let length = stored[1...4].reversed().reduce(0) { $0 << 8 | Int($1) }
      guard length <= stored.count - 5 else { return nil }
      self = .quarantine(
        directory: Array(stored[5..<5 + length]), reason: String(decoding: stored[(5 + length)...], as: UTF8.self))
    default: return nil
    }
  }
}

extension WatchSettings.After {
  /// What becomes of an answered file.
  var disposition: Disposition {
    switch self {
    case .keep: .keep
    case .delete: .delete
    case .move(let directory): .move(directory: Array(directory.utf8))
    }
  }
}
