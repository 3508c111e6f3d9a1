// An append-only file of lines that survives kill -9 at any instant without a torn, lost or doubled line.

internal import Glibc

/// A file of lines that a sink resumes at a byte offset; locked while it is open, rotated by size or day.
///
/// A position is `<inode>:<offset>`. On resume the file behind it (also when it was rotated since) is cut back to the
/// offset. A file that was removed or replaced since starts afresh. Rotation happens only while everything is flushed, so
/// that at most one rotation lies behind the last position.
public final class LineFile {
  /// The configuration keys that ``init(config:header:resumeAt:)`` reads.
  public static let keys = ["path", "mode", "rotate_bytes", "rotate_daily"]

  private let path: String
  private let header: [UInt8]
  private let mode: mode_t
  private let rotateBytes: Int
  private let rotateDaily: Bool
  private let log: SinkLog
  private var descriptor: Int32 = -1
  private var inode: UInt64 = 0
  private var end = 0
  private var flushed = 0
  private var directoryChanged = false
  private var day: Int64 = 0

  /// Opens, locks and cuts back the file, or makes it with its header.
  ///
  /// - Parameters:
  ///   - config: Gives `path` (absolute), `mode` (octal text, default `0640`), `rotate_bytes` (default 0, never) and
  ///     `rotate_daily` (default false; days are UTC).
  ///   - header: The first line with its line end; empty for none. A file with another header is rotated away.
  ///   - resumeAt: The position of the last flush.
  /// - Throws: `.fatal` naming the key or path, `.retry` when the file system may recover.
  public init(config: SinkConfiguration, header: [UInt8], resumeAt: Position?) throws(SinkError) {
    path = try config.string("path")
    guard path.utf8.first == UInt8(ascii: "/"), path.utf8.last != UInt8(ascii: "/"), !path.utf8.contains(0) else {
      throw .fatal("key 'path' is '\(path)'; it must be the absolute path of a file")
    }
    let octal = try config.string("mode", default: "0640")
    guard let bits = UInt32(octal, radix: 8), bits <= 0o777, bits & 0o600 == 0o600 else {
      throw .fatal("key 'mode' is '\(octal)'; it must be octal text such as '0640' with owner read and write")
    }
    mode = bits
    rotateBytes = try config.int("rotate_bytes", default: 0, in: 0...Int.max)
    rotateDaily = try config.bool("rotate_daily", default: false)
    log = config.log
    self.header = header
    try openCurrent()
    try resume(at: resumeAt)
    if try !startsWithHeader() { try rotate() }
    flushed = end
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Appends whole lines; on an error nothing of them remains.
  ///
  /// - Throws: `.retry` when the disk is full, the quota used up or the file system in trouble.
  public func append(_ lines: [UInt8]) throws(SinkError) {
    if end == flushed {
      try followReplacement()
      try rotateWhenDue()
    }
    guard !lines.isEmpty else { return }
    var written = 0
    while written < lines.count {
      let count = lines.withUnsafeBytes { bytes in
        pwrite(descriptor, bytes.baseAddress?.advanced(by: written), bytes.count - written, off_t(end + written))
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        let reason = "\(path): \(text(of: count < 0 ? errno : ENOSPC))"
        guard ftruncate(descriptor, off_t(end)) == 0 else {
          throw .fatal("\(reason), and cutting back to byte \(end): \(text(of: errno))")
        }
        throw .retry(reason)
      }
      written += count
    }
    end += written
  }

  /// Makes everything appended durable, a new file's name included.
  public func flush() throws(SinkError) -> Position {
    if end != flushed || directoryChanged {
      // After a failed fsync the kernel may have dropped the pages, so a second one proves nothing.
      guard fdatasync(descriptor) == 0 else { throw .fatal("\(path): fdatasync: \(text(of: errno))") }
      flushed = end
    }
    if directoryChanged {
      try syncDirectory()
      directoryChanged = false
    }
    return Position("\(inode):\(end)")
  }

  // MARK: opening

  private func openCurrent() throws(SinkError) {
    let opened = try openLocked(path, creating: true)
    if descriptor >= 0 { close(descriptor) }
    (descriptor, inode, end) = (opened.descriptor, opened.inode, opened.size)
    flushed = end
    day = end == 0 ? today() : opened.day
    if end == 0 { try start() }
  }

  /// Writes the header into the empty file.
  private func start() throws(SinkError) {
    guard ftruncate(descriptor, 0) == 0 else { throw .retry("\(path): \(text(of: errno))") }
    end = 0
    directoryChanged = true
    guard !header.isEmpty else { return }
    let count = header.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
    guard count == header.count else {
      let reason = "\(path): \(text(of: count < 0 ? errno : ENOSPC))"
      ftruncate(descriptor, 0)
      throw .retry(reason)
    }
    end = count
  }

  private func resume(at position: Position?) throws(SinkError) {
    guard let position else { return try endAtLine() }
    let parts = position.text.split(separator: ":")
    guard parts.count == 2, let wanted = UInt64(parts[0]), let offset = Int(parts[1]), offset >= 0 else {
      throw .fatal("\(path): the stored position '\(position.text)' is none of this sink's")
    }
    if wanted == inode {
      guard end >= offset, offset >= header.count || end == header.count else {
        log(
          .warning, "\(path) is shorter than the last position \(offset): it was cut or replaced; continuing at its end"
        )
        return try endAtLine()
      }
      return try cut(to: max(offset, header.count))
    }
    guard let rotated = try rotatedFile(inode: wanted, atLeast: offset) else {
      log(.warning, "\(path) was removed or replaced since the last position; continuing in the file that is there")
      return try endAtLine()
    }
    // The rotation lies behind the position, so all of the current file comes again.
    let older = try openLocked(rotated, creating: false)
    defer { close(older.descriptor) }
    guard ftruncate(older.descriptor, off_t(offset)) == 0, fsync(older.descriptor) == 0 else {
      throw .retry("\(rotated): \(text(of: errno))")
    }
    try start()
  }

  private func cut(to offset: Int) throws(SinkError) {
    guard ftruncate(descriptor, off_t(offset)) == 0 else { throw .retry("\(path): \(text(of: errno))") }
    end = offset
  }

  /// Cuts off a last line without its end.
  private func endAtLine() throws(SinkError) {
    var place = end
    while place > 0 {
      let start = max(0, place - 4096)
      let block = try read(start, place - start)
      if let last = block.lastIndex(of: 0x0A) {
        place = start + last + 1
        break
      }
      place = start
    }
    guard place != end else { return }
    log(.warning, "\(path): a torn last line of \(end - place) bytes was cut off")
    if place == 0 { try start() } else { try cut(to: place) }
  }

  private func startsWithHeader() throws(SinkError) -> Bool {
    guard end >= header.count else { return false }
    return try read(0, header.count) == header
  }

  private func read(_ offset: Int, _ count: Int) throws(SinkError) -> [UInt8] {
    var block = [UInt8](repeating: 0, count: count)
    let taken = block.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, count, off_t(offset)) }
    guard taken == count else { throw .retry("\(path): \(text(of: taken < 0 ? errno : EIO))") }
    return block
  }

  private struct Opened {
    var descriptor: Int32
    var inode: UInt64
    var size: Int
    var day: Int64
  }

  private func openLocked(_ path: String, creating: Bool) throws(SinkError) -> Opened {
    let flags = O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (creating ? O_CREAT : 0)
    let descriptor = open(path, flags, mode)
    guard descriptor >= 0 else {
      let code = errno
      let reason = "\(path): \(text(of: code))"
      switch code {
      case EISDIR, ENAMETOOLONG, ELOOP, ENXIO: throw .fatal("\(reason): key 'path' must name a regular file")
      case ENOENT, ENOTDIR: throw .fatal("\(reason): make its folder first")
      default: throw .retry(reason)
      }
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw .fatal("\(path) is not a regular file: key 'path' must name one")
    }
    if status.st_size == 0 { fchmod(descriptor, mode) }
    // A host of a daemon that was killed lets go within moments.
    var patience = 100
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      patience -= 1
      guard patience > 0 else {
        close(descriptor)
        throw .retry("\(path) is in use by another process")
      }
      poll(nil, 0, 10)
    }
    // The size may have changed until the lock was had.
    fstat(descriptor, &status)
    return Opened(
      descriptor: descriptor, inode: UInt64(status.st_ino), size: Int(status.st_size),
      day: Int64(status.st_mtim.tv_sec) / 86400)
  }

  // MARK: rotation

  /// Goes over to the new file when somebody moved or removed the current one.
  private func followReplacement() throws(SinkError) {
    var status = stat()
    if stat(path, &status) == 0, UInt64(status.st_ino) == inode { return }
    log(.info, "\(path) was moved or removed; starting a new file")
    try openCurrent()
    try endAtLine()
    if try !startsWithHeader() { try rotate() }
  }

  private func rotateWhenDue() throws(SinkError) {
    let full = rotateBytes > 0 && end >= rotateBytes
    let old = rotateDaily && today() > day
    guard end > header.count else {
      day = today()
      return
    }
    if full || old { try rotate() }
  }

  /// Moves the file to `name-<UTC time>.ext` and starts a new one.
  private func rotate() throws(SinkError) {
    guard fdatasync(descriptor) == 0 else { throw .fatal("\(path): fdatasync: \(text(of: errno))") }
    let (stem, suffix) = nameParts()
    let stamp = timestamp(nanoseconds: Int64(now()) * 1_000_000_000).prefix(19).filter { $0 != "-" && $0 != ":" }
    var target = "\(stem)-\(stamp)Z\(suffix)"
    var number = 2
    while access(target, F_OK) == 0 {
      target = "\(stem)-\(stamp)Z-\(number)\(suffix)"
      number += 1
    }
    guard rename(path, target) == 0 else { throw .retry("\(path): rename to \(target): \(text(of: errno))") }
    log(.info, "\(path) rotated to \(target)")
    try openCurrent()
  }

  /// The path without and the rest from its extension's dot.
  private func nameParts() -> (stem: Substring, suffix: Substring) {
    let slash = path.lastIndex(of: "/") ?? path.startIndex
    guard let dot = path.lastIndex(of: "."), dot > path.index(after: slash) else { return (path[...], "") }
    return (path[..<dot], path[dot...])
  }

  private func folder() -> String {
    let slash = path.lastIndex(of: "/") ?? path.startIndex
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// The rotated sibling with that inode and at least that size.
  private func rotatedFile(inode: UInt64, atLeast size: Int) throws(SinkError) -> String? {
    guard let directory = opendir(folder()) else { throw .retry("\(folder()): \(text(of: errno))") }
    defer { closedir(directory) }
    while let entry = readdir(directory) {
      guard UInt64(entry.pointee.d_ino) == inode else { continue }
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      let candidate = folder() == "/" ? "/\(name)" : "\(folder())/\(name)"
      var status = stat()
      guard isRotation(candidate), stat(candidate, &status) == 0, Int(status.st_size) >= size else { continue }
      return candidate
    }
    return nil
  }

  /// Whether a file has a name that `rotate` or logrotate(8) gives.
  ///
  /// Nothing else is cut: inode numbers come again, and the file that has that of a removed one may be another sink's.
  private func isRotation(_ candidate: String) -> Bool {
    if candidate.hasPrefix(path) {
      let rest = candidate.dropFirst(path.count)
      if let mark = rest.first, mark == "." || mark == "-", Self.areDigits(rest.dropFirst()) { return true }
    }
    let (stem, suffix) = nameParts()
    guard candidate.hasPrefix("\(stem)-"), candidate.hasSuffix(suffix) else { return false }
    let parts = candidate.dropFirst(stem.count + 1).dropLast(suffix.count).split(
      separator: "-", omittingEmptySubsequences: false)
    guard let stamp = parts.first, stamp.utf8.count == 16, stamp.last == "Z" else { return false }
    let (day, time) = (stamp.prefix(8), stamp.dropFirst(9).dropLast())
    return Self.areDigits(day) && stamp.dropFirst(8).first == "T" && Self.areDigits(time)
      && (parts.count == 1 || parts.count == 2 && Self.areDigits(parts[1]))
  }

  private static func areDigits(_ text: Substring) -> Bool {
    !text.isEmpty && text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
  }

  private func syncDirectory() throws(SinkError) {
    let directory = open(folder(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw .retry("\(folder()): \(text(of: errno))") }
    defer { close(directory) }
    guard fsync(directory) == 0 else { throw .retry("\(folder()): fsync: \(text(of: errno))") }
  }
}

private func now() -> Int { time(nil) }

private func today() -> Int64 { Int64(now()) / 86400 }

private func text(of code: Int32) -> String { String(cString: strerror(code)) }
