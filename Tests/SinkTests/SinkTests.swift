import Glibc
import SinkConformance
import SinkProtocol
import Testing

/// Where the built programs and plugins lie: beside the test bundle.
let products: String = {
  let bundle = CommandLine.arguments[0]
  return String(bundle[..<(bundle.lastIndex(of: "/") ?? bundle.startIndex)])
}()

func makeFolder() -> String {
  var template = Array("/tmp/lookout-sinks-XXXXXX".utf8CString)
  mkdtemp(&template)
  return template.withUnsafeBytes { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}

func contents(_ path: String) -> [UInt8] {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { return [] }
  defer { close(descriptor) }
  var bytes: [UInt8] = []
  var block = [UInt8](repeating: 0, count: 65536)
  while true {
    let count = read(descriptor, &block, block.count)
    guard count > 0 else { return bytes }
    bytes += block[..<count]
  }
}

func record(_ number: Int) -> ResultRecord {
  ResultRecord(
    id: "id-\(number)-", timeNanoseconds: 1_700_000_000_123_456_789, watch: "inbox",
    path: Array("/in/a,\"\n".utf8) + [0xFF], sha256: "ab", status: .ok, width: 3, height: 4, model: "default",
    modelDigest: "cd", predictions: [.init(rank: 1, index: 7, label: "=cat", score: 0.25)])
}

func entries(_ range: Range<Int>) -> [OutboxEntry] {
  range.map { OutboxEntry(sequence: UInt64($0), record: record($0).encoded()) }
}

func start(
  _ plugin: String, _ config: String, at position: String = "",
  deadlines: SinkProcess.Deadlines = SinkProcess.Deadlines()
) throws(SinkProcessError) -> SinkProcess {
  try SinkProcess(
    hostPath: "\(products)/lookout-sink-host", pluginPath: "\(products)/liblookout-sink-\(plugin).so", name: plugin,
    config: config, resumePosition: position, deadlines: deadlines)
}

func occurrences(of word: String, in bytes: [UInt8]) -> Int {
  let word = Array(word.utf8)
  guard bytes.count >= word.count else { return 0 }
  return (0...(bytes.count - word.count)).count { bytes[$0...].starts(with: word) }
}

/// The names that a shared object defines for others, as `nm` of the binary utilities lists them.
func exportedSymbols(of path: String) -> [String] {
  guard let listing = popen("nm -D --defined-only --extern-only '\(path)'", "re") else { return [] }
  defer { pclose(listing) }
  var names: [String] = []
  var line = [CChar](repeating: 0, count: 4096)
  while fgets(&line, Int32(line.count), listing) != nil {
    let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    if let name = text.split(whereSeparator: \.isWhitespace).last { names.append(String(name)) }
  }
  return names
}

@Suite(.timeLimit(.minutes(15)))
struct ResultRecordTests {
  @Test func comesBackAsItWas() throws {
    #expect(try ResultRecord(decoding: record(1).encoded()) == record(1))
  }

  @Test func refusesEveryCutAndSurvivesEveryFlip() {
    let bytes = record(1).encoded()
    for length in bytes.indices {
      #expect(throws: WireError.self) { try ResultRecord(decoding: Array(bytes[..<length])) }
    }
    for place in bytes.indices {
      for bit in 0..<8 {
        var damaged = bytes
        damaged[place] ^= 1 << bit
        _ = try? ResultRecord(decoding: damaged)
      }
    }
  }
}

@Suite(.timeLimit(.minutes(15)))
struct FrameTests {
  static let frames: [Frame] = [
    .hello(plugin: "/p", config: "{}", position: "1:2"), .write(entries(0..<3)), .flush, .close,
    .opened(name: "csv", version: "1"), .failed(.fatal("x")), .verdicts([.accepted, .retry("a"), .reject("b")]),
    .position("1:2"), .closed, .log(.warning, "hm"),
  ]

  @Test(arguments: frames) func comesBackAndRefusesCuts(frame: Frame) throws {
    let body = Array(frame.encoded().dropFirst(4))
    #expect(try Frame(decoding: body) == frame)
    for length in body.indices {
      #expect(throws: WireError.self) { try Frame(decoding: Array(body[..<length])) }
    }
    for place in body.indices {
      var damaged = body
      damaged[place] ^= 0xFF
      _ = try? Frame(decoding: damaged)
    }
  }
}

/// A check of the suite on one of our own plugins.
struct SuiteCase: Sendable, CustomTestStringConvertible {
  let plugin: String
  let check: SinkConformance.Check

  var testDescription: String { "\(plugin) \(check.name)" }

  static let all = ["csv", "json", "sqlite", "example-c", "template-swift"].flatMap { plugin in
    SinkConformance.checks.map { SuiteCase(plugin: plugin, check: $0) }
  }
}

/// What `lookout plugin test` runs, on the plugins of this package.
@Suite(.serialized, .timeLimit(.minutes(20)))
struct SinkConformanceTests {
  @Test(arguments: SuiteCase.all) func ourSinksPass(suiteCase: SuiteCase) {
    let suite = SinkConformance(
      hostPath: "\(products)/lookout-sink-host", pluginPath: "\(products)/liblookout-sink-\(suiteCase.plugin).so")
    switch suite.run(suiteCase.check) {
    case .passed: break
    case .failed(let reason): Issue.record("\(suiteCase.check.demand) \(reason)")
    // Only the binary file of SQLite cannot be counted in; it has tests of its own.
    case .skipped(let reason): #expect(suiteCase.plugin == "sqlite", "\(reason)")
    }
  }

  @Test func aFailureIsSeen() {
    let suite = SinkConformance(
      hostPath: "\(products)/lookout-sink-host", pluginPath: "\(products)/liblookout-sink-csv.so",
      configuration: "{\"path\":\"{folder}/no/such/folder/out\"}")
    for check in SinkConformance.checks where check.name == "opens" {
      guard case .failed = suite.run(check) else {
        Issue.record("a sink that does not open passes")
        continue
      }
    }
  }

  /// A second symbol could clash with one of the host's or of a library, unseen until a call goes astray.
  @Test(arguments: ["csv", "json", "sqlite", "example-c"]) func exportsItsOneSymbolAndNoOther(plugin: String) {
    #expect(exportedSymbols(of: "\(products)/liblookout-sink-\(plugin).so") == ["lookout_sink_v1"])
  }

  @Test func aRecordThatIsNoneIsNotTaken() throws {
    let sink = try start("csv", "{\"path\":\"\(makeFolder())/out\"}")
    #expect(try sink.write([OutboxEntry(sequence: 9000, record: [9])]) != [.accepted])
    sink.close()
  }

  @Test func namesTheDeathOfAProcess() throws {
    let sink = try start("csv", "{\"path\":\"\(makeFolder())/out\"}")
    kill(sink.processID, SIGKILL)
    do throws(SinkProcessError) {
      _ = try sink.flush()
      Issue.record("flushed")
    } catch {
      #expect(error.description.contains("signal 9"))
    }
  }
}
