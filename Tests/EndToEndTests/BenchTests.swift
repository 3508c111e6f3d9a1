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
}
