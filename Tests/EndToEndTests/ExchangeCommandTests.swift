import Glibc
import TestSupport
import Testing

/// Other programs' models on the command line: `import`, `export`, `verify`, `evaluate`.
@Suite(.serialized, .timeLimit(.minutes(20)))
struct ExchangeCommandTests {
  private let scratch = Scratch()
  private static let fixtures = "\(DaemonProcess.repository)/Tests/ModelZooTests/Fixtures/exchange"

  private func lookout(_ arguments: String...) -> Ran { lookout(arguments) }

  private func lookout(_ arguments: [String]) -> Ran {
    Ran("\(DaemonProcess.products)/lookout", arguments, in: scratch)
  }

  /// Imports the small network of five classes.
  private func imported(_ file: String = "mixed.onnx", _ options: [String] = []) -> String {
    Files.write(Array("ant\nbee\ncat\ndog\neel\n".utf8), to: scratch("labels.txt"))
    let path = scratch("model.swiftweights")
    let made = lookout(
      ["import", "\(Self.fixtures)/\(file)", "--labels", scratch("labels.txt"), "-o", path] + options)
    #expect(made.status == 0, "\(made)")
    let digest = made.output.dropFirst("\(path): ".count).prefix { $0.isHexDigit }
    #expect(made.output.hasPrefix("\(path): ") && digest.count == 64, "\(made)")
    return path
  }

  @Test func whatIsImportedAnswersAsItsMakerSays() {
    for (file, vectors) in [
      ("mixed.onnx", "mixed"), ("mixed.dynamo.onnx", "mixed"), ("plain.trace.pt", "plain"),
      ("plain.script.pt", "plain"),
    ] {
      let model = imported(file, vectors == "plain" ? ["--input-size", "21x18"] : [])
      let known = "\(Self.fixtures)/\(vectors).vectors"
      let same = lookout("verify", model, "--against", known, "--tolerance", "1e-3")
      #expect(same.status == 0 && same.output.contains("same first answer    2 of 2"), "\(file): \(same)")
      let strict = lookout("verify", model, "--against", known, "--tolerance", "0", "--json")
      #expect(strict.status == 65 && strict.errors.contains("more than 0.0"), "\(file): \(strict)")
    }
    // The leftovers of an import would be in the way of the next.
    #expect(Files.names(in: scratch.path).filter { $0.contains("draft") || $0.contains("tmp") } == [])
  }

  @Test func whatCannotBeImportedSaysWhy() {
    func refused(_ model: String, _ status: Int32, _ reason: String, to output: String = "o", _ options: String...) {
      let path = output.hasPrefix("/") ? output : scratch(output)
      let ran = lookout(["import", model, "-o", path] + options)
      #expect(ran.status == status && ran.errors.contains(reason), "\(model): \(ran)")
      #expect(!Files.exists(path), "\(model)")
    }
    refused("\(Self.fixtures)/unknown.onnx", 65, "node 'odd' (Einsum)")
    refused("\(Self.fixtures)/odd.script.pt", 65, "line 13", "--input-size", "8")
    refused("\(Self.fixtures)/plain.trace.pt", 65, "--input-size")
    refused("\(Self.fixtures)/mixed.vectors", 64, "--architecture")
    refused(scratch("nothing.onnx"), 66, "nothing.onnx")
    refused("\(Self.fixtures)/mixed.onnx", 73, "no-folder", to: "/no-folder/model")
    let whole = Files.read("\(Self.fixtures)/mixed.onnx") ?? []
    Files.write(Array(whole.dropLast(3000)), to: scratch("cut.onnx"))
    refused(scratch("cut.onnx"), 65, "cut.onnx")
    #expect(lookout("import").status == 64)
  }

  @Test func whatIsExportedAnswersTheSame() {
    let model = imported()
    let exported = lookout("export", model, "-o", scratch("again.onnx"))
    #expect(exported.status == 0, "\(exported)")
    let same = lookout(
      "verify", scratch("again.onnx"), "--against", "\(Self.fixtures)/mixed.vectors", "--tolerance", "1e-3")
    #expect(same.status == 0, "\(same)")
    let onPhotos = lookout(
      "verify", model, "--against", scratch("again.onnx"), "--photos", "\(DaemonProcess.repository)/examples/photos",
      "--tolerance", "1e-5")
    #expect(onPhotos.status == 0 && onPhotos.output.contains("same first answer    5 of 5"), "\(onPhotos)")
    for name in ["again.safetensors", "again.pth"] {
      #expect(lookout("export", model, "-o", scratch(name)).status == 0)
      // Tensors alone say what they are, and want to be told of which network.
      let ran = lookout("import", scratch(name), "-o", scratch("o"))
      #expect(ran.status == 64 && ran.errors.contains("holds tensors without a network"), "\(ran)")
    }
    let odd = lookout("export", model, "-o", scratch("again.txt"))
    #expect(odd.status == 64 && !Files.exists(scratch("again.txt")), "\(odd)")
  }

