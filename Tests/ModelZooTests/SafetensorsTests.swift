import Engine
import FoundationEssentials
import Glibc
import ModelZoo
import Testing

/// Runs python3 on a script; nil if there is no python3 or it lacks safetensors.
private func python(_ script: String) -> Int32? {
  func run(_ text: String) -> Int32 {
    var child = pid_t()
    let words = ["python3", "-c", text]
    let arguments: [UnsafeMutablePointer<CChar>?] = words.map { word in strdup(word) } + [nil]
    let pairs = ProcessInfo.processInfo.environment.map { name, value in "\(name)=\(value)" }
    let environment: [UnsafeMutablePointer<CChar>?] = pairs.map { pair in strdup(pair) } + [nil]
    defer { for text in arguments + environment { free(text) } }
    guard posix_spawnp(&child, "python3", nil, nil, arguments, environment) == 0 else { return -1 }
    var status: Int32 = 0
    waitpid(child, &status, 0)
    return status
  }
  return run("import safetensors, numpy") == 0 ? run(script) : nil
}

@Suite(.timeLimit(.minutes(15)))
struct SafetensorsTests {
  @Test func pythonsSafetensorsOpensAWeightsFile() throws {
    let folder = try temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try WeightsFileTests().write(to: folder + "m.swiftweights", storage: .f16)
    let status = python(
      """
      from safetensors import safe_open
      with safe_open("\(folder)m.swiftweights", "np") as f:
          assert f.metadata()["format"] == "lookout.swiftweights"
          assert f.get_tensor("c.weight").shape == (2, 1, 3, 3)
          assert f.get_tensor("c.weight").dtype == "float16"
          assert [float(x) for x in f.get_tensor("l.bias")] == [-0.5, -0.25, 0.0]
      """)
    #expect(status == nil || status == 0)
  }
}
