package import Platform

/// The place of one file in quarantine: the file under its own name and `<name>.reason.txt` beside it.
///
/// The reason is written first and names the arrival, so that after a crash the same arrival finds the same place again.
package struct QuarantineCell {
  let arrival: Arrival
  let reason: String
  let directory: Path

  package init(arrival: Arrival, reason: String, directory: Path) {
    self.arrival = arrival
    self.reason = reason
    self.directory = directory
  }

  /// Moves the file in, never over another.
  ///
  /// - Returns: where the file is now.
  package func take(_ source: Path) throws(PlatformError) -> Path {
    try Directory.create(directory, mode: 0o750)
    for number in 0..<10_000 {
      let target = directory.appending(name(source.lastComponent, number))
      let note = directory.appending(name(source.lastComponent, number) + Array(".reason.txt".utf8))
      if let held = try? AtomicFile.read(note, limit: 64 << 10) {
        guard String(decoding: held, as: UTF8.self).contains(arrival.id) else { continue }
      } else if (try? FileStatus.of(target, followingLinks: false)) != nil {
        continue
      }
      try AtomicFile.write(note, Array(text(source).utf8), mode: 0o640)
      do throws(PlatformError) {
        try moveFile(from: source, toFree: target, if: arrival.isBehind)
        return target
      } catch .system(_, _, 17) {
        // A copy to another file system that a crash cut off before the source went, or somebody else's file.
        continue
      }
    }
    throw .system(call: "quarantine", path: directory.displayed, errno: 17)
  }

  /// Where the file lies already, if a crash came between its move and the ledger's knowledge of it.
  func find(_ source: Path) -> Path? {
    for number in 0..<10_000 {
      let target = directory.appending(name(source.lastComponent, number))
      let note = directory.appending(name(source.lastComponent, number) + Array(".reason.txt".utf8))
      guard let held = try? AtomicFile.read(note, limit: 64 << 10) else { return nil }
      guard String(decoding: held, as: UTF8.self).contains(arrival.id) else { continue }
      return (try? FileStatus.of(target, followingLinks: false)) == nil ? nil : target
    }
    return nil
  }

  private func text(_ source: Path) -> String {
    """
    reason: \(reason)
    id: \(arrival.id)
    watch: \(arrival.watch)
    path: \(source.displayed)
    remedy: mend the file and copy it into the inbox again; this copy is no longer watched

    """
  }

  /// `photo.jpg`, then `photo-1.jpg`, `photo-2.jpg`; shortened so that the note's name fits too.
  private func name(_ original: [UInt8], _ number: Int) -> [UInt8] {
    let kept = Array(original.prefix(220))
    guard number > 0 else { return kept }
    let dot = kept.lastIndex(of: UInt8(ascii: ".")) ?? kept.count
    return kept[..<dot] + Array("-\(number)".utf8) + kept[dot...]
  }
}
