import Glibc
import Platform
import TestSupport
import Testing

/// The error that a call threw, if it threw one.
private func failure(_ body: () throws(PlatformError) -> Void) -> PlatformError? {
  do throws(PlatformError) {
    try body()
    return nil
  } catch {
    return error
  }
}

/// The number of the system's error that a call threw.
private func errorNumber(_ body: () throws(PlatformError) -> Void) -> Int32? {
  guard case .system(_, _, let number) = failure(body) else { return nil }
  return number
}

/// A folder on the file system in memory, which is another than that of `Scratch`.
private final class OtherScratch {
  let path: String

  init() {
    path = "/dev/shm/lookout-test-\(UUIDv7.make())"
    mkdir(path, 0o755)
  }

  func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

  deinit {
    for name in Files.names(in: path) { unlink("\(path)/\(name)") }
    rmdir(path)
  }
}

@Suite(.timeLimit(.minutes(15)))
struct PathValueTests {
  @Test(arguments: [
    (Array("/in/a b.jpg".utf8), "/in/a b.jpg"), (Array("/in/Grüße-日本-😀".utf8), "/in/Grüße-日本-😀"),
    ([0x61, 0xFF, 0x62], "a\\xffb"), ([0x61, 0x0A, 0x1B, 0x7F], "a\\x0a\\x1b\\x7f"),
    ([0xC3], "\\xc3"), ([0xC0, 0xAF], "\\xc0\\xaf"), ([0xED, 0xA0, 0x80], "\\xed\\xa0\\x80"),
    ([0xE2, 0x82, 0x41], "\\xe2\\x82A"), ([], ""),
  ])
  func isDisplayedWithoutControlCharacters(_ bytes: [UInt8], _ text: String) {
    #expect(Path(bytes).displayed == text)
  }

  @Test func theSecondControlBlockIsEscapedToo() {
    #expect(Path([0x61, 0xC2, 0x9B, 0x62]).displayed == "a\\xc2\\x9bb")
  }

  @Test(arguments: [
    ("/a/b", "/a", "b"), ("/a", "/", "a"), ("/", "/", ""), ("a", ".", "a"), ("a/b", "a", "b"), ("/a/b/", "/a/b", ""),
  ])
  func hasAParentAndALastComponent(_ path: String, _ parent: String, _ last: String) {
    #expect(Path(path).parent == Path(parent))
    #expect(Path(path).lastComponent == Array(last.utf8))
  }

  @Test func appendsOneSlash() {
    #expect(Path("/a").appending("b") == Path("/a/b"))
    #expect(Path("/").appending("b") == Path("/b"))
    #expect(Path("/a/").appending([0xFF]) == Path(Array("/a/".utf8) + [0xFF]))
  }

  @Test func goesToCWithANulBehindIt() {
    #expect(Path("/a/b").withCString { String(cString: $0) } == "/a/b")
    #expect(Path("").withCString { strlen($0) } == 0)
  }
}

@Suite(.timeLimit(.minutes(15)))
struct DirectoryTests {
  @Test func createsWhatIsMissingAndLeavesWhatIsThere() throws {
    let scratch = Scratch()
    let deep = Path(scratch("a/b/c"))
    try Directory.create(deep, mode: 0o750)
    try Directory.create(deep, mode: 0o700)
    let status = try FileStatus.of(deep, followingLinks: false)
    #expect(status.kind == .directory)
    #expect(status.permissions == 0o750)
  }

