internal import Platform

/// Files that a listing found and nobody has looked at yet, in the order in which they are to be taken: a value.
///
/// Bounded: of more files than it holds it keeps the first in its order and remembers that there are others.
package struct Backlog {
  package struct File: Equatable, Sendable {
    package var path: [UInt8]
    /// When it arrived, as far as the file system knows: the change of its inode, in nanoseconds since 1970.
    package var arrivedNanoseconds: Int64
    /// When it was last written or renamed, in nanoseconds since 1970.
    package var touchedNanoseconds: Int64
    /// Only the periodic sweep knows of it so far.
    package var isFromSweep: Bool
    /// There may have been events about it that nobody heard.
    package var isListed: Bool

    package init(
      path: [UInt8], arrivedNanoseconds: Int64, touchedNanoseconds: Int64, isFromSweep: Bool, isListed: Bool
    ) {
      self.path = path
      self.arrivedNanoseconds = arrivedNanoseconds
      self.touchedNanoseconds = touchedNanoseconds
      self.isFromSweep = isFromSweep
      self.isListed = isListed
    }
  }

  private let order: WatchSettings.Order
  private let limit: Int
  /// In order; the next one is last.
  private var files: [File] = []
  /// Not yet in order.
  private var fresh: [File] = []
  /// Files were left out: when this one is used up, the folder has to be listed again.
  package private(set) var isCut = false

  /// `limit`: the most files that are remembered.
  package init(order: WatchSettings.Order, limit: Int = 65_536) {
    self.order = order
    self.limit = max(1, limit)
  }

  package var isEmpty: Bool { files.isEmpty && fresh.isEmpty }

  package mutating func add(_ file: File) {
    fresh.append(file)
    if fresh.count > limit { putInOrder() }
  }

  /// Takes up to so many of those that come next.
  package mutating func next(_ count: Int) -> [File] {
    putInOrder()
    let taken = Array(files.suffix(count).reversed())
    files.removeLast(taken.count)
    return taken
  }

  package mutating func removeAll() {
    files = []
    fresh = []
    isCut = false
  }

  private mutating func putInOrder() {
    guard !fresh.isEmpty else { return }
    switch order {
    case .asFound: files = fresh.reversed() + files
    case .oldestFirst: files = (files + fresh).sorted { Self.precedes($1, $0) }
    case .newestFirst: files = (files + fresh).sorted { Self.precedes($0, $1) }
    }
    fresh = []
    if files.count > limit {
      files.removeFirst(files.count - limit)
      isCut = true
    }
  }

  private static func precedes(_ one: File, _ other: File) -> Bool {
    one.arrivedNanoseconds != other.arrivedNanoseconds
      ? one.arrivedNanoseconds < other.arrivedNanoseconds : one.path.lexicographicallyPrecedes(other.path)
  }
}
