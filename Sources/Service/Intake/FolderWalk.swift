internal import Platform

/// A listing of a folder and those below it, done in small steps, so that whoever lists a large tree stays attentive.
struct FolderWalk {
  /// Why it is listed; tells whether a file that is found was to be expected.
  enum Reason {
    /// The folder is new to us: the start, the end of a pause, lost events, a subtree that came or moved.
    case unknownContents
    /// No events come for this folder.
    case polled
    /// The periodic look whether everything was noticed.
    case sweep
  }

  /// What one step found.
  struct Step {
    var files: [(path: Path, status: FileStatus)] = []
    var folders: [Path] = []
    /// A folder that cannot be listed now.
    var unreadable: (folder: Path, error: PlatformError)?
  }

  let reason: Reason
  private let isRecursive: Bool
  private var waiting: [Path]
  private var folder: Path
  private var entries = Directory.Listing()

  init(_ root: Path, recursive: Bool, reason: Reason) {
    self.reason = reason
    isRecursive = recursive
    waiting = [root]
    folder = root
  }

  var isDone: Bool { waiting.isEmpty && entries.isAtEnd }

  /// Looks at up to so many entries, or opens the next folder.
  mutating func step(limit: Int) -> Step {
    var step = Step()
    if entries.isAtEnd {
      guard let next = waiting.popLast() else { return step }
      folder = next
      do throws(PlatformError) {
        entries = try Directory.listing(folder)
      } catch {
        if !error.isNotFound { step.unreadable = (folder, error) }
        return step
      }
    }
    for _ in 0..<limit {
      guard let entry = entries.next() else { break }
      if IgnoredNames.contains(entry.name) { continue }
      let path = folder.appending(entry.name)
      guard let status = try? FileStatus.of(path, followingLinks: false) else { continue }
      if status.kind != .directory {
        step.files.append((path, status))
      } else if isRecursive {
        waiting.append(path)
        step.folders.append(path)
      }
    }
    return step
  }
}
