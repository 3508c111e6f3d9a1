internal import CShims
internal import Glibc

extension Path {
  /// Removes the file's name and makes that durable (`unlink`).
  package func unlink() throws(PlatformError) {
    try checked("unlink", self) { withCString { Glibc.unlink($0) } }
    try Directory.sync(parent)
  }
}

/// Moves a file into a folder under its own name, or `name-1`, `name-2` … where that is taken; never over another file.
///
/// - Returns: where the file is now, durably.
@discardableResult
package func moveFile(from source: Path, intoDirectory directory: Path) throws(PlatformError) -> Path {
  let name = source.lastComponent
  let dot = name.lastIndex(of: UInt8(ascii: ".")) ?? name.count
  for number in 0..<100_000 {
    let free = number == 0 ? name : Array(name[..<dot]) + Array("-\(number)".utf8) + Array(name[dot...])
    do throws(PlatformError) {
      try moveFile(from: source, toFree: directory.appending(free))
      return directory.appending(free)
    } catch .system(_, _, EEXIST) {
      continue
    }
  }
  throw .system(call: "rename", path: directory.appending(name).displayed, errno: EEXIST)
}

/// Moves a file to a path that must be free; across file systems by a copy that is compared before the source goes.
///
/// - Throws: `PlatformError.system` with EEXIST if the target is there. The source is intact after every error.
package func moveFile(from source: Path, toFree target: Path) throws(PlatformError) {
  do throws(PlatformError) {
    try checked("renameat2", source) {
      source.withCString { from in target.withCString { lookout_rename_without_replacing(from, $0) } }
    }
  } catch .system(_, _, EXDEV) {
    try copy(source, to: target)
    try source.unlink()
    return
  }
  try Directory.sync(target.parent)
  if source.parent != target.parent { try Directory.sync(source.parent) }
}

private func copy(_ source: Path, to target: Path) throws(PlatformError) {
  let chunkBytes = 1 << 20
  let partial = target.parent.appending(Array(".".utf8) + target.lastComponent.prefix(200) + Array(".part".utf8))
  let from = try FileDescriptor.open(source, flags: [.readOnly, .noFollow])
  let mode = try from.status().permissions
  do throws(PlatformError) {
    let to = try FileDescriptor.open(partial, flags: [.readWrite, .create, .truncate, .noFollow], mode: mode)
    var offset: Int64 = 0
    while true {
      let chunk = try from.read(upTo: chunkBytes, at: offset)
      if chunk.isEmpty { break }
      try to.writeAll(chunk)
      offset += Int64(chunk.count)
    }
    try to.sync()
    var compared: Int64 = 0
    while true {
      let written = try to.read(upTo: chunkBytes, at: compared)
      guard written == (try from.read(upTo: chunkBytes, at: compared)) else {
        throw .system(call: "compare copy", path: target.displayed, errno: EIO)
      }
      if written.isEmpty { break }
      compared += Int64(written.count)
    }
    try checked("renameat2", target) {
      partial.withCString { from in target.withCString { lookout_rename_without_replacing(from, $0) } }
    }
    try Directory.sync(target.parent)
  } catch {
    _ = partial.withCString { Glibc.unlink($0) }
    throw error
  }
}

/// Small files that are there whole or not at all.
package enum AtomicFile {
  /// Writes beside the target, syncs, and renames over it (`rename`).
  package static func write(_ path: Path, _ bytes: [UInt8], mode: UInt32) throws(PlatformError) {
    let draft = path.parent.appending(Array(".".utf8) + path.lastComponent.prefix(200) + Array(".tmp".utf8))
    let file = try FileDescriptor.open(draft, flags: [.writeOnly, .create, .truncate, .noFollow], mode: mode)
    try file.writeAll(bytes)
    try file.sync()
    try checked("rename", path) { draft.withCString { from in path.withCString { rename(from, $0) } } }
    try Directory.sync(path.parent)
  }

  /// The whole of a small file.
  ///
  /// `limit`: more bytes than that are not read.
  package static func read(_ path: Path, limit: Int) throws(PlatformError) -> [UInt8] {
    try FileDescriptor.open(path, flags: [.readOnly]).read(upTo: limit, at: 0)
  }
}
