import Glibc
import Platform
import TestSupport
import Testing

/// Moves between folders and file systems: nothing is replaced, nothing is lost.
@Suite(.timeLimit(.minutes(15))) struct FileMovesTests {
  private let scratch = Scratch()

  /// A folder on another file system than the scratch folder; nil where there is none.
  private func elsewhere() throws -> Path? {
    let path = Path("/dev/shm/lookout-test-\(UUIDv7.make())")
    guard (try? Directory.create(path, mode: 0o700)) != nil else { return nil }
    let here = try FileStatus.of(Path(scratch.path), followingLinks: false)
    let there = try FileStatus.of(path, followingLinks: false)
    return here.device == there.device ? nil : path
  }

  private func remove(_ folder: Path) {
    for name in Files.names(in: folder.displayed) { unlink("\(folder.displayed)/\(name)") }
    rmdir(folder.displayed)
  }

  @Test func aNameThatIsTakenGetsANumber() throws {
    let target = scratch.folder("done")
    for text in ["first", "second", "third"] {
      Files.write(Array(text.utf8), to: scratch("a.jpg"))
      try moveFile(from: Path(scratch("a.jpg")), intoDirectory: Path(target))
    }
    #expect(Files.names(in: target) == ["a-1.jpg", "a-2.jpg", "a.jpg"])
    #expect(Files.text("\(target)/a.jpg") == "first")
    #expect(Files.text("\(target)/a-2.jpg") == "third")
  }

  @Test func aMoveAcrossFileSystemsKeepsEveryByteAndLeavesNoRest() throws {
    guard let there = try elsewhere() else { return }
    defer { remove(there) }
    let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    Files.write(bytes, to: scratch("big.jpg"))
    let moved = try moveFile(from: Path(scratch("big.jpg")), intoDirectory: there)
    #expect(Files.read(moved.displayed) == bytes)
    #expect(!Files.exists(scratch("big.jpg")))
    #expect(Files.names(in: there.displayed) == ["big.jpg"])
  }

  @Test func aMoveAcrossFileSystemsReplacesNothing() throws {
    guard let there = try elsewhere() else { return }
    defer { remove(there) }
    Files.write(Array("old".utf8), to: "\(there.displayed)/a.jpg")
    Files.write(Array("new".utf8), to: scratch("a.jpg"))
    #expect(throws: PlatformError.self) {
      try moveFile(from: Path(scratch("a.jpg")), toFree: there.appending("a.jpg"))
    }
    #expect(Files.text("\(there.displayed)/a.jpg") == "old")
    #expect(Files.text(scratch("a.jpg")) == "new")
    #expect(Files.names(in: there.displayed) == ["a.jpg"])
  }

  @Test func aRestOfACrashedMoveIsNoObstacle() throws {
    guard let there = try elsewhere() else { return }
    defer { remove(there) }
    Files.write(Array("torn and longer than the file".utf8), to: "\(there.displayed)/.a.jpg.part")
    chmod("\(there.displayed)/.a.jpg.part", 0o400)
    Files.write(Array("whole".utf8), to: scratch("a.jpg"))
    let moved = try moveFile(from: Path(scratch("a.jpg")), intoDirectory: there)
    #expect(Files.text(moved.displayed) == "whole")
    #expect(Files.names(in: there.displayed) == ["a.jpg"])
  }

  @Test func aFIFOIsNotCopiedAndDoesNotBlock() throws {
    guard let there = try elsewhere() else { return }
    defer { remove(there) }
    mkfifo(scratch("a.jpg"), 0o600)
    #expect(throws: PlatformError.self) { try moveFile(from: Path(scratch("a.jpg")), intoDirectory: there) }
    #expect(Files.exists(scratch("a.jpg")))
    #expect(Files.names(in: there.displayed) == [])
  }

  /// What a writer renamed over the name in the moment between the look and the move.
  @Test func anotherFileThatTookTheNameIsNeitherMovedNorRemoved() throws {
    Files.write(Array("new".utf8), to: scratch("a.jpg"))
    let target = scratch.folder("done")
    #expect(throws: PlatformError.self) {
      try moveFile(from: Path(scratch("a.jpg")), intoDirectory: Path(target), if: { _ in false })
    }
    #expect(Files.text(scratch("a.jpg")) == "new" && Files.names(in: target) == [])

    try Path(scratch("a.jpg")).unlink(aside: Array(".leaving".utf8), isThere: true) { _ in false }
    #expect(Files.text(scratch("a.jpg")) == "new")
    try Path(scratch("a.jpg")).unlink(aside: Array(".leaving".utf8), isThere: true) { _ in true }
    #expect(Files.names(in: scratch.path) == ["done"])
  }

  /// A crash came between the rename and the removal; a newer file may have the name by now.
  @Test(arguments: [true, false]) func aRemovalThatACrashCutOffIsEnded(isReplaced: Bool) throws {
    for (isWanted, left) in [(true, []), (false, ["renamed aside"])] {
      Files.write(Array("renamed aside".utf8), to: scratch(".leaving"))
      if isReplaced { Files.write(Array("newer".utf8), to: scratch("a.jpg")) }
      try Path(scratch("a.jpg")).unlink(aside: Array(".leaving".utf8), isThere: false) { _ in isWanted }
      let names = Files.names(in: scratch.path)
      #expect(names.map { Files.text(scratch($0)) }.sorted() == ((isReplaced ? ["newer"] : []) + left).sorted())
      for name in names { unlink(scratch(name)) }
    }
  }

  @Test func aReservationNeverReplacesAFileAndGoesAfterAnError() throws {
    Files.write(Array("old".utf8), to: scratch("taken"))
    Files.write(Array("new".utf8), to: scratch("a.jpg"))
    #expect(throws: PlatformError.system(call: "open", path: scratch("taken"), errno: EEXIST)) {
      try renameOntoReservation(Path(scratch("a.jpg")), to: Path(scratch("taken")))
    }
    #expect(throws: PlatformError.self) {
      try renameOntoReservation(Path(scratch("absent")), to: Path(scratch("free")))
    }
    #expect(Files.names(in: scratch.path) == ["a.jpg", "taken"])
    try renameOntoReservation(Path(scratch("a.jpg")), to: Path(scratch("free")))
    #expect(Files.text(scratch("free")) == "new")
    #expect(Files.text(scratch("taken")) == "old")
    #expect(Files.names(in: scratch.path) == ["free", "taken"])
  }

  @Test func aFileBeyondTheLimitIsRefusedAndNotCut() throws {
    Files.write(Array("12345".utf8), to: scratch("five"))
    #expect(try AtomicFile.read(Path(scratch("five")), limit: 5) == Array("12345".utf8))
    #expect(throws: PlatformError.system(call: "read", path: scratch("five"), errno: EFBIG)) {
      try AtomicFile.read(Path(scratch("five")), limit: 4)
    }
  }
}
