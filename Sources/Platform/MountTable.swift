internal import Glibc

/// Where on which file system a path lies, whatever links, `..` and bind mounts lead to it.
///
/// Two paths lead to one file or folder exactly if their places are equal; one lies below another if its place does.
package struct Place: Equatable, Sendable {
  /// The file system, as `major:minor`.
  package let device: String
  /// From the root of that file system, without a slash at the end; empty for the root.
  package let path: [UInt8]

  /// Whether it is the other place, or lies below it.
  package func isWithin(_ other: Place) -> Bool {
    guard device == other.device, path.starts(with: other.path) else { return false }
    return path.count == other.path.count || path[other.path.count] == UInt8(ascii: "/")
  }
}

/// What is mounted where, as one process saw it at one moment (proc_pid_mountinfo(5)).
package struct MountTable: Sendable {
  private struct Mount: Sendable {
    var device: String
    /// The folder of the file system that is mounted.
    var root: [UInt8]
    var point: [UInt8]
  }

  private let mounts: [Mount]

  /// Reads `/proc/self/mountinfo`; without it every path is its own place.
  package init() {
    self.init(text: (try? AtomicFile.read(Path("/proc/self/mountinfo"), limit: 16 << 20)) ?? [])
  }

  /// Reads a table that is in memory already.
  package init(text: [UInt8]) {
    mounts = text.split(separator: UInt8(ascii: "\n")).compactMap { line in
      let fields = line.split(separator: UInt8(ascii: " "))
      guard fields.count > 4 else { return nil }
      return Mount(
        device: String(decoding: fields[2], as: UTF8.self), root: Self.trimmed(Self.unescaped(fields[3])),
        point: Self.trimmed(Self.unescaped(fields[4])))
    }
  }

  /// The place of an absolute path; what of it is not there yet is taken as it is written.
  package func place(of path: Path) -> Place {
    let resolved = Self.trimmed(path.resolved.bytes)
    let point = Self.covering(resolved, mounts.map(\.point))
    // Of mounts on one point the last one is seen.
    guard let mount = mounts.last(where: { $0.point == point }) else { return Place(device: "", path: resolved) }
    return Place(device: mount.device, path: mount.root + resolved.dropFirst(mount.point.count))
  }

  /// The longest mount point that holds a path.
  private static func covering(_ path: [UInt8], _ points: [[UInt8]]) -> [UInt8]? {
    points.filter { point in
      path.starts(with: point) && (path.count == point.count || path[point.count] == UInt8(ascii: "/"))
    }.max { $0.count < $1.count }
  }

  private static func trimmed(_ path: [UInt8]) -> [UInt8] {
    path.last == UInt8(ascii: "/") ? Array(path.dropLast()) : path
  }

  /// Blanks, tabs, line ends and backslashes stand as a backslash and three octal digits.
  private static func unescaped(_ field: ArraySlice<UInt8>) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = field
    while let byte = rest.popFirst() {
      let digits = rest.prefix(3)
      if byte == UInt8(ascii: "\\"), digits.count == 3,
        let code = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
      {
        bytes.append(code)
        rest = rest.dropFirst(3)
      } else {
        bytes.append(byte)
      }
    }
    return bytes
  }
}

extension Path {
  /// The path without links, `.` and `..`, as far as it is there (`realpath`); what is not there yet is kept, with its
  /// own dots taken literally.
  package var resolved: Path {
    var missing: [[UInt8]] = []
    var present = self
    while true {
      if let found = present.real { return missing.reversed().reduce(found) { $0.appending(component: $1) } }
      let above = present.parent
      guard above != present else { return self }
      missing.append(present.lastComponent)
      present = above
    }
  }

  private var real: Path? {
    withCString { name in
      guard let found = realpath(name, nil) else { return nil }
      defer { free(found) }
      return Path(Array(UnsafeRawBufferPointer(start: found, count: strlen(found))))
    }
  }

  private func appending(component: [UInt8]) -> Path {
    switch component {
    case [], [UInt8(ascii: ".")]: self
    case [UInt8(ascii: "."), UInt8(ascii: ".")]: parent
    default: appending(component)
    }
  }
}
