import Service
import Testing

struct DropBookTests {
  private let key = Array("/in/a.jpg".utf8)

  @Test func whatIsMovedInOrWrittenAndClosedIsDroppedAndATouchIsNot() {
    var book = DropBook(hearsWrites: true)
    book.closed(key)
    #expect(book.isEmpty && book.take(key, isListed: false) == .changed, "opened and closed")
    book.written(key)
    book.closed(key)
    #expect(!book.isEmpty)
    #expect(book.take(key, isListed: true) == .dropped)
    book.closed(key)
    #expect(book.take(key, isListed: true) == .found, "the write was before")
    book.drop(key)
    #expect(book.take(key, isListed: false) == .dropped)
    #expect(book.isEmpty && book.take(key, isListed: false) == .changed, "taken once")
  }

  @Test func whatIsStillBeingWrittenIsDropped() {
    var book = DropBook(hearsWrites: true)
    book.written(key)
    #expect(book.isEmpty && book.take(key, isListed: true) == .dropped)
  }

  @Test func withoutWordOfWritesEveryCloseIsADrop() {
    var book = DropBook(hearsWrites: false)
    book.closed(key)
    #expect(book.take(key, isListed: false) == .dropped)
  }

  @Test func whatLeavesIsForgotten() {
    var book = DropBook(hearsWrites: true)
    book.drop(key)
    book.written(key)
    book.left(key)
    #expect(book.isEmpty && book.take(key, isListed: false) == .changed)
    book.drop(key)
    book.settle()
    #expect(book.isEmpty && book.take(key, isListed: false) == .changed)
  }

  @Test func whatChangedWhileNobodyListenedCountsAsDropped() {
    var book = DropBook(hearsWrites: true)
    book.listed(key, changedNanoseconds: 7)
    #expect(book.take(key, isListed: true) == .found)
    book.unheard = 5...9
    for (time, sighting) in [(4, Arrival.Sighting.found), (5, .dropped), (9, .dropped), (10, .found)] {
      book.listed(key, changedNanoseconds: Int64(time))
      #expect(book.take(key, isListed: true) == sighting)
    }
  }

  @Test func beyondItsLimitNoDropIsLost() {
    var book = DropBook(hearsWrites: true, limit: 2)
    let keys = (0..<4).map { [UInt8($0)] }
    for key in keys { book.drop(key) }
    #expect(book.take(keys[3], isListed: false) == .dropped)
    #expect(book.take(keys[0], isListed: false) == .dropped)
    for key in keys { book.written(key) }
    book.closed(keys[3])
    #expect(book.take(keys[3], isListed: false) == .dropped)
  }
}
