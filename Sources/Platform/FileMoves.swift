internal import CShims
internal import Glibc

extension Path {
  /// Removes the file's name and makes that durable (`unlink`).
  package func unlink() throws(PlatformError) {
    try checked("unlink", self) { withCString { Glibc.unlink($0) } }
    try Directory.sync(parent)
  }

  /// Removes the file's name if the file is the wanted one, also if another takes its name at this very moment.
  ///
  /// It is renamed aside, looked at again and only then removed; another file gets its name back, or the next free one.
  /// After a crash in between the same call ends what was begun, also if the file is not there any longer.
  ///
  /// - Parameters:
  ///   - name: one in the same folder that nobody else uses.
  ///   - isThere: whether the file at this path was just seen to be the wanted one.
  ///   - isWanted: whether a file is the wanted one, under whatever name.
  /// - Throws: `PlatformError.system`; the file is at its own name or aside then, and the same call goes on.
  package func unlink(aside name: [UInt8], isThere: Bool, if isWanted: (FileStatus) -> Bool) throws(PlatformError) {
    let aside = parent.appending(name)
    try settle(aside, isWanted)
    guard isThere else { return }
    try renameWithoutReplacing(self, to: aside)
    try settle(aside, isWanted)
  }

  private func settle(_ aside: Path, _ isWanted: (FileStatus) -> Bool) throws(PlatformError) {
    guard let status = try existing(aside) else { return }
    if isWanted(status) { return try aside.unlink() }
    try moveFile(from: aside, intoDirectory: parent, named: lastComponent)
  }

  private func existing(_ path: Path) throws(PlatformError) -> FileStatus? {
    do throws(PlatformError) {
      return try FileStatus.of(path, followingLinks: false)
    } catch {
      guard error.isNotFound else { throw error }
      return nil
    }
  }
}

/// Moves a file into a folder under its own or another name, or `name-1`, `name-2` … where that is taken; never over
/// another file.
///
/// `isWanted`: as for `moveFile(from:toFree:if:)`.
///
/// - Returns: where the file is now, durably.
@discardableResult
package func moveFile(
  from source: Path, intoDirectory directory: Path, named newName: [UInt8]? = nil,
  if isWanted: (FileStatus) -> Bool = { _ in true }
) throws(PlatformError) -> Path {
  let name = newName ?? source.lastComponent
  let dot = name.lastIndex(of: UInt8(ascii: ".")) ?? name.count
  for number in 0..<100_000 {
    let free = number == 0 ? name : Array(name[..<dot]) + Array("-\(number)".utf8) + Array(name[dot...])
    do throws(PlatformError) {
      try moveFile(from: source, toFree: directory.appending(free), if: isWanted)
      return directory.appending(free)
    } catch .system(_, _, EEXIST) {
      continue
    }
  }
  throw .system(call: "rename", path: directory.appending(name).displayed, errno: EEXIST)
}

/// Moves a file to a path that must be free; across file systems by a copy that is compared before the source goes.
///
/// `isWanted`: whether what was moved is what the caller meant, and not a file that took its name at this very moment.
///
/// - Throws: `PlatformError.system` with EEXIST if the target is there, EAGAIN if the file was not the wanted one. The
///   source is intact after every error.
package func moveFile(
  from source: Path, toFree target: Path, if isWanted: (FileStatus) -> Bool = { _ in true }
) throws(PlatformError) {
  do throws(PlatformError) {
    try renameWithoutReplacing(source, to: target)
    guard isWanted(try FileStatus.of(target, followingLinks: false)) else {
      try moveFile(from: target, intoDirectory: source.parent, named: source.lastComponent)
      throw .system(call: "move: another file took the name", path: source.displayed, errno: EAGAIN)
    }
  } catch .system(_, _, EXDEV) {
    let copied = try copy(source, to: target)
    guard isWanted(copied), try FileStatus.of(source, followingLinks: false) == copied else {
      _ = target.withCString { Glibc.unlink($0) }
      throw .system(call: "move: the file changed meanwhile", path: source.displayed, errno: EAGAIN)
    }
    try source.unlink()
    return
  }
  try Directory.sync(target.parent)
  if source.parent != target.parent { try Directory.sync(source.parent) }
}

/// Renames to a free name (`renameat2`), also where the file system knows no such rename (NFS, 9P, some of FUSE).
private func renameWithoutReplacing(_ source: Path, to target: Path) throws(PlatformError) {
  do throws(PlatformError) {
    try checked("renameat2", source) {
      source.withCString { from in target.withCString { lookout_rename_without_replacing(from, $0) } }
    }
  } catch .system(_, _, EINVAL) {
    try renameOntoReservation(source, to: target)
  }
}

/// Renames over an empty file that was made for it, so that nobody else's file is ever replaced (`O_EXCL`, `rename`).
///
/// A crash in between leaves the empty file; the source is intact and takes the next free name.
///
/// - Throws: `PlatformError.system` with EEXIST if the target is there; after any other error the reservation is gone.
package func renameOntoReservation(_ source: Path, to target: Path) throws(PlatformError) {
  _ = try FileDescriptor.open(target, flags: [.writeOnly, .create, .exclusive, .noFollow], mode: 0o600)
  do throws(PlatformError) {
    try checked("rename", source) { source.withCString { from in target.withCString { rename(from, $0) } } }
  } catch {
    _ = target.withCString { Glibc.unlink($0) }
    throw error
  }
}

/// Copies durably to a free name.
///
/// - Returns: what the source was when it was opened; a source that differs now has changed since.
private func copy(_ source: Path, to target: Path) throws(PlatformError) -> FileStatus {
  let chunkBytes = 1 << 20
  let partial = target.parent.appending(Array(".".utf8) + target.lastComponent.prefix(200) + Array(".part".utf8))
  let from = try FileDescriptor.open(source, flags: [.readOnly, .noFollow, .nonBlocking])
  let status = try from.status()
  guard status.kind == .regular else { throw .system(call: "copy", path: source.displayed, errno: EINVAL) }
  // A crash may have left one, with the permissions of a source that cannot be opened for writing.
  _ = partial.withCString { Glibc.unlink($0) }
  do throws(PlatformError) {
    let to = try FileDescriptor.open(
      partial, flags: [.readWrite, .create, .exclusive, .noFollow], mode: status.permissions)
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
    try renameWithoutReplacing(partial, to: target)
    try Directory.sync(target.parent)
    return status
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
  /// - Parameters:
  ///   - path: the file.
  ///   - limit: the largest size taken, in bytes.
  /// - Returns: all its bytes.
  /// - Throws: `PlatformError.system`, EFBIG if the file is larger: half a file must not pass for the whole.
  package static func read(_ path: Path, limit: Int) throws(PlatformError) -> [UInt8] {
    let file = try FileDescriptor.open(path, flags: [.readOnly])
    // A file of the kernel's (/proc) tells no size; the buffer grows to what comes.
    var expected = min(limit, max(Int(try file.status().size), 4095))
    var bytes: [UInt8] = []
    try file.readAll(into: &bytes, expecting: expected)
    while bytes.count > expected, expected < limit {
      expected = min(limit, expected * 4)
      try file.readAll(into: &bytes, expecting: expected)
    }
    guard bytes.count <= limit else { throw .system(call: "read", path: path.displayed, errno: EFBIG) }
    return bytes
  }
}
