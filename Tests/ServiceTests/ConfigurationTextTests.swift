import Platform
import Service
import TOML
import TestSupport
import Testing

/// Documents that a TOML parser takes and Lookout must not take as they are.
@Suite(.timeLimit(.minutes(15))) struct ConfigurationTextTests {
  private func problems(_ text: String) -> [ConfigurationError.Problem] {
    do throws(ConfigurationError) {
      _ = try Configuration.parse(Array(text.utf8), file: "x.toml")
      return []
    } catch {
      return error.problems
    }
  }

  @Test func anEndlessDottedKeyIsRefusedAtItsLine() {
    let found = problems("[daemon]\n" + String(repeating: "a.", count: 200_000) + "a = 1\n")
    #expect(found.map(\.position) == [FilePosition(line: 2, column: 1)])
    #expect(found.first?.reason.contains("200 dots") == true)
  }

  @Test func anEndlessDottedKeyBeforeASyntaxErrorIsRefusedToo() {
    #expect(problems(String(repeating: "a.", count: 200_000) + "a = 1\n[").map(\.position.line) == [1])
  }

  @Test(arguments: ["[!]", "[daemon]\n[.x]", "[daemon]\n[[=]]", "[a.?]", "?=1", "[\u{7}", "[#", "a.=1"])
  func whatIsNoKeyIsRefusedWhereItStands(text: String) {
    let found = problems(text)
    #expect(found.map(\.position.line) == [text.contains("\n") ? 2 : 1], "\(text): \(found)")
  }

  /// Letters that toml++'s tables of blanks leave open; the case decides under UndefinedBehaviorSanitizer.
  @Test(arguments: ["\u{A1}", "é", "\u{499}", "\u{FC00}"]) func aLetterIsNoEscape(letter: String) {
    let found = problems("[daemon]\nstate_dir = \"\"\"\\\(letter)\"\"\"\n")
    #expect(found.map(\.position.line) == [2] && found.first?.reason.contains("escape") == true, "\(found)")
  }

  @Test func deepNestingIsRefused() {
    let found = problems(String(repeating: "a.", count: 150) + "a = 1\n")
    #expect(found.map(\.reason) == ["nested deeper than 64 levels"])
  }

  @Test func dotsInACommentAreFree() {
    #expect(
      !problems("# " + String(repeating: ".", count: 500) + "\n[daemon]\n").contains { $0.reason.contains("dots") })
  }

  @Test func aNULInATextIsRefusedAndCutsNothing() {
    let found = problems("[watches.inbox]\npath = \"/srv/in\\u0000box\"\n")
    #expect(found.map(\.position) == [FilePosition(line: 2, column: 8)])
    #expect(found.map(\.reason) == ["a text must not hold the character U+0000"])
  }

  @Test func aDateOfAPluginIsRefusedWhereItStands() {
    let found = problems("[sinks.table]\nplugin = \"csv\"\nsince = 2026-01-01\nratio = inf\n")
    #expect(found.contains { $0.position == FilePosition(line: 3, column: 9) && $0.reason.contains("in quotes") })
    #expect(found.contains { $0.position == FilePosition(line: 4, column: 9) && $0.reason.contains("finite") })
  }

  @Test func tablesComeInTheOrderOfTheFile() throws {
    let scratch = Scratch()
    Files.write([1], to: scratch("m"))
    var text = "[models.default]\nfile = \"\(scratch("m"))\"\n[sinks.s]\nplugin = \"csv\"\nz = 1\na = 2\n"
    for name in ["zeta", "alpha", "mid"] {
      text += "[watches.\(name)]\npath = \"\(scratch.folder(name))\"\nsinks = [\"s\"]\n"
    }
    let configuration = try Configuration.parse(Array(text.utf8), file: "x.toml")
    #expect(configuration.watches.map(\.name) == ["zeta", "alpha", "mid"])
    #expect(configuration.sinks.map(\.optionsJSON) == ["{\"z\":1,\"a\":2}"])
  }

  @Test func aFileBeyondAMebibyteIsRefusedAndNotCut() {
    let scratch = Scratch()
    Files.write([UInt8](repeating: 0x0A, count: 1 << 20) + Array("[daemon]\n".utf8), to: scratch("big.toml"))
    do throws(ConfigurationError) {
      _ = try Configuration.load(path: scratch("big.toml"))
      Issue.record("taken")
    } catch {
      #expect(error.problems.map(\.position.line) == [0])
    }
  }
}
