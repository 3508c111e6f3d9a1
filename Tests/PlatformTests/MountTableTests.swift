import Glibc
import Platform
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(15)))
struct MountTableTests {
  private static let text = """
    21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
    22 21 8:2 / /data rw,relatime shared:2 - xfs /dev/sdb1 rw
    23 21 8:2 /inbox/sub /mnt/two\\040words rw,relatime - xfs /dev/sdb1 rw
    24 21 8:3 / /data/inner rw,relatime - xfs /dev/sdc1 rw
    garbage

    """

  private func place(_ path: String) -> Place { MountTable(text: Array(Self.text.utf8)).place(of: Path(path)) }

  @Test(arguments: [
    ("/none/such", "8:1", "/none/such"), ("/", "8:1", ""), ("/data", "8:2", ""),
    ("/data/inbox/a/", "8:2", "/inbox/a"), ("/data-not", "8:1", "/data-not"),
    ("/mnt/two words/x", "8:2", "/inbox/sub/x"), ("/data/inner/y", "8:3", "/y"), ("/none/./a/../b", "8:1", "/none/b"),
  ])
  func findsThePlaceBehindAPath(_ path: String, _ device: String, _ inside: String) {
    let found = place(path)
    #expect(found.device == device)
    #expect(String(decoding: found.path, as: UTF8.self) == inside)
  }

  @Test func aBindMountLiesWithinWhatItShows() {
    #expect(place("/mnt/two words/out.csv").isWithin(place("/data/inbox")))
    #expect(place("/data/inbox").isWithin(place("/data/inbox")))
    #expect(!place("/data/inbox").isWithin(place("/data/inbox/sub")))
    #expect(!place("/data/inbox2").isWithin(place("/data/inbox")))
    #expect(!place("/data/inner").isWithin(place("/data")))
  }

  @Test func withoutATableAPathIsItsOwnPlace() {
    let table = MountTable(text: [])
    #expect(table.place(of: Path("/none/a")).isWithin(table.place(of: Path("/none"))))
    #expect(!table.place(of: Path("/none2/a")).isWithin(table.place(of: Path("/none"))))
  }

  @Test func linksAreFollowedAndWhatIsMissingIsKept() {
    let scratch = Scratch()
    scratch.folder("real")
    symlink(scratch("real"), scratch("link"))
    #expect(Path(scratch("link/new/file")).resolved == Path(scratch("real/new/file")))
    #expect(Path(scratch("real/../link/new/../file")).resolved == Path(scratch("real/file")))
    let table = MountTable()
    #expect(table.place(of: Path(scratch("link/x"))) == table.place(of: Path(scratch("real/x"))))
  }

  @Test func aRealBindMountIsSeenThrough() throws {
    let scratch = Scratch()
    for folder in ["inbox", "inbox/sub", "elsewhere"] { scratch.folder(folder) }
    // Only where the tests may mount.
    guard geteuid() == 0, mount(scratch("inbox/sub"), scratch("elsewhere"), nil, UInt(MS_BIND), nil) == 0 else {
      return
    }
    defer { umount2(scratch("elsewhere"), 2) }
    let table = MountTable()
    #expect(table.place(of: Path(scratch("elsewhere/out.csv"))).isWithin(table.place(of: Path(scratch("inbox")))))
  }
}
