import Engine
import FoundationEssentials
import ModelZoo
import Testing

/// Where the test's small files lie.
let fixtures = String(#filePath.dropLast("StateDictTests.swift".count)) + "Fixtures/"

/// A folder of its own for one test.
func temporaryFolder() throws -> String {
  let path = FileManager.default.temporaryDirectory.path + "/lookout-zoo-\(UUID().uuidString)/"
  try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  return path
}

@Suite(.timeLimit(.minutes(15)))
struct StateDictTests {
  @Test(arguments: ["small.zip.pth", "small.legacy.pth", "small.deflated.pth", "checkpoint.pth"])
  func everyFormGivesTheSameTensors(name: String) throws {
    let tensors = try StateDict.open(path: fixtures + name)
    #expect(tensors.names == ["a.bias", "a.weight", "b.weight", "h.weight", "t.weight"])
    #expect(tensors.extents(ofTensor: "a.weight") == [3, 4])
    #expect(try tensors.floats(ofTensor: "a.weight") == (0..<12).map { Float($0) / 8 - 1 })
    #expect(try tensors.floats(ofTensor: "a.bias") == (12..<15).map { Float($0) / 8 - 1 })
    #expect(try tensors.floats(ofTensor: "h.weight") == [0.5, -2])
    #expect(try tensors.floats(ofTensor: "b.weight") == [1.5, -3])
    let transposed = (0..<6).flatMap { column in (0..<4).map { Float($0 * 6 + column) / 8 - 1 } }
    #expect(try tensors.floats(ofTensor: "t.weight") == transposed)
    #expect(try tensors.floats(ofTensor: "a.weight", rows: 1..<3) == (4..<12).map { Float($0) / 8 - 1 })
    #expect(try tensors.floats(ofTensor: "t.weight", rows: 2..<5) == Array(transposed[8..<20]))
  }

  @Test func aStrideThatIsNeverTakenMayBeAnyNumber() throws {
    let tensors = try StateDict.open(path: fixtures + "strides.pth")
    #expect(tensors.extents(ofTensor: "w") == [3, 1, 2])
    #expect(try tensors.floats(ofTensor: "w") == [0, 1, 4, 5, 8, 9].map { Float($0) / 8 - 1 })
  }

  @Test(arguments: ["hostile.pth", "hostile.legacy.pth"])
  func aPickleThatWantsACommandIsRefusedByName(name: String) throws {
    let error = #expect(throws: ModelZooError.self) { try StateDict.open(path: fixtures + name) }
    guard case .refused(_, _, let what) = error else {
      Issue.record("\(String(describing: error)) is no refusal")
      return
    }
    #expect(what.contains("posix.system"))
    #expect(!FileManager.default.fileExists(atPath: "/tmp/lookout-hostile-pickle-ran"))
  }

  @Test(arguments: ["small.zip.pth", "small.legacy.pth", "small.deflated.pth"])
  func everyCutIsRefused(name: String) throws {
    let bytes = try Data(contentsOf: URL(filePath: fixtures + name))
    let folder = try temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    for length in 0..<bytes.count {
      try bytes.prefix(length).write(to: URL(filePath: folder + "cut"))
      #expect(throws: ModelZooError.self) { try StateDict.open(path: folder + "cut") }
    }
  }

  @Test(arguments: ["small.zip.pth", "small.legacy.pth", "small.deflated.pth"])
  func noFlippedByteCrashesTheReader(name: String) throws {
    let bytes = try Data(contentsOf: URL(filePath: fixtures + name))
    let folder = try temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    for position in bytes.indices {
      for mask in [UInt8(0x01), 0x80, 0xFF] {
        var damaged = bytes
        damaged[position] ^= mask
        try damaged.write(to: URL(filePath: folder + "flipped"))
        guard let tensors = try? StateDict.open(path: folder + "flipped") else { continue }
        for name in tensors.names { _ = try? tensors.floats(ofTensor: name) }
      }
    }
  }
}
