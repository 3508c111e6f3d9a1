import Glibc
import Platform
import TestSupport
import Testing

/// A journal that does not read costs lines, never time.
@Suite(.timeLimit(.minutes(15))) struct JournalSocketTests {
  private let scratch = Scratch()

  /// A bound datagram socket that stands for the journal's.
  private func listening(at path: String) -> Int32 {
    let listener = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let status = withUnsafePointer(to: &address) { address in
      address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    #expect(status == 0)
    return listener
  }

  @Test func aFullQueueTakesNoMoreAndHoldsNobodyUp() {
    let listener = listening(at: scratch("journal"))
    defer { close(listener) }
    let journal = JournalSocket(path: scratch("journal"))
    var taken = 0
    while taken < 100_000, journal.send([("MESSAGE", "line \(taken)")]) { taken += 1 }
    #expect(taken > 0 && taken < 100_000, "\(taken) lines until the queue was full")
    var entry = [UInt8](repeating: 0, count: 1000)
    let length = recv(listener, &entry, entry.count, 0)
    #expect(String(decoding: entry.prefix(max(0, length)), as: UTF8.self) == "MESSAGE=line 0\n")
    #expect(journal.send([("MESSAGE", "again")]), "it goes on once somebody reads")
  }

  @Test func aValueOfSeveralLinesIsPrecededByItsLength() {
    let listener = listening(at: scratch("journal"))
    defer { close(listener) }
    #expect(JournalSocket(path: scratch("journal")).send([("A", "x"), ("B", "y\nz=")]))
    var entry = [UInt8](repeating: 0, count: 100)
    let length = recv(listener, &entry, entry.count, 0)
    #expect(Array(entry.prefix(max(0, length))) == Array("A=x\nB\n\u{4}\0\0\0\0\0\0\0y\nz=\n".utf8))
  }

  @Test func withoutAJournalNothingIsTaken() {
    #expect(!JournalSocket(path: scratch("nobody")).send([("MESSAGE", "x")]))
  }
}
