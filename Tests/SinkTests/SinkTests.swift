import Glibc
import SinkProtocol
import Testing

/// Where the built programs and plugins lie: beside the test bundle.
private let products: String = {
  let bundle = CommandLine.arguments[0]
  return String(bundle[..<(bundle.lastIndex(of: "/") ?? bundle.startIndex)])
}()

private func makeFolder() -> String {
  var template = Array("/tmp/lookout-sinks-XXXXXX".utf8CString)
  mkdtemp(&template)
  return template.withUnsafeBytes { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}

private func contents(_ path: String) -> [UInt8] {
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

private func record(_ number: Int) -> ResultRecord {
  ResultRecord(
    id: "id-\(number)-", timeNanoseconds: 1_700_000_000_123_456_789, watch: "inbox",
    path: Array("/in/a,\"\n".utf8) + [0xFF], sha256: "ab", status: .ok, width: 3, height: 4, model: "default",
    modelDigest: "cd", predictions: [.init(rank: 1, index: 7, label: "=cat", score: 0.25)])
}

private func entries(_ range: Range<Int>) -> [OutboxEntry] {
  range.map { OutboxEntry(sequence: UInt64($0), record: record($0).encoded()) }
}

private func start(_ plugin: String, _ config: String, at position: String = "") throws(SinkProcessError) -> SinkProcess
{
  try SinkProcess(
    hostPath: "\(products)/lookout-sink-host", pluginPath: "\(products)/liblookout-sink-\(plugin).so", name: plugin,
    config: config, resumePosition: position)
}

private func occurrences(of word: String, in bytes: [UInt8]) -> Int {
  let word = Array(word.utf8)
  guard bytes.count >= word.count else { return 0 }
  return (0...(bytes.count - word.count)).count { bytes[$0...].starts(with: word) }
}

@Suite(.timeLimit(.minutes(1)))
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

@Suite(.timeLimit(.minutes(1)))
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

@Suite(.serialized, .timeLimit(.minutes(1)))
struct SinkConformanceTests {
  static let plugins = ["csv", "json", "sqlite", "example-c"]

  @Test(arguments: plugins) func refusesAnUnknownKeyByName(plugin: String) {
    do throws(SinkProcessError) {
      _ = try start(plugin, "{\"colour\":\"red\"}")
      Issue.record("opened")
    } catch {
      guard case .fatal("open", let reason) = error else {
        Issue.record("\(error)")
        return
      }
      #expect(reason.contains("colour"))
    }
  }

  @Test(arguments: plugins) func refusesADevice(plugin: String) {
    #expect(throws: SinkProcessError.self) { try start(plugin, "{\"path\":\"/dev/full\"}") }
  }

  @Test(arguments: plugins) func takesEmptyAndLargeBatches(plugin: String) throws {
    let config = "{\"path\":\"\(makeFolder())/out\"}"
    let sink = try start(plugin, config)
    let empty = try sink.flush()
    #expect(try sink.write([]) == [])
    #expect(try sink.flush() == empty)
    #expect(try sink.write(entries(0..<5000)) == [Verdict](repeating: .accepted, count: 5000))
    #expect(try sink.flush() != empty)
    #expect(try sink.write([OutboxEntry(sequence: 9000, record: [9])]) != [.accepted])
    sink.close()
  }

  @Test(arguments: ["csv", "json", "example-c"]) func holdsEachRecordOnceAfterAKill(plugin: String) throws {
    let path = "\(makeFolder())/out"
    let config = "{\"path\":\"\(path)\"}"
    let first = try start(plugin, config)
    _ = try first.flush()
    _ = try first.write(entries(0..<10))
    let position = try first.flush()
    _ = try first.write(entries(10..<20))
    first.kill()
    let torn = open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
    _ = write(torn, "torn", 4)
    close(torn)
    let second = try start(plugin, config, at: position)
    _ = try second.write(entries(10..<25))
    _ = try second.flush()
    second.close()
    let bytes = contents(path)
    for number in 0..<25 { #expect(occurrences(of: "id-\(number)-", in: bytes) == 1) }
    #expect(occurrences(of: "torn", in: bytes) == 0)
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
