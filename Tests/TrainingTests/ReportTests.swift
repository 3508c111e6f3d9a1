import Glibc
import Imaging
import ModelZoo
import Platform
import TestSupport
import Testing
import Training

/// Metrics, recipes and what is written for people and for TensorBoard.
struct ReportTests {
  private let scratch = Scratch()

  @Test func metricsAreScikitLearns() throws {
    let vector = try #require(OptimisationTests.vectors["metrics"])
    let metrics = ClassificationMetrics(
      probabilities: try #require(vector["probabilities"]).floats, labels: try #require(vector["labels"]).integers,
      classes: ["a", "b", "c", "d", "e"])
    expectClose([metrics.accuracy], [try #require(vector["accuracy"]).double], relative: 1e-12, "accuracy")
    #expect(metrics.confusion == (try #require(vector["confusion"]).elements.map(\.integers)))
    expectClose(
      metrics.perClass.map(\.precision), try #require(vector["precision"]).doubles, relative: 1e-9, "precision")
    expectClose(metrics.perClass.map(\.recall), try #require(vector["recall"]).doubles, relative: 1e-9, "recall")
    expectClose(metrics.perClass.map(\.f1), try #require(vector["f1"]).doubles, relative: 1e-9, "F1")
    for (name, row) in [("macro", metrics.macro), ("micro", metrics.micro)] {
      expectClose(
        [row.precision, row.recall, row.f1], try #require(vector[name]).doubles, relative: 1e-9, name)
    }
    expectClose([metrics.logLoss], [try #require(vector["log_loss"]).double], relative: 1e-5, "log loss")
    #expect(metrics.calibration.reduce(0) { $0 + $1.count } == 60)
  }

  /// The list of keys is what the reader asks for: each is an option, and no other.
  @Test func everyKeyIsAnOption() throws {
    for (table, keys) in Recipe.keys {
      let problems = problems("[\(table)]\nno_such_key = 1\n")
      let problem = try #require(problems.first { $0.contains("no_such_key") })
      let listed = problem.split(separator: ": ").last.map { $0.split(separator: ", ").map(String.init) } ?? []
      #expect(Set(listed) == Set(keys), "\(table)")
    }
  }

  private func problems(_ text: String, flags: [(name: String, value: String)] = []) -> [String] {
    do {
      _ = try Recipe.read(Array(text.utf8), file: "r.toml", flags: flags)
      return []
    } catch {
      return error.problems
    }
  }

  @Test func recipesSayWhereTheyAreWrong() {
    let base = "[data]\ntrain = \"x\"\n[model]\narchitecture = \"lenet5\"\n[output]\nfolder = \"y\"\n"
    #expect(problems(base).isEmpty)
    #expect(
      problems(base + "[train]\nepochs = 0\n") == [
        "r.toml:8:10: [train] epochs must be a whole number from 1 to 1000000"
      ])
    #expect(
      problems(base + "[augment]\ncrop_scale = [1, 0.5]\n").first?.hasPrefix("r.toml:8:14: [augment] crop_scale")
        == true)
    // What a loss has no use for is refused rather than passed over.
    #expect(
      problems(base + "[train]\nloss = \"binary_cross_entropy\"\nlabel_smoothing = 0.1\n").first?
        .hasPrefix("r.toml:9:19: [train] label_smoothing") == true)
    #expect(
      problems(base + "[train]\nloss = \"mean_squared_error\"\nclass_weights = true\n").first?
        .contains("class_weights") == true)
    #expect(problems("[data\n").first?.hasPrefix("r.toml:1:") == true)
    #expect(problems("", flags: [("epochs", "3")]).count == 3)
    let flags = [("train.epochs", "7"), ("optimizer.kind", "adamw"), ("horizontal-flip", "0.5")]
    let recipe = try? Recipe.read(Array(base.utf8), file: "r.toml", flags: flags)
    #expect(recipe?.train.epochs == 7 && recipe?.optimizer.kind == .adamW && recipe?.augment.horizontalFlip == 0.5)
    #expect(problems(base, flags: [("kind", "adam")]).first?.contains("--optimizer.kind or --schedule.kind") == true)
    #expect(problems(base, flags: [("epochs", "many")]) == ["[train] epochs must be a whole number from 1 to 1000000"])
  }

  /// What is a number to TOML is text where a key wants text.
  @Test func textIsTakenAsItStands() throws {
    let base = "[data]\ntrain = \"x\"\n[model]\narchitecture = \"lenet5\"\n[output]\nfolder = \"y\"\n"
    for text in ["2024", "1e3", "true", "2024-11-29", "[a]"] {
      let flags = [("folder", text), ("data.train", text), ("name", text)]
      let recipe = try Recipe.read(Array(base.utf8), file: "r.toml", flags: flags)
      #expect(recipe.output.folder == text && recipe.data.train == text && recipe.output.name == text)
    }
    let quoted = try Recipe.read(Array(base.utf8), file: "r.toml", flags: [("folder", "\"a b\"")])
    #expect(quoted.output.folder == "a b")
    for (table, keys) in Recipe.keys {
      for key in keys {
        let problems = problems(base, flags: [("\(table).\(key)", "2024")])
        #expect(problems.allSatisfy { !$0.contains("must be a string") }, "\(problems)")
      }
    }
  }

  @Test func aClassIsNamedOnce() {
    let base = "[model]\narchitecture = \"lenet5\"\n[output]\nfolder = \"y\"\n[data]\ntrain = \"x\"\n"
    #expect(
      problems(base + "classes = [\"a\", \"b\", \"a\"]\n") == ["r.toml:7:22: [data] classes names \"a\" twice"])
  }

  /// The recipes that come with Lookout can be read.
  @Test func shippedRecipesAreSound() throws {
    let root = #filePath.dropLast("Tests/TrainingTests/ReportTests.swift".count)
    let folder = "\(root)config/train"
    let names = Files.names(in: folder).filter { $0.hasSuffix(".toml") }
    #expect(!names.isEmpty)
    for name in names {
      let text = try #require(Files.read("\(folder)/\(name)"))
      _ = try Recipe.read(text, file: name, flags: [("folder", "out"), ("data.train", "pictures")])
    }
  }

  @Test func namesArePickedByPatterns() {
    let patterns = NamePatterns(["*", "!fc?.*", "fc3.bias"])
    #expect(
      ["conv1.weight", "fc3.weight", "fc3.bias", "fc10.bias"].map { patterns.contains($0) } == [
        true, false, true, true,
      ])
  }

  @Test func framesAreTensorFlows() throws {
    #expect(CRC32C.checksum(Array("123456789".utf8)) == 0xE306_9283)
    let log = try TensorBoardLog(folder: Path(scratch("board")))
    log.add(scalar: 0.5, tag: "loss", step: 3)
    try log.flush()
    let name = try #require(Files.names(in: scratch("board")).first)
    let bytes = try #require(Files.read(scratch("board/\(name)")))
    var position = 0
    var frames = 0
    while position < bytes.count {
      let head = Array(bytes[position..<(position + 8)])
      let length = head.reversed().reduce(0) { $0 << 8 | Int($1) }
      #expect(Array(bytes[(position + 8)..<(position + 12)]) == CRC32C.masked(head))
      let body = Array(bytes[(position + 12)..<(position + 12 + length)])
      #expect(Array(bytes[(position + 12 + length)..<(position + 16 + length)]) == CRC32C.masked(body))
      position += 16 + length
      frames += 1
    }
    #expect(frames == 2 && position == bytes.count)
  }

  @Test func pngComesBackAsItWas() throws {
    let samples = Counted.bytes(3, 13 * 9 * 3)
    let png = try PNGWriter.encode(width: 13, height: 9, channels: 3, samples: samples)
    let decoder = PixelDecoder()
    let found = try png.withUnsafeBytes { bytes in
      let grid = try decoder.decode(bytes, header: try ImageHeader(bytes))
      return Picture(grid)
    }
    #expect(found.samples == samples)
  }

  @Test func base64IsTheRFCs() {
    let pairs = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
    for (plain, coded) in pairs { #expect(Base64.encode(Array(plain.utf8)) == coded) }
  }

  /// The real TensorBoard reads what is written.
  @Test(.enabled(if: PeerPython.has("tensorboard")))
  func tensorBoardReadsIt() throws {
    let log = try TensorBoardLog(folder: Path(scratch("board")))
    log.add(scalar: 0.5, tag: "loss", step: 3)
    [1, 2, 3].withUnsafeBufferPointer { log.add(histogram: $0, tag: "weights", step: 3) }
    let png = try PNGWriter.encode(width: 2, height: 1, channels: 1, samples: [0, 255])
    log.add(image: png, width: 2, height: 1, tag: "samples", step: 0)
    log.add(graph: try #require(Architecture.named("lenet5")).graph(classes: 10))
    try log.flush()
    let script = """
      import sys
      from tensorboard.backend.event_processing.event_accumulator import EventAccumulator as E
      e = E(sys.argv[1]); e.Reload(); s = e.Scalars('loss')[0]; h = e.Histograms('weights')[0].histogram_value
      assert (s.step, s.value, h.num, h.sum, e.Images('samples')[0].width) == (3, 0.5, 3, 6, 2)
      assert any(n.name == 'conv1' and list(n.input) == ['input'] for n in e.Graph().node)
      """
    #expect(PeerPython.run(script, scratch("board")) == 0)
  }
}
