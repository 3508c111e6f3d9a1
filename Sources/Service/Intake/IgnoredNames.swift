/// Names under which usual writers keep a file that is not ready, or that file managers scatter beside pictures.
///
/// A file of such a name is never taken; when its writer renames it, the new name arrives by itself. Sources: the
/// documentation of rsync (dot name with random tail), curl and wget, Chrome, Firefox, WinSCP and FileZilla, Syncthing,
/// Samba, Synology and macOS.
package enum IgnoredNames {
  private static let suffixes = [
    ".part", ".partial", ".filepart", ".crdownload", ".download", ".tmp", ".temp", ".swp", ".lock", ".reason.txt",
  ].map { Array($0.utf8) }

  private static let names = Set(
    ["Thumbs.db", "desktop.ini", "@eaDir", "#recycle", "#snapshot", "__MACOSX"].map { Array($0.utf8) })

  /// Whether a file or folder of this name is passed over in silence.
  package static func contains(_ name: [UInt8]) -> Bool {
    guard let first = name.first else { return true }
    if first == UInt8(ascii: ".") || first == UInt8(ascii: "~") || name.last == UInt8(ascii: "~") { return true }
    if names.contains(name) { return true }
    let lowered = name.map { $0 >= 65 && $0 <= 90 ? $0 + 32 : $0 }
    return suffixes.contains { lowered.count > $0.count && lowered.suffix($0.count).elementsEqual($0) }
  }
}
