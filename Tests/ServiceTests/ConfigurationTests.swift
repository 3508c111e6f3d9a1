import Engine
import Glibc
import Service
import TOML
import TestSupport
import Testing

/// In the documents `‸` stands before each place where a problem is expected, `$` for the folder of the test.
@Suite(.timeLimit(.minutes(15)))
struct ConfigurationTests {
  private let scratch = Scratch()

  init() {
    scratch.folder("in")
    scratch.folder("in2")
    Files.write([1], to: scratch("model"))
  }

  private func problems(_ document: String) -> [ConfigurationError.Problem] {
    let text = document.replacing("‸", with: "").replacing("$", with: scratch.path)
    do throws(ConfigurationError) {
      _ = try Configuration.parse(Array(text.utf8), file: "lookout.toml")
      return []
    } catch {
      return error.problems
    }
  }

  /// The marked places, in order.
  private func marks(_ document: String) -> [FilePosition] {
    var places: [FilePosition] = []
    var line = 1
    var column = 1
    for character in document.replacing("$", with: scratch.path) {
      switch character {
      case "‸": places.append(FilePosition(line: line, column: column))
      case "\n": (line, column) = (line + 1, 1)
      default: column += 1
      }
    }
    return places
  }

  @Test func readsHowANetworkIsComputed() throws {
    func options(_ keys: String...) throws -> EngineOptions {
      let lines = (["file = \"$/model\""] + keys).joined(separator: "\n")
      let document = Self.document(["file = \"$/model\"": lines]).replacing("$", with: scratch.path)
      let model = try #require(
        Configuration.parse(Array(document.utf8), file: "lookout.toml").models.first { $0.name == "default" })
      let options = model.engineOptions(measured: ["x": .product])
      #expect(options.expectedBatch == model.maxBatch)
      return options
    }
    let exact = try options("engine = \"openblas\"", "exact = true")
    #expect(exact.products == .openBLAS && exact.isExact && exact.measured == ["x": .product])
    let forced = try options("algorithm = \"winograd2\"")
    #expect(forced.forcedAlgorithm == .winograd2 && forced.measured.isEmpty)
    for other in ["engine = \"openblas\"", "exact = true"] {
      for (key, value) in [("algorithm", "winograd4"), ("precision", "bf16")] {
        do throws(ConfigurationError) {
          let lines = "file = \"$/model\"\n\(other)\n\(key) = \"\(value)\""
          let text = Self.document(["file = \"$/model\"": lines]).replacing("$", with: scratch.path)
          _ = try Configuration.parse(Array(text.utf8), file: "lookout.toml")
          Issue.record("\(other) with \(key) was taken")
        } catch {
          #expect("\(error)".hasPrefix("lookout.toml:6:\(key.count + 4): [models.default] \(key)"), "\(error)")
          #expect("\(error)".contains(other), "\(error)")
        }
      }
    }
  }

  @Test(arguments: Precision.allCases) func takesEachPrecision(_ precision: Precision) throws {
    let line = "file = \"$/model\"\nprecision = \"\(precision.rawValue)\"\nalgorithm = \"winograd2\""
    let text = Self.document(["file = \"$/model\"": line]).replacing("$", with: scratch.path)
    let models = try Configuration.parse(Array(text.utf8), file: "lookout.toml").models
    #expect(models.first { $0.name == "default" }?.precision == precision)
  }

  /// A valid document in which single lines can be replaced.
  private static func document(_ replacements: [String: String] = [:], more: String = "") -> String {
    var lines = [
      "[daemon]", "workers = 2", "[models.default]", "file = \"$/model\"", "[sinks.csv]", "plugin = \"csv\"",
      "path = \"$/out.csv\"", "[watches.inbox]", "path = \"$/in\"", "sinks = [\"csv\"]", "settle_ms = 10",
      "after = \"keep\"", "on_failure = \"quarantine:$/bad\"",
    ]
    for (old, new) in replacements {
      guard let index = lines.firstIndex(of: old) else { preconditionFailure("no line \(old)") }
      lines[index] = new
    }
    return lines.joined(separator: "\n") + "\n" + more
  }

  @Test func readsAValidFile() throws {
    let text = Self.document().replacing("$", with: scratch.path)
    let configuration = try Configuration.parse(Array(text.utf8), file: "lookout.toml")
    #expect(configuration.daemon.workers == 2)
    #expect(configuration.models.map(\.name) == ["default"])
    #expect(configuration.sinks.map(\.plugin) == ["csv"])
    #expect(configuration.sinks.first?.optionsJSON == "{\"path\":\"\(scratch.path)/out.csv\"}")
    let watch = try #require(configuration.watches.first)
    #expect(watch.path == scratch("in"))
    #expect(watch.settleMilliseconds == 10)
    #expect(watch.after == .keep)
    #expect(watch.onFailure == scratch("bad"))
    Files.write(Array(text.utf8), to: scratch("lookout.toml"))
    #expect(try Configuration.load(path: scratch("lookout.toml")) == configuration)
  }

  @Test(arguments: [
    (["workers = 2": "‸speed = 2"], "[daemon] has no key speed; there are: "),
    (["workers = 2": "workers = ‸\"two\""], "[daemon] workers must be a whole number from 1 to 256"),
    (["workers = 2": "workers = ‸0"], "[daemon] workers must be a whole number from 1 to 256"),
    (["workers = 2": "workers = ‸257"], "[daemon] workers must be a whole number from 1 to 256"),
    (["workers = 2": "listen = [‸\"x\"]"], "[daemon] listen: \"x\" is no address; allowed are \"unix:/"),
    (["workers = 2": "listen = [\"[::1]:1\", ‸\"0.0.0.0:80\"]"], "[daemon] listen: \"0.0.0.0:80\" is no address of"),
    (["workers = 2": "listen = [\"[::1]:1\", ‸\"[::1]:1\"]"], "[daemon] listen names [::1]:1 twice"),
    (["workers = 2": "listen = ‸\"[::1]:1\""], "[daemon] listen must be a list of strings"),
    (["workers = 2": "listen = [‸1]"], "[daemon] listen must be a list of strings"),
    (["settle_ms = 10": "recursive = ‸1"], "[watches.inbox] recursive must be true or false"),
    (["settle_ms = 10": "mode = ‸\"never\""], "[watches.inbox] mode must be one of auto, events, poll, not \"never\""),
    (["settle_ms = 10": "model = ‸\"other\""], "[watches.inbox] model \"other\" is not there; there are: default"),
    (
      ["settle_ms = 10": "order = ‸\"random\""],
      "[watches.inbox] order must be one of oldest-first, newest-first, as-found, not \"random\""
    ),
    (["workers = 2": "memory_limit = ‸\"much\""], "[daemon] memory_limit must be a size such as \"800M\" or \"2G\""),
    (["workers = 2": "memory_limit = ‸800"], "[daemon] memory_limit must be a size"),
    (["workers = 2": "memory_limit = ‸\"99999999999999999G\""], "[daemon] memory_limit must be a size"),
    (["workers = 2": "retention = ‸\"0d\""], "[daemon] retention must be a time such as \"30d\""),
    (["workers = 2": "state_dir = ‸\"$/in/state\""], "[daemon] state_dir "),
    (["settle_ms = 10": "include = ‸\"*.jpg\""], "[watches.inbox] include must be a list of strings"),
    (["sinks = [\"csv\"]": "sinks = ‸[\"sql\"]"], "[watches.inbox] sink \"sql\" is not there; there are: csv"),
    (["sinks = [\"csv\"]": "sinks = ‸[]"], "[watches.inbox] sinks must name at least one of: csv"),
    (["path = \"$/in\"": "path = ‸\"$/gone\""], "[watches.inbox] path "),
    (["path = \"$/in\"": "path = ‸\"in\""], "[watches.inbox] path must be absolute, not \"in\""),
    (["after = \"keep\"": "after = ‸\"burn\""], "[watches.inbox] after must be "),
    (["after = \"keep\"": "after = ‸\"move:$/in/done\""], "[watches.inbox] after moves to "),
    (["on_failure = \"quarantine:$/bad\"": "on_failure = ‸\"drop\""], "[watches.inbox] on_failure must be "),
    (
      ["on_failure = \"quarantine:$/bad\"": "on_failure = ‸\"quarantine:$/in/bad\""],
      "[watches.inbox] on_failure "
    ),
    (["file = \"$/model\"": "file = ‸\"$/gone\""], "[models.default] file "),
  ])
  func tellsWhereAndWhat(_ replacements: [String: String], _ reason: String) {
    let document = Self.document(replacements)
    let found = problems(document)
    #expect(found.map(\.position) == marks(document), "\(found)")
    #expect(found.first?.reason.hasPrefix(reason) == true, "\(found)")
  }

  @Test(arguments: [
    ("‸[extra]\na = 1\n", "unknown table extra; there are: "),
    ("[sinks.two]\nplugin = \"json\"\npath = ‸\"$/out.csv\"\n", "[sinks.two] writes to "),
    ("[sinks.two]\nplugin = \"json\"\npath = ‸\"$/in/out.json\"\n", "[sinks.two] writes to "),
    ("[sinks.two]\nplugin = \"json\"\npath = ‸\"$/link/out.json\"\n", "[sinks.two] writes to "),
    ("[sinks.two]\nplugin = \"json\"\npath = ‸\"$/in2/../in/new/out.json\"\n", "[sinks.two] writes to "),
    ("[sinks.two]\nplugin = \"json\"\npath = ‸\"$/away/../out.csv\"\n", "[sinks.two] writes to "),
    ("[watches.two]\npath = ‸\"$/link\"\nsinks = [\"csv\"]\n", "[watches.two] path "),
    (
      "[watches.two]\npath = \"$/in2\"\nsinks = [\"csv\"]\nafter = ‸\"move:$/link/done\"\n",
      "[watches.two] after moves to "
    ),
    (
      "[watches.two]\npath = \"$/in2/a/b\"\nsinks = [\"csv\"]\nafter = ‸\"move:$/in2/a\"\n",
      "[watches.two] after moves to "
    ),
    ("‸[sinks.two]\npath = \"$/out.json\"\n", "[sinks.two] lacks plugin, a string"),
    ("[watches.two]\npath = ‸\"$/in/sub/\"\nsinks = [\"csv\"]\n", "[watches.two] path "),
    ("[watches.two]\npath = ‸\"$/in\"\nsinks = [\"csv\"]\n", "[watches.two] path "),
  ])
  func checksTheTablesAgainstEachOther(_ more: String, _ reason: String) {
    for folder in ["in/sub", "away", "in2/a", "in2/a/b"] { scratch.folder(folder) }
    symlink(scratch("in"), scratch("link"))
    let document = Self.document(more: more)
    let found = problems(document)
    #expect(found.map(\.position.line) == marks(document).map(\.line), "\(found)")
    #expect(found.first?.reason.hasPrefix(reason) == true, "\(found)")
  }

  @Test func readsSizesTimesAndOrder() throws {
    let text = Self.document([
      "workers = 2": "memory_limit = \"2G\"\nretention = \"12h\"", "settle_ms = 10": "order = \"as-found\"",
    ])
    let configuration = try Configuration.parse(
      Array(text.replacing("$", with: scratch.path).utf8), file: "lookout.toml")
    #expect(configuration.daemon.memoryLimitBytes == 2 << 30)
    #expect(configuration.daemon.retentionSeconds == 43_200)
    #expect(configuration.watches.first?.order == .asFound)
    #expect(configuration.places["daemon.memory_limit"] == FilePosition(line: 2, column: 16))
  }

  @Test func aNeighbourIsNoOverlap() {
    #expect(problems(Self.document(more: "[watches.two]\npath = \"$/in2\"\nsinks = [\"csv\"]\n")).isEmpty)
  }

  @Test func aSyntaxErrorIsToldWithItsPlace() {
    let found = problems("[daemon]\nworkers = = 2\n")
    #expect(found.count == 1)
    #expect(found.first?.position == FilePosition(line: 2, column: 11))
  }

  @Test func tellsEverythingAtOnceInTheOrderOfTheFile() {
    let document = Self.document([
      "workers = 2": "workers = ‸0", "file = \"$/model\"": "file = ‸\"$/gone\"", "settle_ms = 10": "settle_ms = ‸0",
      "after = \"keep\"": "after = ‸7", "path = \"$/in\"": "path = ‸\"$/gone\"",
      "sinks = [\"csv\"]": "sinks = ‸[\"x\"]",
    ])
    let found = problems(document)
    #expect(found.map(\.position) == marks(document), "\(found)")
  }

  @Test func anEmptyFileLacksItsTables() {
    #expect(problems("").map(\.reason).count == 3)
  }

  @Test func aMissingFileIsToldAsOne() {
    let error = #expect(throws: ConfigurationError.self) { try Configuration.load(path: scratch("none.toml")) }
    #expect(error?.description.contains("cannot be read: ") == true)
  }
}