  @Test func whatIsImportedIsMeasuredOnLabelledPictures() {
    let model = imported()
    let photos = Files.names(in: "\(DaemonProcess.repository)/examples/photos").filter { $0.hasSuffix(".jpg") }
    scratch.folder("photos")
    for (label, name) in zip(["ant", "bee", "cat"], photos) {
      scratch.folder("photos/\(label)")
      Files.write(
        Files.read("\(DaemonProcess.repository)/examples/photos/\(name)") ?? [], to: scratch("photos/\(label)/\(name)"))
    }
    Files.write(Array("no picture".utf8), to: scratch("photos/cat/bad.jpg"))
    let ran = lookout(
      "evaluate", model, scratch("photos"), "--report", scratch("r.json"), "--html", scratch("r.html"))
    #expect(ran.status == 0 && ran.output.contains("of 3 pictures right"), "\(ran)")
    #expect(ran.output.contains("left out: ") && ran.output.contains("bad.jpg"), "\(ran)")
    #expect(Files.text(scratch("r.json")).hasPrefix("{") && Files.text(scratch("r.html")).contains("<html"))
    scratch.folder("photos/fox")
    Files.write(TestPicture.bmp(number: 1), to: scratch("photos/fox/one.bmp"))
    let other = lookout("evaluate", model, scratch("photos"))
    #expect(other.status != 0 && other.errors.contains("fox"), "\(other)")
  }

  /// The bound that docs/TRAINING.md states, on files that have holes instead of numbers.
  @Test func anImportTakesLittleMoreMemoryThanItsFile() throws {
    func tensor(_ name: String, _ extents: [Int]) throws -> [UInt8] {
      let file = open(scratch("\(name).data"), O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
      defer { close(file) }
      try #require(ftruncate(file, off_t(extents.reduce(4, *))) == 0)
      return SmallONNX.tensor(name, extents, SmallONNX.external("\(name).data"))
    }
    let pooled = [SmallONNX.node("GlobalAveragePool", ["p"], "q"), SmallONNX.node("Flatten", ["q"], "y")]
    let flat = [SmallONNX.node("Conv", ["x", "e"], "o"), SmallONNX.node("Flatten", ["o"], "f")]
    let small = try tensor("e", [48, 3, 1, 1])
    let models = try [
      "columns": SmallONNX.model(
        picture: [1, 3, 16, 16], outputs: 5000, constants: [small, tensor("a", [48 * 16 * 16, 5000])],
        flat + [SmallONNX.node("MatMul", ["f", "a"], "y")]),
      "transposed": SmallONNX.model(
        picture: [1, 3, 16, 16], outputs: 5000, constants: [small, tensor("b", [5000, 48 * 16 * 16])],
        flat + [SmallONNX.node("Transpose", ["b"], "t"), SmallONNX.node("MatMul", ["f", "t"], "y")]),
      // Winograd's weights would take four times the room.
      "window": SmallONNX.model(
        picture: [1, 3, 12, 12], outputs: 2560,
        constants: [tensor("c", [2560, 3, 3, 3]), tensor("d", [2560, 2560, 3, 3])],
        [SmallONNX.node("Conv", ["x", "c"], "o"), SmallONNX.node("Conv", ["o", "d"], "p")] + pooled),
    ]
    for (name, model) in models {
      Files.write(model, to: scratch("\(name).onnx"))
      let ran = Ran(
        "\(DaemonProcess.products)/lookout",
        ["import", scratch("\(name).onnx"), "-o", scratch("\(name).swiftweights")], in: scratch, watchesMemory: true)
      #expect(ran.status == 0, "\(ran)")
      let bytes = (name == "window" ? 2560 * (2560 + 3) * 9 : 48 * 16 * 16 * 5000) * 4
      #expect((bytes / 2...bytes / 5 * 6).contains(ran.peakBytes), "\(name): \(ran.peakBytes) for \(bytes)")
      unlink(scratch("\(name).swiftweights"))
    }
  }
}
