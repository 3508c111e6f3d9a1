internal import Glibc
internal import Hashing
internal import Platform
internal import TestSupport

/// Keeps, outside the daemon, what must come of each file that was handed over, and says what is amiss.
///
/// Nothing here is asked of the daemon: obligations come from the suite's own writers, findings from the sinks' files, the
/// quarantine and the folders.
package final class Oracle {
  /// What must come of a file.
  package enum Fate: Sendable {
    /// A result with the number, in every sink.
    case answered
    /// A failed record in every sink and the file in quarantine with a reason.
    case refused
  }

  package struct Obligation: Sendable {
    package let path: [UInt8]
    package let number: Int
    package let digest: String
    package var fate: Fate
    /// How many arrivals these bytes under this name are: 0...1 for a file that was overwritten before it was surely seen.
    package var times: ClosedRange<Int>
    /// Whether the source may be gone by the writer's own doing.
    package var mayBeGone = false

    package init(path: [UInt8], number: Int, digest: String, fate: Fate, times: ClosedRange<Int>) {
      self.path = path
      self.number = number
      self.digest = digest
      self.fate = fate
      self.times = times
    }
  }

  private struct Key: Hashable {
    let path: [UInt8]
    let digest: String
  }

  private var obligations: [Key: Obligation] = [:]
  /// Digest and tag of every model that may have answered.
  package var models: [String: String] = [:]
  package let sinks: [SinkOutput]
  /// Folders in which a source may end, and those of refused files.
  package var doneFolders: [String] = []
  package var quarantines: [String] = []
  /// What stands before a path of a record to make it one of this machine, for a daemon that ran in another root.
  package var folderPrefix: [UInt8] = []
  /// A sink may lack records that lie among the dead letters; their count is another's to check.
  package var sinksThatReject: Set<String> = []

  package init(sinks: [SinkOutput]) { self.sinks = sinks }

  package var count: Int { obligations.count }
  /// How many records every sink must hold at least.
  package var required: Int { obligations.values.reduce(0) { $0 + $1.times.lowerBound } }
  package var all: [Obligation] { Array(obligations.values) }

  /// Notes that a file was handed over durably.
  package func expect(
    _ file: NumberPicture.File, at path: [UInt8], fate: Fate = .answered, times: ClosedRange<Int> = 1...1
  ) {
    let key = Key(path: path, digest: file.digest)
    if var known = obligations[key] {
      known.times = known.times.lowerBound + times.lowerBound...known.times.upperBound + times.upperBound
      obligations[key] = known
    } else {
      obligations[key] = Obligation(path: path, number: file.number, digest: file.digest, fate: fate, times: times)
    }
  }

  /// Notes that a writer overwrote, moved or removed a file before its result was sure.
  package func excuse(_ digest: String, at path: [UInt8]) {
    let key = Key(path: path, digest: digest)
    guard var known = obligations[key] else { return }
    known.times = 0...known.times.upperBound
    known.mayBeGone = true
    obligations[key] = known
  }

  // MARK: Judging

  /// Everything that breaks the promise now; empty when every obligation is met.
  package func violations() -> [String] {
    var found: [String] = []
    var contents: [String: (sink: String, row: SinkRow)] = [:]
    var idsBySink: [String: Set<String>] = [:]
    for sink in sinks {
      let (rows, torn) = sink.read()
      found += torn.map { "torn: \($0)" }
      var ids: Set<String> = []
      var counts: [Key: Int] = [:]
      var refused: [[UInt8]: Int] = [:]
      for row in rows {
        if !ids.insert(row.id).inserted { found.append("doubled: \(sink.name) has \(row.id) twice") }
        if let other = contents[row.id], other.row != row {
          found.append("differs: \(row.id) is not the same in \(other.sink) and \(sink.name)")
        }
        contents[row.id] = (sink.name, row)
        if row.isOK {
          if let fault = fault(of: row, in: sink.name) { found.append(fault) }
          counts[Key(path: row.path, digest: row.sha256), default: 0] += 1
        } else {
          refused[row.path, default: 0] += 1
        }
      }
      idsBySink[sink.name] = ids
      found += amiss(in: sink.name, counts) + amiss(in: sink.name, refused: refused)
    }
    let strict = sinks.filter { !sinksThatReject.contains($0.name) }
    for sink in strict.dropFirst() {
      let difference = (idsBySink[sink.name] ?? []).symmetricDifference(idsBySink[strict[0].name] ?? [])
      if !difference.isEmpty {
        found.append("\(difference.count) ids are not in both \(strict[0].name) and \(sink.name)")
      }
    }
    return found + amissWithSources()
  }

  /// What is wrong with one answered row by itself.
  private func fault(of row: SinkRow, in sink: String) -> String? {
    let name = "\(sink): \(String(decoding: row.path, as: UTF8.self))"
    guard let reading = NumberModel.reading(of: row.labels) else { return "altered: \(name) has labels \(row.labels)" }
    guard let known = obligations[Key(path: row.path, digest: row.sha256)] else {
      return "invented: \(name) with digest \(row.sha256) and number \(reading.number) was never handed over"
    }
    if known.number != reading.number {
      return "altered: \(name) says \(reading.number), the picture says \(known.number)"
    }
    if known.fate == .refused { return "invented: \(name) cannot be answered, but was" }
    if models[row.modelDigest] != reading.tag {
      return "wrong model: \(name) names \(row.modelDigest), its labels are of \(reading.tag)"
    }
    return nil
  }

  /// Which obligations a sink does not meet.
  private func amiss(in sink: String, _ counts: [Key: Int]) -> [String] {
    var found: [String] = []
    for (key, obligation) in obligations where obligation.fate == .answered {
      let path = String(decoding: key.path, as: UTF8.self)
      let count = counts[key, default: 0]
      if count < obligation.times.lowerBound, !sinksThatReject.contains(sink) {
        found.append("lost: \(sink) has \(count) of \(obligation.times.lowerBound) for \(obligation.number) \(path)")
      } else if count > obligation.times.upperBound {
        found.append("doubled: \(sink) has \(count) for \(obligation.number) \(path)")
      }
    }
    return found
  }

  /// The same of the refusals, which are told by path: a file may be refused before it is hashed.
  private func amiss(in sink: String, refused counts: [[UInt8]: Int]) -> [String] {
    var due: [[UInt8]: ClosedRange<Int>] = [:]
    for (key, obligation) in obligations where obligation.fate == .refused {
      let others = due[key.path] ?? 0...0
      due[key.path] = (others.lowerBound + 1)...(others.upperBound + obligation.times.upperBound)
    }
    let doubled = counts.compactMap { path, count -> String? in
      let most = due[path]?.upperBound ?? 0
      guard count > most else { return nil }
      let name = String(decoding: path, as: UTF8.self)
      return "invented: \(sink) says \(count) times, not \(most), that \(name) is refused"
    }
    let missing = due.compactMap { path, times -> String? in
      guard counts[path, default: 0] < times.lowerBound, !sinksThatReject.contains(sink) else { return nil }
      return "lost: \(sink) has no record of the refused \(String(decoding: path, as: UTF8.self))"
    }
    return doubled + missing
  }

  /// Sources that are nowhere, and refused ones that do not lie in quarantine with a reason.
  private func amissWithSources() -> [String] {
    var found: [String] = []
    // First, and what they may become afterwards: a file that moves meanwhile is seen in one place at least.
    let absent =
      isDeletedWhenDone
      ? [:]
      : obligations.filter { key, obligation in
        !obligation.mayBeGone && Self.digest(of: folderPrefix + key.path) != key.digest
      }
    let quarantined = Set(quarantines.flatMap { Self.quarantined(in: $0) })
    let done = Set(
      doneFolders.flatMap { folder in Files.names(in: folder).compactMap { Self.digest(of: "\(folder)/\($0)") } })
    for (key, obligation) in obligations where obligation.fate == .refused && !quarantined.contains(key.digest) {
      found.append("lost: \(String(decoding: key.path, as: UTF8.self)) is not in quarantine with a reason")
    }
    let refused = Set(obligations.filter { $0.value.fate == .refused }.map(\.key.digest))
    for (key, obligation) in obligations
    where obligation.fate == .answered && quarantined.contains(key.digest) && !refused.contains(key.digest) {
      found.append("innocent: \(String(decoding: key.path, as: UTF8.self)) is answered and lies in quarantine")
    }
    for key in absent.keys where !quarantined.contains(key.digest) && !done.contains(key.digest) {
      found.append("lost: the bytes of \(String(decoding: key.path, as: UTF8.self)) are nowhere")
    }
    return found
  }

  /// Whether the watch removes answered sources: then the rows alone are their trace.
  package var isDeletedWhenDone = false

  private static func quarantined(in folder: String) -> [String] {
    let note = Array(".reason.txt".utf8)
    let names = Set(((try? Directory.list(Path(folder))) ?? []).map(\.name))
    return names.filter { names.contains($0 + note) }.compactMap { name in
      let path = Array("\(folder)/".utf8) + name
      let reason = Files.read(path + note) ?? []
      return reason.starts(with: Array("reason: ".utf8)) ? digest(of: path) : nil
    }
  }

  private static func digest(of path: String) -> String? { digest(of: Array(path.utf8)) }

  private static func digest(of path: [UInt8]) -> String? {
    Files.read(path).map { bytes in bytes.withUnsafeBytes { SHA256.hexDigest(of: $0) } }
  }
}
