import Glibc
import SinkProtocol
import Testing

/// Rotation, full disks and what an operator does to the output of the two sinks that write lines.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct LineSinkTests {
  private static let plugins = ["csv", "json"]

  private func names(_ folder: String) -> [String] {
    guard let stream = opendir(folder) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// How often each id stands in all files of a folder together.
  private func tally(_ folder: String, _ range: Range<Int>) -> [Int] {
    let all = names(folder).flatMap { contents("\(folder)/\($0)") }
    return range.map { occurrences(of: "id-\($0)-", in: all) }
  }

  @Test(arguments: plugins) func rotatesBySizeWithoutLosingOrDoublingALine(_ plugin: String) throws {
    let folder = makeFolder()
    let sink = try start(plugin, "{\"path\":\"\(folder)/out.txt\",\"rotate_bytes\":2000}")
    for batch in 0..<10 {
      _ = try sink.write(entries(batch * 5..<batch * 5 + 5))
      _ = try sink.flush()
    }
    sink.close()
    let files = names(folder)
    #expect(files.count > 2 && files.contains("out.txt"), "\(files)")
    #expect(tally(folder, 0..<50).allSatisfy { $0 == 1 })
    for file in files where plugin == "csv" {
      #expect(String(decoding: contents("\(folder)/\(file)").prefix(3), as: UTF8.self) == "id,")
    }
  }

  /// An inode number comes again: what has that of a removed file now may be another sink's.
  @Test(
    arguments: plugins,
    ["out.db-wal", "out.jsonl", "out-other.txt", "out-20260101T000000.txt", "out.txt.bak", "outside.txt"])
  func cutsNoFileThatIsNoRotation(_ plugin: String, _ stranger: String) throws {
    let folder = makeFolder()
    let config = "{\"path\":\"\(folder)/out.txt\"}"
    let first = try start(plugin, config)
    _ = try first.write(entries(0..<5))
    let position = try first.flush()
    _ = try first.write(entries(5..<8))
    first.close()
    #expect(rename("\(folder)/out.txt", "\(folder)/\(stranger)") == 0)
    let before = contents("\(folder)/\(stranger)")
    let second = try start(plugin, config, at: position)
    _ = try second.write(entries(8..<9))
    _ = try second.flush()
    second.close()
    #expect(contents("\(folder)/\(stranger)") == before)
    #expect(occurrences(of: "id-", in: contents("\(folder)/out.txt")) == 1)
  }

  @Test(
    arguments: plugins, ["out.txt.1", "out.txt-20260101", "out-20260101T000000Z.txt", "out-20260101T000000Z-2.txt"])
  func cutsARotationBackToThePosition(_ plugin: String, _ rotated: String) throws {
    let folder = makeFolder()
    let config = "{\"path\":\"\(folder)/out.txt\"}"
    let first = try start(plugin, config)
    _ = try first.write(entries(0..<5))
    let position = try first.flush()
    _ = try first.write(entries(5..<8))
    first.close()
    #expect(rename("\(folder)/out.txt", "\(folder)/\(rotated)") == 0)
    let second = try start(plugin, config, at: position)
    _ = try second.write(entries(5..<8))
    _ = try second.flush()
    second.close()
    #expect(tally(folder, 0..<8).allSatisfy { $0 == 1 })
  }

  @Test(arguments: plugins) func rotatesAtTheFirstWriteOfAnotherDay(_ plugin: String) throws {
    let folder = makeFolder()
    let config = "{\"path\":\"\(folder)/out.txt\",\"rotate_daily\":true}"
    let first = try start(plugin, config)
    _ = try first.write(entries(0..<5))
    let position = try first.flush()
    first.close()
    var times = [timespec(tv_sec: time(nil) - 90_000, tv_nsec: 0), timespec(tv_sec: time(nil) - 90_000, tv_nsec: 0)]
    #expect(utimensat(AT_FDCWD, "\(folder)/out.txt", &times, 0) == 0)
    let second = try start(plugin, config, at: position)
    _ = try second.write(entries(5..<8))
    _ = try second.flush()
    second.close()
    #expect(names(folder).count == 2, "\(names(folder))")
    #expect(occurrences(of: "id-", in: contents("\(folder)/out.txt")) == 3)
    #expect(tally(folder, 0..<8).allSatisfy { $0 == 1 })
  }

  /// A kill between the rotation and the next stored position: the rotated file is cut back, the new one begun again.
  @Test(arguments: plugins) func aKillBehindARotationRepeatsNothing(_ plugin: String) throws {
    let folder = makeFolder()
    let config = "{\"path\":\"\(folder)/out.txt\",\"rotate_bytes\":600}"
    let first = try start(plugin, config)
    _ = try first.flush()
    _ = try first.write(entries(0..<5))
    let position = try first.flush()
    _ = try first.write(entries(5..<10))
    _ = try first.flush()
    first.kill()
    #expect(names(folder).count == 2)
    let second = try start(plugin, config, at: position)
    _ = try second.write(entries(5..<12))
    _ = try second.flush()
    second.close()
    #expect(tally(folder, 0..<12).allSatisfy { $0 == 1 }, "\(tally(folder, 0..<12))")
  }

  @Test(arguments: plugins) func followsAFileThatTheOperatorMovedAway(_ plugin: String) throws {
    let folder = makeFolder()
    let sink = try start(plugin, "{\"path\":\"\(folder)/out.txt\"}")
    _ = try sink.write(entries(0..<3))
    _ = try sink.flush()
    #expect(rename("\(folder)/out.txt", "\(folder)/old.txt") == 0)
    _ = try sink.write(entries(3..<6))
    _ = try sink.flush()
    sink.close()
    #expect(occurrences(of: "id-", in: contents("\(folder)/old.txt")) == 3)
    #expect(occurrences(of: "id-", in: contents("\(folder)/out.txt")) == 3)
  }

  @Test(arguments: ["csv", "json", "sqlite"], [true, false])
  func aFullDiskAsksToComeAgainAndLosesNothing(_ plugin: String, _ isFlushedBefore: Bool) throws {
    guard let disk = SmallDisk(bytes: 256 << 10) else { return }
    let sink = try start(plugin, "{\"path\":\"\(disk.path)/out\"}")
    _ = try sink.write(entries(0..<5))
    if isFlushedBefore { _ = try sink.flush() }
    disk.fill()
    var verdicts = try sink.write(entries(5..<800))
    if verdicts.allSatisfy({ $0 == .accepted }) {
      // SQLite may find out only when it makes durable.
      do throws(SinkProcessError) { _ = try sink.flush() } catch { verdicts = [.retry("\(error)")] }
    }
    #expect(verdicts.contains { if case .retry = $0 { true } else { false } }, "\(plugin)")
    disk.clear()
    let again = try start(plugin, "{\"path\":\"\(disk.path)/out2\"}")
    _ = try again.write(entries(0..<20))
    #expect(try !again.flush().isEmpty)
    again.close()
    sink.close()
    if plugin != "sqlite" {
      let bytes = contents("\(disk.path)/out")
      #expect(bytes.last == 0x0A)
      for number in 0..<5 { #expect(occurrences(of: "id-\(number)-", in: bytes) == 1) }
    }
  }
}

/// A file system in memory of a small size, where the tests may mount one.
final class SmallDisk {
  let path: String

  init?(bytes: Int) {
    path = makeFolder()
    guard geteuid() == 0, mount("tmpfs", path, "tmpfs", 0, "size=\(bytes)") == 0 else {
      rmdir(path)
      return nil
    }
  }

  deinit {
    umount2(path, 2)
    rmdir(path)
  }

  /// Leaves no block free.
  func fill() {
    let file = open("\(path)/ballast", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    defer { close(file) }
    let block = [UInt8](repeating: 1, count: 4096)
    while block.withUnsafeBytes({ write(file, $0.baseAddress, $0.count) }) > 0 {}
  }

  func clear() { unlink("\(path)/ballast") }
}
