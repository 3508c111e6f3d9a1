internal import Platform

/// The folders of one watch that are under observation, and whether its root is there at all.
///
/// Part of the state of a watch. inotify watches directories, one each; this maps the kernel's numbers to paths and back.
struct WatchedTree {
  let settings: WatchSettings
  let root: Path
  /// What the root was when it was armed; another one at the same path means a mount or a replacement.
  var rootStatus: FileStatus?
  var condition = WatchCondition.offline
  private(set) var directories: [Int32: Path] = [:]
  private var numbers: [Path: Int32] = [:]
  /// Folders for which no watch could be had: they alone are listed again and again.
  var unwatched: Set<Path> = []
  /// Folders that could not be listed or searched: they are tried again and again, and listed when they can be.
  var closed: Set<Path> = []

  init(settings: WatchSettings) {
    self.settings = settings
    self.root = Path(settings.path)
  }

  func isWatched(_ directory: Path) -> Bool { numbers[directory] != nil }

  /// The kernel watches a folder under this number, maybe after it was renamed.
  mutating func enter(_ number: Int32, _ directory: Path) {
    if let former = directories[number] { numbers[former] = nil }
    directories[number] = directory
    numbers[directory] = number
    unwatched.remove(directory)
  }

  /// The kernel watches it no longer.
  mutating func leave(_ number: Int32) {
    guard let directory = directories.removeValue(forKey: number), numbers[directory] == number else { return }
    numbers[directory] = nil
  }

  /// The root is gone, and with it everything.
  ///
  /// - Returns: the numbers that the kernel may still hold.
  mutating func leaveAll() -> [Int32] {
    defer {
      directories = [:]
      numbers = [:]
      unwatched = []
      closed = []
      rootStatus = nil
    }
    return Array(directories.keys)
  }

  /// Whether a name in this tree is a candidate by the operator's patterns; nil when only the content can tell.
  func admits(name: [UInt8]) -> Bool? {
    let text = String(decoding: name, as: UTF8.self)
    if settings.exclude.contains(where: { Glob.matches($0, text) }) { return false }
    if !settings.include.isEmpty { return settings.include.contains { Glob.matches($0, text) } }
    return Self.imageSuffixes.contains { text.lowercased().hasSuffix($0) } ? true : nil
  }

  private static let imageSuffixes = [".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp"]
}
