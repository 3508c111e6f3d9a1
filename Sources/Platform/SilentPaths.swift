internal import Synchronization

extension Path {
  /// Those of some paths whose file systems do not say in time whether anything lies there.
  ///
  /// A call to a file system that hangs never returns. So a thread asks for one path after the other; where one takes longer
  /// than `limit`, that thread is left behind and another goes on with the next.
  package static func silent(among paths: [Path], within limit: Duration) -> Set<Path> {
    final class Progress: Sendable {
      let answers = Atomic(0)
      let bell = Bell()
    }
    var silent: Set<Path> = []
    var rest = paths[...]
    while !rest.isEmpty {
      let asked = Array(rest)
      let progress = Progress()
      let thread = OwnedThread(name: "ask", stackBytes: 256 << 10) {
        for path in asked {
          _ = try? FileStatus.of(path, followingLinks: true)
          progress.answers.wrappingAdd(1, ordering: .releasing)
          progress.bell.ring()
        }
      }
      var heard = 0
      while heard < asked.count {
        let hasRung = progress.bell.wait(for: limit)
        heard = progress.answers.load(ordering: .acquiring)
        if !hasRung { break }
      }
      if heard == asked.count {
        thread.join()
        return silent
      }
      silent.insert(asked[heard])
      rest = rest.dropFirst(heard + 1)
    }
    return silent
  }
}
