/// What a watch's events tell of files that are not yet taken: which were dropped, rather than changed in rights or times.
///
/// A value without clock or I/O. A file is dropped when it is moved or linked in, or written and then closed. `touch` opens and closes a file without
/// writing, which is why writes are noted apart.
package struct DropBook {
  private let limit: Int
  private let hearsWrites: Bool
  private var dropped: Set<[UInt8]> = []
  /// Made or written since they were last closed.
  private var open: Set<[UInt8]> = []
  /// Times at which events may have been lost: a file that a listing finds changed then counts as dropped.
  package var unheard: ClosedRange<Int64>?

  /// - Parameters:
  ///   - hearsWrites: whether the kernel tells of writes; if not, every file closed by a writer counts as dropped.
  ///   - limit: the most files remembered; beyond it any file counts as dropped, until the first ones are taken.
  package init(hearsWrites: Bool, limit: Int = 65_536) {
    self.hearsWrites = hearsWrites
    self.limit = limit
  }

  /// Whether no dropped file waits to be taken.
  package var isEmpty: Bool { dropped.isEmpty }

  /// It was made or written; its writer may go on.
  package mutating func written(_ path: [UInt8]) {
    if hearsWrites, open.count < limit { open.insert(path) }
  }

  /// A writer closed it.
  package mutating func closed(_ path: [UInt8]) {
    if !hearsWrites || open.remove(path) != nil || open.count >= limit { drop(path) }
  }

  /// It was moved in, or whatever else makes it one that was dropped.
  package mutating func drop(_ path: [UInt8]) {
    if dropped.count < limit { dropped.insert(path) }
  }

  /// No file waits to be taken.
  package mutating func settle() { dropped = [] }

  /// It is gone.
  package mutating func left(_ path: [UInt8]) {
    dropped.remove(path)
    open.remove(path)
  }

  /// A listing of unknown contents found it, last changed at this time of the wall clock in nanoseconds.
  package mutating func listed(_ path: [UInt8], changedNanoseconds: Int64) {
    if unheard?.contains(changedNanoseconds) == true { drop(path) }
  }

  /// Takes a file out and tells how it came to be seen.
  ///
  /// `isListed`: a listing found it, before which there may have been events that nobody heard.
  package mutating func take(_ path: [UInt8], isListed: Bool) -> Arrival.Sighting {
    let isFull = dropped.count >= limit
    let isDropped = [dropped.remove(path), open.remove(path)].contains { $0 != nil } || isFull
    return isDropped ? .dropped : isListed ? .found : .changed
  }
}
