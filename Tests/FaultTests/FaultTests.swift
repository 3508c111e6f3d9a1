import FaultSuite
import Glibc
import TestSupport
import Testing

/// The fault suite itself: its oracle must see what is wrong, and a small run of it must find nothing.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct FaultTests {
  @Test func everyNumberIsItsDigits() {
    for number in [0, 1, 15, 16, 4095, 70_000, NumberPicture.limit - 1] {
      #expect(NumberPicture.number(of: NumberPicture.digits(of: number)) == number)
    }
    var digits = NumberPicture.digits(of: 1234)
    digits[0] ^= 1
    #expect(NumberPicture.number(of: digits) == nil)
  }

  @Test func labelsOfTwoModelsAreNoReading() {
    let digits = NumberPicture.digits(of: 77)
    var labels = digits.enumerated().map { "a/\($0.offset):\($0.element)" }
    #expect(NumberModel.reading(of: labels.reversed())?.number == 77)
    labels[3] = "b" + labels[3].dropFirst()
    #expect(NumberModel.reading(of: labels) == nil)
  }

  /// A results file in which a row is lost, doubled, torn, altered, invented or by another model.
  @Test func theOracleSeesEveryBreach() throws {
    let scratch = Scratch()
    let inbox = scratch.folder("inbox")
    let files = (1...3).map { NumberPicture.varied($0) }
    let sound = files.map { line(of: $0, in: inbox) }
    func found(_ lines: [String]) -> [String] {
      let path = scratch("results.jsonl")
      Files.write(Array(lines.joined().utf8), to: path)
      let oracle = Oracle(sinks: [SinkOutput(name: "lines", form: .json, path: path)])
      oracle.models["digest"] = "a"
      for file in files {
        Files.write(file.bytes, to: "\(inbox)/\(file.number)\(file.suffix)")
        oracle.expect(file, at: Array("\(inbox)/\(file.number)\(file.suffix)".utf8))
      }
      return oracle.violations()
    }
    #expect(found(sound) == [])
    #expect(found(Array(sound.dropLast())).contains { $0.hasPrefix("lost") })
    #expect(found(sound + [sound[0]]).contains { $0.hasPrefix("doubled") })
    #expect(found(sound + [line(of: files[0], in: inbox, id: "another")]).contains { $0.hasPrefix("doubled") })
    #expect(found(sound.dropLast() + [String(sound[2].dropLast(20))]).contains { $0.hasPrefix("torn") })
    #expect(found(sound.dropLast() + [line(of: files[2], in: inbox, number: 4)]).contains { $0.hasPrefix("altered") })
    #expect(found(sound + [line(of: NumberPicture.varied(9), in: inbox)]).contains { $0.hasPrefix("invented") })
    #expect(
      found(sound.dropLast() + [line(of: files[2], in: inbox, tag: "b")]).contains { $0.hasPrefix("wrong model") })
    Files.write([], to: "\(inbox)/none")
    unlink("\(inbox)/2\(files[1].suffix)")
    let oracle = Oracle(sinks: [SinkOutput(name: "lines", form: .json, path: scratch("results.jsonl"))])
    oracle.expect(files[1], at: Array("\(inbox)/2\(files[1].suffix)".utf8))
    #expect(oracle.violations().contains { $0.contains("are nowhere") })
  }

  private func line(
    of file: NumberPicture.File, in inbox: String, id: String? = nil, number: Int? = nil, tag: String = "a"
  ) -> String {
    let labels = NumberPicture.digits(of: number ?? file.number).enumerated().map {
      #"{"rank":1,"index":1,"label":"\#(tag)/\#($0.offset):\#($0.element)","score":0.1}"#
    }
    return
      #"{"id":"\#(id ?? "\(file.number)")","time":"","watch":"inbox","path":"\#(inbox)/\#(file.number)\#(file.suffix)","#
      + #""sha256":"\#(file.digest)","status":"ok","error":null,"width":1,"height":1,"model":"default","#
      + #""model_digest":"digest","predictions":[\#(labels.joined(separator: ","))]}"# + "\n"
  }

  @Test func aSmallRunOfTheSuiteFindsNothing() {
    let scratch = Scratch()
    let process = Program.start(
      ["\(Bench.products)/lookout-faults", "--short"], environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
      log: scratch("log"))
    var status: Int32?
    while status == nil {
      usleep(50_000)
      status = Program.reap(process)
    }
    #expect(status == 0, "\(Files.text(scratch("log")))")
  }
}
