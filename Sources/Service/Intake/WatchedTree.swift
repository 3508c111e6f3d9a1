internal import Platform

/// The folders of one watch that are under observation, and whether its root is there at all.
///
/// Owned by the watch thread. inotify watches directories, one each; this maps the kernel's watch numbers back to paths.
struct WatchedTree {
  let index: Int
  let settings: WatchSettings
  let root: Path
  var condition = WatchCondition.offline
  var directories: [Int32: Path] = [:]
  /// Monotonic nanoseconds of the next full listing.
  var nextListing: Int64 = 0

  init(index: Int, settings: WatchSettings) {
    self.index = index
    self.settings = settings
    self.root = Path(settings.path)
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
