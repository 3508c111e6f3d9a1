import Engine
import Glibc
import TestSupport
import Testing

/// `lookout bench` over this build; what it measures is no business of a test, that it measures is.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct BenchTests {
  @Test func everyDaemonBenchGivesItsMeasurements() throws {
    let scratch = Scratch()
    let command = """
      exec '\(DaemonProcess.products)/lookout' bench start latency memory --count 3 --json --scratch '\(scratch.path)' \
      --photos '\(DaemonProcess.repository)/examples/photos' \
      --model '\(DaemonProcess.repository)/models/default.swiftweights' 2>&1
      """
    let pipe = try #require(popen(command, "r"))
    var output: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while case let count = fread(&buffer, 1, buffer.count, pipe), count > 0 { output += buffer[..<count] }
    let status = pclose(pipe) >> 8
    let text = String(decoding: output, as: UTF8.self)
    // 65: a bar was broken, which a busy machine may do.
    #expect(status == 0 || status == 65, "\(text)")
    for name in ["start to READY", "rename to durable rows", "resident, daemon", "resident, sink hosts"] {
      let start = "{\"measurement\":\"\(name)\""
      #expect(text.split(separator: "\n").contains { $0.hasPrefix(start) }, "\(name) in \(text)")
    }
    #expect(Files.names(in: scratch.path).isEmpty, "the daemon's folders are left behind")
  }

  private static let model = "\(DaemonProcess.repository)/models/default.swiftweights"

  /// `lookout bench` for as short a time as can be.
  private func bench(_ words: String..., model: String = model, in scratch: Scratch) -> Ran {
    Ran(
      "\(DaemonProcess.products)/lookout",
      ["bench"] + words + ["--model", model, "--json", "--batch", "1", "--threads", "1", "--seconds", "0.05"]
        + ["--rounds", "1", "--count", "1", "--scratch", scratch.path],
      in: scratch, directory: DaemonProcess.repository)
  }

  @Test func measuresInThePrecisionAskedFor() {
    let scratch = Scratch()
    let bytes = scratch("bytes.swiftweights")
    let quantized = Ran(
      "\(DaemonProcess.products)/lookout",
      ["quantize", Self.model, "--calibrate", "examples/photos", "--method", "minmax", "-o", bytes], in: scratch,
      directory: DaemonProcess.repository)
    #expect(quantized.status == 0, "\(quantized)")
    for (precision, model) in [("fp32", Self.model), ("fp32", bytes), ("int8", bytes)] {
      let ran = bench("engine", "layers", "--precision", precision, model: model, in: scratch)
      let lines = ran.output.split(separator: "\n")
      #expect(ran.status == 0 && lines.count > 1, "\(ran)")
      #expect(lines.allSatisfy { $0.contains("\"precision\":\"\(precision)\"") }, "\(ran)")
    }
    #expect(bench("algorithms", model: bytes, in: scratch).status == 64)
    #expect(bench("algorithms", "--precision", "fp32", model: bytes, in: scratch).status == 0)
    let daemon = bench("start", "--precision", "int8", model: bytes, in: scratch)
    // 65: the bar was broken, which a busy machine may do.
    #expect([0, 65].contains(daemon.status) && daemon.output.contains("\"precision\":\"int8\""), "\(daemon)")
  }

  @Test(arguments: ["engine", "start"]) func refusesBytesOfAFileInFloats(kind: String) {
    let ran = bench(kind, "--precision", "int8", in: Scratch())
    #expect(ran.status == 65 && ran.output.isEmpty && ran.errors.contains("was not quantized"), "\(ran)")
  }

  @Test func measuresBF16OnlyWhereTheProcessorHasIt() {
    let ran = bench("engine", "--precision", "bf16", in: Scratch())
    if InstructionSet.best.hasBF16 {
      #expect(ran.status == 0 && ran.output.contains("\"precision\":\"bf16\""), "\(ran)")
    } else {
      #expect(ran.status == 64 && ran.output.isEmpty && ran.errors.contains("no instructions"), "\(ran)")
    }
  }

  /// OpenBLAS does not know the processors that came after it, and the operator's word counts most.
  @Test(.enabled(if: InstructionSet.best != .portable)) func openBLASTakesKernelsForThisProcessor() {
    let own = InstructionSet.best == .avx2 ? "Haswell" : "SkylakeX"
    for (given, taken) in [("", own), ("OPENBLAS_CORETYPE=Sandybridge", "Sandybridge")] {
      let ran = Ran(
        "env",
        ["-u", "OPENBLAS_CORETYPE", "OPENBLAS_VERBOSE=2"] + (given.isEmpty ? [] : [given])
          + ["\(DaemonProcess.products)/lookout", "bench", "machine", "--seconds", "0.01", "--rounds", "1"],
        in: Scratch())
      #expect(ran.status == 0 && ran.errors.contains("Core: \(taken)"), "\(ran)")
    }
  }

  @Test func refusesAnUnknownPrecision() {
    let scratch = Scratch()
    for words in [["bench", "engine"], ["bench", "driven", "--model", Self.model], ["classify", "examples/photos"]] {
      let ran = Ran(
        "\(DaemonProcess.products)/lookout", words + ["--precision", "half"], in: scratch,
        directory: DaemonProcess.repository)
      #expect(ran.status == 64 && ran.errors.contains("one of auto, fp32, bf16, int8, not 'half'"), "\(ran)")
    }
  }
}
