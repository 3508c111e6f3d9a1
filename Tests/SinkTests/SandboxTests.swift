import Confinement
import Glibc
import SinkProtocol
import TestSupport
import Testing

/// What a hostile plugin reaches: `Fixtures/prober.c` tries, in the real sink host, and writes down the answers.
@Suite(.timeLimit(.minutes(15))) struct SandboxTests {
  /// What only Landlock forbids.
  private static let byFileRules: Set<String> = [
    "read-secret", "make-elsewhere", "write-victim", "unlink-victim", "rename-victim", "link-victim",
    "write-through-symlink", "memory-of-parent",
  ]
  private static let sockets: Set<String> = ["load-socket", "inet", "inet6", "unix", "netlink"]
  /// A link may be made; what it names stays closed.
  private static let harmless: Set<String> = ["symlink"]

  private struct Probe {
    let answers: [(name: String, errno: Int32)]
    let gaps: [String]
    let scratch: Scratch
  }

  private func probe(_ sandbox: SinkSandbox) throws -> Probe {
    let scratch = Scratch()
    scratch.folder("out")
    scratch.folder("plugins")
    Files.write(Array("secret".utf8), to: scratch("secret"))
    Files.write(Array("victim".utf8), to: scratch("victim"))
    let here = String(#filePath.dropLast("SandboxTests.swift".count))
    let plugin = scratch("plugins/lookout-sink-prober.so")
    try #require(
      run([
        "cc", "-shared", "-fPIC", "-fvisibility=hidden", "-pthread", "-I", "\(here)../../Sources/CSinkABI/include",
        "-o",
        plugin, "\(here)Fixtures/prober.c",
      ]) == 0, "the hostile plugin does not compile")
    chmod(plugin, 0o755)
    let bundle = CommandLine.arguments[0]
    let host = "\(bundle[..<(bundle.lastIndex(of: "/") ?? bundle.startIndex)])/lookout-sink-host"
    var gaps: [String] = []
    let sink = try SinkProcess(
      hostPath: host, pluginPath: plugin, name: "prober", config: "{\"path\":\"\(scratch("out/report"))\"}",
      sandbox: sandbox
    ) { _, line in gaps.append(line) }
    sink.close()
    let answers = Files.text(scratch("out/report")).split(separator: "\n").compactMap {
      line -> (name: String, errno: Int32)? in
      let parts = line.split(separator: "=")
      guard parts.count == 2, let value = Int32(parts[1]) else { return nil }
      return (String(parts[0]), value)
    }
    try #require(answers.count > 30)
    return Probe(answers: answers, gaps: gaps, scratch: scratch)
  }

  @Test func aStrictPluginReachesNothingButItsOutput() throws {
    let probe = try probe(.strict)
    let hasFileRules = !probe.gaps.contains { $0.contains("Landlock") }
    for (name, code) in probe.answers where !Self.harmless.contains(name) {
      if name == "privileges" {
        #expect(code == 1)
      } else if name.hasPrefix("ok-") {
        #expect(code == 0, "\(name): \(String(cString: strerror(code)))")
      } else if hasFileRules || !Self.byFileRules.contains(name) {
        #expect(code != 0, "\(name) was allowed")
      }
    }
    #expect(Files.text(probe.scratch("victim")) == "victim" || !hasFileRules)
    #expect(!Files.exists(probe.scratch("elsewhere")) || !hasFileRules)
  }

  @Test func aNetworkPluginOpensSocketsAndNothingElse() throws {
    let probe = try probe(.network)
    let hasFileRules = !probe.gaps.contains { $0.contains("Landlock") }
    for (name, code) in probe.answers where !Self.harmless.contains(name) && name != "privileges" {
      if name.hasPrefix("ok-") || Self.sockets.contains(name) {
        #expect(code == 0, "\(name): \(String(cString: strerror(code)))")
      } else if hasFileRules || !Self.byFileRules.contains(name) {
        #expect(code != 0, "\(name) was allowed")
      }
    }
  }

  @Test func foldersAreThoseOfAbsolutePathsInTheConfiguration() {
    let scratch = Scratch()
    scratch.folder("a")
    scratch.folder("b \"x\"")
    let json =
      "{\"path\":\"\(scratch("a/file.csv"))\",\"n\":1,\"other\":[\"\(scratch.path)/b \\\"x\\\"\",\"relative/x\",\"/\","
      + "\"/file\",\"/nowhere/at/all\"],\"again\":\"\(scratch("a"))\"}"
    #expect(OutputFolders.named(in: json) == [scratch("a"), scratch("b \"x\"")])
    #expect(OutputFolders.named(in: "") == [])
    #expect(OutputFolders.named(in: "{\"open") == [])
  }
}

/// Runs a program found on the PATH; its exit status, or -1.
private func run(_ arguments: [String]) -> Int32 {
  var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
  defer { for pointer in pointers { free(pointer) } }
  pointers.append(nil)
  var process: pid_t = 0
  guard posix_spawnp(&process, arguments[0], nil, nil, pointers, environ) == 0 else { return -1 }
  var status: Int32 = 0
  while waitpid(process, &status, 0) < 0 { guard errno == EINTR else { return -1 } }
  return status & 0x7f == 0 ? (status >> 8) & 0xff : -1
}
