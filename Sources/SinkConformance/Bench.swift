internal import Glibc
internal import SinkProtocol

/// What one check works with: a folder of its own, records, and the plugin opened as the daemon opens it.
final class Bench: Sendable {
  let folder: String
  private let suite: SinkConformance

  init(suite: SinkConformance) {
    self.suite = suite
    var template = Array("/tmp/lookout-conformance-XXXXXX".utf8CString)
    mkdtemp(&template)
    folder = template.withUnsafeBytes { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  deinit { Self.remove(folder) }

  var configuration: String { suite.configuration.replacing("{folder}", with: folder) }

  /// Opens the plugin.
  ///
  /// - Throws: a failed check unless it opens.
  func open(at position: String = "", _ configuration: String? = nil) throws(SinkConformance.Fault) -> SinkProcess {
    do throws(SinkProcessError) {
      return try tryOpen(at: position, configuration ?? self.configuration)
    } catch {
      throw .failed("it does not open: \(error)")
    }
  }

  func tryOpen(at position: String = "", _ configuration: String) throws(SinkProcessError) -> SinkProcess {
    try SinkProcess(
      hostPath: suite.hostPath, pluginPath: suite.pluginPath, name: "conformance", config: configuration,
      resumePosition: position)
  }

  /// Writes records until each is accepted; a plugin may ask for some time.
  func write(_ entries: [OutboxEntry], to sink: SinkProcess) throws(SinkConformance.Fault) {
    var open = entries
    for _ in 0..<50 {
      let verdicts = try call { () throws(SinkProcessError) in try sink.write(open) }
      var again: [OutboxEntry] = []
      for (entry, verdict) in zip(open, verdicts) {
        switch verdict {
        case .accepted: break
        case .retry: again.append(entry)
        case .reject(let reason), .fatal(let reason):
          throw .failed("record \(entry.sequence) is refused: \(reason)")
        }
      }
      if again.isEmpty { return }
      open = again
      usleep(100_000)
    }
    throw .failed("it still asks to come again after 5 s")
  }

  func flush(_ sink: SinkProcess) throws(SinkConformance.Fault) -> String {
    try call { () throws(SinkProcessError) in try sink.flush() }
  }

  /// Makes every error of the process a failed check.
  func call<T>(_ body: () throws(SinkProcessError) -> T) throws(SinkConformance.Fault) -> T {
    do throws(SinkProcessError) { return try body() } catch { throw .failed("\(error)") }
  }

  // MARK: Records

  static func record(_ number: Int) -> ResultRecord {
    ResultRecord(
      id: id(number), timeNanoseconds: 1_700_000_000_123_456_789, watch: "inbox", path: Array("/in/\(number).jpg".utf8),
      sha256: "ab", status: .ok, width: 3, height: 4, model: "default", modelDigest: "cd",
      predictions: [.init(rank: 1, index: 7, label: "cat", score: 0.25)])
  }

  static func id(_ number: Int) -> String { "id-\(number)-" }

  static func entry(_ number: Int, _ record: ResultRecord) -> OutboxEntry {
    OutboxEntry(sequence: UInt64(number), record: record.encoded())
  }

  static func entries(_ range: Range<Int>) -> [OutboxEntry] { range.map { entry($0, record($0)) } }

  // MARK: Files

  /// All bytes of all files in the check's folder.
  func output() -> [UInt8] {
    var bytes: [UInt8] = []
    for path in Self.files(in: folder) { bytes += Self.contents(path) }
    return bytes
  }

  /// Adds bytes to the end of each file, as a torn write leaves them.
  func tear(_ text: String) {
    for path in Self.files(in: folder) {
      let file = Glibc.open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
      guard file >= 0 else { continue }
      _ = Array(text.utf8).withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
      close(file)
    }
  }

  static func occurrences(of word: String, in bytes: [UInt8]) -> Int {
    let word = Array(word.utf8)
    guard bytes.count >= word.count else { return 0 }
    return (0...(bytes.count - word.count)).count { bytes[$0] == word[0] && bytes[$0...].starts(with: word) }
  }

  private static func contents(_ path: String) -> [UInt8] {
    let file = Glibc.open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return [] }
    defer { close(file) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = read(file, &block, block.count)
      guard count > 0 else { return bytes }
      bytes += block[..<count]
    }
  }

  private static func files(in folder: String) -> [String] {
    names(in: folder).flatMap { name -> [String] in
      let path = "\(folder)/\(name)"
      var status = stat()
      guard lstat(path, &status) == 0 else { return [] }
      switch status.st_mode & S_IFMT {
      case S_IFREG: return [path]
      case S_IFDIR: return files(in: path)
      default: return []
      }
    }
  }

  private static func names(in folder: String) -> [String] {
    guard let stream = opendir(folder) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  private static func remove(_ path: String) {
    for name in names(in: path) {
      let child = "\(path)/\(name)"
      if unlink(child) != 0 { remove(child) }
    }
    rmdir(path)
  }
}