  @Test func aFileInTheWayIsAnError() {
    let scratch = Scratch()
    Files.write([], to: scratch("a"))
    #expect(errorNumber { () throws(PlatformError) in try Directory.create(Path(scratch("a")), mode: 0o750) } == EEXIST)
    #expect(
      errorNumber { () throws(PlatformError) in try Directory.create(Path(scratch("a/b")), mode: 0o750) } == ENOTDIR)
  }

  @Test func listsEverythingWithItsKind() throws {
    let scratch = Scratch()
    scratch.folder("folder")
    Files.write([1], to: scratch("file"))
    Files.write([1], to: Array(scratch.path.utf8) + [0x2F, 0xFF, 0x0A])
    symlink("nowhere", scratch("link"))
    mkfifo(scratch("pipe"), 0o600)
    let entries = try Directory.list(Path(scratch.path)).sorted { $0.name.lexicographicallyPrecedes($1.name) }
    #expect(entries.map(\.name) == ["file", "folder", "link", "pipe"].map { Array($0.utf8) } + [[0xFF, 0x0A]])
    #expect(entries.map(\.kind) == [.regular, .directory, .link, .other, .regular])
    unlink(Array(scratch.path.utf8).map { CChar(bitPattern: $0) } + [0x2F, -1, 0x0A, 0])
  }

  @Test func listsNamesOfTheLargestLength() throws {
    let scratch = Scratch()
    let name = String(repeating: "n", count: 255)
    Files.write([], to: scratch(name))
    #expect(try Directory.list(Path(scratch.path)).map(\.name) == [Array(name.utf8)])
  }

  @Test func aListingOfManyEntriesGivesEachOnceAndTellsItsEnd() throws {
    let scratch = Scratch()
    // Of more bytes than the listing takes from the kernel at a time.
    let names = (1000..<2300).map { "\($0)" + String(repeating: "n", count: 240) }
    for name in names { Files.write([], to: scratch(name)) }
    var listing = try Directory.listing(Path(scratch.path))
    var found: [String] = []
    while !listing.isAtEnd, let entry = listing.next() { found.append(String(decoding: entry.name, as: UTF8.self)) }
    #expect(found.sorted() == names)
    let end = listing.next()
    #expect(end == nil && Directory.Listing().isAtEnd)
  }

  @Test func aMissingFolderIsNotFound() {
    let error = failure { () throws(PlatformError) in _ = try Directory.list(Path("/nowhere/at/all")) }
    #expect(error?.isNotFound == true)
    #expect(error?.description == "/nowhere/at/all: No such file or directory (opendir)")
  }
}

@Suite(.timeLimit(.minutes(15)))
struct FileMoveTests {
  @Test func givesANumberWhereTheNameIsTaken() throws {
    let scratch = Scratch()
    let target = Path(scratch.folder("out"))
    for number in 0..<3 {
      Files.write([UInt8(number)], to: scratch("a.b.jpg"))
      _ = try moveFile(from: Path(scratch("a.b.jpg")), intoDirectory: target)
    }
    #expect(Files.names(in: scratch("out")) == ["a.b-1.jpg", "a.b-2.jpg", "a.b.jpg"])
    #expect(Files.read(scratch("out/a.b.jpg")) == [0])
    #expect(Files.read(scratch("out/a.b-1.jpg")) == [1])
    #expect(Files.read(scratch("out/a.b-2.jpg")) == [2])
    #expect(!Files.exists(scratch("a.b.jpg")))
  }

  @Test func aNameWithoutADotGetsItsNumberAtTheEnd() throws {
    let scratch = Scratch()
    scratch.folder("out")
    Files.write([], to: scratch("out/photo"))
    Files.write([7], to: scratch("photo"))
    let place = try moveFile(from: Path(scratch("photo")), intoDirectory: Path(scratch("out")))
    #expect(place == Path(scratch("out/photo-1")))
  }

  @Test func neverGoesOverAnExistingFile() {
    let scratch = Scratch()
    Files.write([1], to: scratch("a"))
    Files.write([2], to: scratch("b"))
    let number = errorNumber { () throws(PlatformError) in
      try moveFile(from: Path(scratch("a")), toFree: Path(scratch("b")))
    }
    #expect(number == EEXIST)
    #expect(Files.read(scratch("a")) == [1])
    #expect(Files.read(scratch("b")) == [2])
  }

  @Test func aMissingSourceIsNotFound() {
    let scratch = Scratch()
    let error = failure { () throws(PlatformError) in
      try moveFile(from: Path(scratch("a")), toFree: Path(scratch("b")))
    }
    #expect(error?.isNotFound == true)
  }

