internal import Glibc

/// Shell patterns over file names (`fnmatch`).
package enum Glob {
  /// Whether the name matches; letters of either case are the same.
  package static func matches(_ pattern: String, _ name: String) -> Bool {
    fnmatch(pattern.lowercased(), name.lowercased(), 0) == 0
  }
}
