import Glibc
import Platform
import Service
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(15)))
struct QuarantineCellTests {
  private let scratch = Scratch()

  /// For the file that is there now.
  private func cell(_ id: String) -> QuarantineCell {
    let there = (try? FileStatus.of(Path(scratch("a.jpg")), followingLinks: false)).map {
      FileIdentity(
        device: $0.device, inode: $0.inode, ctimeNanoseconds: $0.ctimeNanoseconds,
        mtimeNanoseconds: $0.mtimeNanoseconds, size: $0.size)
    }
    return QuarantineCell(
      arrival: Arrival(id: id, watch: "inbox", path: Array(scratch("a.jpg").utf8), identity: there ?? identity(1)),
      reason: "no picture", directory: Path(scratch("out/deep")))
  }

  @Test func takesNoFileButTheOneThatWasRefused() throws {
    Files.write([1], to: scratch("a.jpg"))
    let cell = cell("first")
    Files.write([1, 2], to: scratch("b.jpg"))
    rename(scratch("b.jpg"), scratch("a.jpg"))
    #expect(throws: PlatformError.self) { try cell.take(Path(scratch("a.jpg"))) }
    #expect(Files.read(scratch("a.jpg")) == [1, 2])
    #expect(Files.names(in: scratch("out/deep")) == ["a.jpg.reason.txt"])
  }

  @Test func putsTheFileBesideItsReason() throws {
    Files.write([1], to: scratch("a.jpg"))
    let place = try cell("first").take(Path(scratch("a.jpg")))
    #expect(place == Path(scratch("out/deep/a.jpg")))
    #expect(Files.names(in: scratch("out/deep")) == ["a.jpg", "a.jpg.reason.txt"])
    #expect(Files.read(scratch("out/deep/a.jpg")) == [1])
    let reason = Files.text(scratch("out/deep/a.jpg.reason.txt"))
    #expect(reason.contains("reason: no picture\n"))
    #expect(reason.contains("id: first\n"))
    #expect(!Files.exists(scratch("a.jpg")))
  }

  @Test func writesTheReasonBeforeItMoves() {
    #expect(throws: PlatformError.self) { try cell("first").take(Path(scratch("a.jpg"))) }
    #expect(Files.names(in: scratch("out/deep")) == ["a.jpg.reason.txt"])
  }

  @Test func givesANumberWhereTheNameIsTaken() throws {
    for (index, id) in ["first", "second", "third"].enumerated() {
      Files.write([UInt8(index)], to: scratch("a.jpg"))
      _ = try cell(id).take(Path(scratch("a.jpg")))
    }
    #expect(Files.read(scratch("out/deep/a.jpg")) == [0])
    #expect(Files.read(scratch("out/deep/a-1.jpg")) == [1])
    #expect(Files.read(scratch("out/deep/a-2.jpg")) == [2])
    #expect(Files.text(scratch("out/deep/a-1.jpg.reason.txt")).contains("id: second\n"))
  }

  @Test func passesAFileThatHasNoReason() throws {
    scratch.folder("out")
    scratch.folder("out/deep")
    Files.write([9], to: scratch("out/deep/a.jpg"))
    Files.write([1], to: scratch("a.jpg"))
    #expect(try cell("first").take(Path(scratch("a.jpg"))) == Path(scratch("out/deep/a-1.jpg")))
    #expect(Files.read(scratch("out/deep/a.jpg")) == [9])
  }

  @Test func findsTheSamePlaceAgainAfterACrashBeforeTheMove() throws {
    _ = try? cell("other").take(Path(scratch("a.jpg")))
    _ = try? cell("first").take(Path(scratch("a.jpg")))
    Files.write([1], to: scratch("a.jpg"))
    #expect(try cell("first").take(Path(scratch("a.jpg"))) == Path(scratch("out/deep/a-1.jpg")))
    #expect(
      Files.names(in: scratch("out/deep")) == ["a-1.jpg", "a-1.jpg.reason.txt", "a.jpg.reason.txt"])
  }

  @Test func aCopyThatACrashLeftBesideItsSourceIsNoHindrance() throws {
    Files.write([1], to: scratch("a.jpg"))
    _ = try cell("first").take(Path(scratch("a.jpg")))
    Files.write([1], to: scratch("a.jpg"))
    #expect(try cell("first").take(Path(scratch("a.jpg"))) == Path(scratch("out/deep/a-1.jpg")))
    #expect(!Files.exists(scratch("a.jpg")))
  }
}