  @Test func copiesAcrossFileSystems() throws {
    let scratch = Scratch()
    let other = OtherScratch()
    let near = try FileStatus.of(Path(scratch.path), followingLinks: true)
    let far = try FileStatus.of(Path(other.path), followingLinks: true)
    try #require(near.device != far.device)
    let bytes = (0..<(5 << 19)).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 9) }
    Files.write(bytes, to: scratch("a.jpg"))
    chmod(scratch("a.jpg"), 0o604)
    try moveFile(from: Path(scratch("a.jpg")), toFree: Path(other("a.jpg")))
    #expect(!Files.exists(scratch("a.jpg")))
    #expect(Files.names(in: other.path) == ["a.jpg"])
    #expect(Files.read(other("a.jpg")) == bytes)
    #expect(try FileStatus.of(Path(other("a.jpg")), followingLinks: false).permissions == 0o604)

    let back = try moveFile(from: Path(other("a.jpg")), intoDirectory: Path(scratch.path))
    #expect(back == Path(scratch("a.jpg")))
    #expect(Files.read(scratch("a.jpg")) == bytes)
    #expect(Files.names(in: other.path).isEmpty)
  }

  @Test func copiesOverNothingEither() throws {
    let scratch = Scratch()
    let other = OtherScratch()
    Files.write([1], to: scratch("a.jpg"))
    Files.write([2], to: other("a.jpg"))
    let number = errorNumber { () throws(PlatformError) in
      try moveFile(from: Path(scratch("a.jpg")), toFree: Path(other("a.jpg")))
    }
    #expect(number == EEXIST)
    #expect(Files.read(scratch("a.jpg")) == [1])
    #expect(Files.read(other("a.jpg")) == [2])
    #expect(Files.names(in: other.path) == ["a.jpg"], "no partial copy is left")
    let place = try moveFile(from: Path(scratch("a.jpg")), intoDirectory: Path(other.path))
    #expect(place == Path(other("a-1.jpg")))
    #expect(Files.read(other("a-1.jpg")) == [1])
  }

  @Test func aCopyOfAReadOnlyFileReplacesTheRestOfAnInterruptedOne() throws {
    let scratch = Scratch()
    let other = OtherScratch()
    Files.write([1, 2], to: scratch("a.jpg"))
    Files.write([9, 9, 9, 9], to: other(".a.jpg.part"))
    try moveFile(from: Path(scratch("a.jpg")), toFree: Path(other("a.jpg")))
    #expect(Files.read(other("a.jpg")) == [1, 2])
    #expect(Files.names(in: other.path) == ["a.jpg"])
  }
}

@Suite(.timeLimit(.minutes(15)))
struct AtomicFileTests {
  @Test func replacesTheWholeAndLeavesNoDraft() throws {
    let scratch = Scratch()
    let path = Path(scratch("state"))
    try AtomicFile.write(path, Array("a long first text".utf8), mode: 0o640)
    try AtomicFile.write(path, Array("short".utf8), mode: 0o640)
    #expect(try AtomicFile.read(path, limit: 100) == Array("short".utf8))
    #expect(throws: PlatformError.self) { try AtomicFile.read(path, limit: 2) }
    #expect(Files.names(in: scratch.path) == ["state"])
  }

  @Test func readsFilesOfAnySizeUpToTheLimit() throws {
    let scratch = Scratch()
    let path = Path(scratch("file"))
    for size in [0, 65_535, 65_536, 65_537, 200_000] {
      let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 * 7) }
      Files.write(bytes, to: path.displayed)
      #expect(try AtomicFile.read(path, limit: size) == bytes)
      #expect(try AtomicFile.read(path, limit: 1 << 40) == bytes, "no buffer of the limit's size is made")
      if size > 0 { #expect(throws: PlatformError.self) { try AtomicFile.read(path, limit: size - 1) } }
    }
    // The kernel's own files say that they are empty.
    #expect(try !AtomicFile.read(Path("/proc/self/mountinfo"), limit: 16 << 20).isEmpty)
  }

  @Test func aDraftLeftByACrashIsNoHindrance() throws {
    let scratch = Scratch()
    Files.write(Array("half a dra".utf8), to: scratch(".state.tmp"))
    try AtomicFile.write(Path(scratch("state")), [1], mode: 0o640)
    #expect(Files.read(scratch("state")) == [1])
    #expect(Files.names(in: scratch.path) == ["state"])
  }

  @Test func aMissingFolderIsAnError() {
    let scratch = Scratch()
    let error = failure { () throws(PlatformError) in
      try AtomicFile.write(Path(scratch("no/state")), [1], mode: 0o640)
    }
    #expect(error?.isNotFound == true)
  }
}

@Suite(.timeLimit(.minutes(15)))
struct StateLockTests {
  @Test func isHeldByOneOnlyUntilItGoes() throws {
    let scratch = Scratch()
    let path = Path(scratch("lock"))
    var first: PosixLock? = try PosixLock(path: path)
    #expect(first != nil)
    let error = failure { () throws(PlatformError) in _ = try PosixLock(path: path) }
    #expect(error == .locked(path: scratch("lock")))
    first = nil
    #expect(failure { () throws(PlatformError) in _ = try PosixLock(path: path) } == nil)
  }

  @Test func aMissingFolderIsNotLocked() {
    let error = failure { () throws(PlatformError) in _ = try PosixLock(path: Path("/nowhere/lock")) }
    #expect(error?.isNotFound == true)
  }
}
