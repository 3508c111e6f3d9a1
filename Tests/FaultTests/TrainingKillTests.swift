import FaultSuite
import Glibc
import TestSupport
import Testing

/// The real `lookout train`, killed at any moment and started again, comes to the same weights to the bit.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct TrainingKillTests {
  private let scratch = Scratch()
  private let control: FaultControl

  init() { control = FaultControl(path: scratch("control")) }

  /// Starts a run into a folder; a checkpoint is written after every step.
  private func start(_ name: String) -> Int32 {
    let digits = "\(#filePath.dropLast("FaultTests/TrainingKillTests.swift".count))TrainingTests/Fixtures/digits"
    let recipe = """
      [data]
      train = "\(digits)"
      validation = "\(digits)"
      [model]
      architecture = "lenet5"
      [train]
      epochs = 2
      batch_size = 64
      average_decay = 0.9
      checkpoint_s = 0
      [optimizer]
      kind = "adam"
      [schedule]
      kind = "one_cycle"
      [augment]
      affine_degrees = 15
      [output]
      folder = "\(scratch(name))"
      contact_sheet = 0
      """
    Files.write(Array(recipe.utf8), to: scratch("recipe.toml"))
    return Program.start(
      ["\(Bench.products)/lookout", "train", scratch("recipe.toml")],
      environment: [
        "LD_PRELOAD=\(Bench.products)/liblookout-faults-hooks.so", "LOOKOUT_FAULTS_CONTROL=\(control.path)",
      ], log: scratch("\(name).log"))
  }

  private func end(of process: Int32) -> Int32 {
    while true {
      if let status = Program.reap(process) { return status }
      usleep(2000)
    }
  }

  /// What stands behind the header of a safetensors file: the numbers of all tensors.
  private func numbers(_ path: String) throws -> [UInt8] {
    let bytes = try #require(Files.read(path))
    try #require(bytes.count > 8)
    let header = bytes.prefix(8).enumerated().reduce(0) { $0 + Int($1.element) << (8 * $1.offset) }
    try #require(bytes.count > 8 + header)
    return Array(bytes[(8 + header)...])
  }

  private func expectSame(_ name: String, as other: String) throws {
    for file in ["checkpoint.safetensors", "model.swiftweights"] {
      #expect(try numbers(scratch("\(name)/\(file)")) == numbers(scratch("\(other)/\(file)")), "\(file)")
    }
  }

  @Test func killedAtAnyWriteAndResumedItEndsWithTheSameBits() throws {
    #expect(end(of: start("whole")) == 0, "\(Files.text(scratch("whole.log")))")
    let moments: [(path: String, calls: FaultControl.Calls, action: FaultControl.Action, number: UInt64)] = [
      // Torn before there is any, in the middle of an epoch, and at its end.
      ("checkpoint.safetensors", .write, .killHalfDone, 1), ("checkpoint.safetensors", .write, .killHalfDone, 9),
      ("checkpoint.safetensors", .sync, .kill, 17), ("checkpoint.safetensors", .rename, .kill, 23),
      ("checkpoint.safetensors", .rename, .killHalfDone, 24), ("checkpoint.safetensors", .rename, .killHalfDone, 40),
      ("model.swiftweights", .write, .killHalfDone, 1), ("model.swiftweights", .rename, .kill, 1),
      ("log.jsonl", .rename, .killHalfDone, 1), ("log.jsonl", .write, .killHalfDone, 2),
    ]
    for (index, moment) in moments.enumerated() {
      let name = "killed-\(index)"
      control.arm(moment.calls, moment.action, first: moment.number, last: moment.number, path: moment.path)
      #expect(end(of: start(name)) == -SIGKILL, "\(moment): \(Files.text(scratch("\(name).log")))")
      control.disarm()
      #expect(end(of: start(name)) == 0, "\(moment): \(Files.text(scratch("\(name).log")))")
      try expectSame(name, as: "whole")
    }
    // Killed again and again.
    control.arm(.rename, .killHalfDone, first: 7, last: 7, path: "checkpoint.safetensors")
    var deaths = 0
    while end(of: start("often")) == -SIGKILL, deaths < 100 {
      deaths += 1
      control.arm(.rename, .killHalfDone, first: 7, last: 7, path: "checkpoint.safetensors")
    }
    #expect((3..<100).contains(deaths))
    try expectSame("often", as: "whole")
  }

  @Test(arguments: [SIGTERM, SIGINT]) func askedToStopItEndsWithACheckpoint(signal: Int32) throws {
    #expect(end(of: start("whole")) == 0)
    control.arm(.rename, .count, path: "checkpoint.safetensors")
    let process = start("asked")
    while control.matched < 3, Program.reap(process) == nil { usleep(1000) }
    kill(process, signal)
    #expect(end(of: process) == 75, "\(Files.text(scratch("asked.log")))")
    #expect(end(of: start("asked")) == 0)
    try expectSame("asked", as: "whole")
  }
}
