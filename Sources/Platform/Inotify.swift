internal import Glibc

/// What the kernel told about a watched folder.
package struct InotifyEvent: Sendable {
  /// The bits of `struct inotify_event.mask` that Lookout knows.
  package struct Mask: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package static let modify = Mask(rawValue: 0x2)
    package static let closeWrite = Mask(rawValue: 0x8)
    package static let movedFrom = Mask(rawValue: 0x40)
    package static let movedTo = Mask(rawValue: 0x80)
    package static let create = Mask(rawValue: 0x100)
    package static let delete = Mask(rawValue: 0x200)
    package static let deleteSelf = Mask(rawValue: 0x400)
    package static let moveSelf = Mask(rawValue: 0x800)
    package static let unmount = Mask(rawValue: 0x2000)
    package static let overflow = Mask(rawValue: 0x4000)
    package static let ignored = Mask(rawValue: 0x8000)
    package static let onlyDirectory = Mask(rawValue: 0x0100_0000)
    package static let isDirectory = Mask(rawValue: 0x4000_0000)
    /// What a watcher of arriving files wants to hear.
    package static let arrivalsAndDepartures: Mask = [
      .closeWrite, .movedFrom, .movedTo, .create, .delete, .deleteSelf, .moveSelf, .onlyDirectory,
    ]
  }

  package let watch: Int32
  package let mask: Mask
  /// The entry's name in its folder; empty when the folder itself is meant.
  package let name: [UInt8]

  /// Events were lost: only a listing tells what there is.
  package var isOverflow: Bool { mask.contains(.overflow) }
}

/// One inotify instance (inotify(7)), used by one thread at a time.
///
/// Called directly: see `docs/decisions/0002-inotify-directly.md`.
package final class Inotify: Sendable {
  /// The descriptor: readable while there are events.
  package let raw: Int32

  /// - Throws: `PlatformError.system`, EMFILE when `fs.inotify.max_user_instances` is reached.
  package init() throws(PlatformError) {
    raw = try checked("inotify_init1") { inotify_init1(Int32(IN_CLOEXEC) | Int32(IN_NONBLOCK)) }
  }

  deinit { close(raw) }

  /// Watches a folder, once however often it is added (`inotify_add_watch`).
  ///
  /// - Throws: `PlatformError.system`, ENOSPC when `fs.inotify.max_user_watches` is reached.
  package func add(_ path: Path, events: InotifyEvent.Mask) throws(PlatformError) -> Int32 {
    let raw = raw
    return try checked("inotify_add_watch", path) { path.withCString { inotify_add_watch(raw, $0, events.rawValue) } }
  }

  /// Gives a watch back; one that is gone already is no error (`inotify_rm_watch`).
  package func remove(_ watch: Int32) { inotify_rm_watch(raw, watch) }

  /// Waits for events, a wake-up or the end of time, whichever is first.
  ///
  /// `areAll`: whether these are all events there were.
  package func read(timeout: Duration?, wake: WakeSignal) -> (events: [InotifyEvent], areAll: Bool) {
    var waiting = [
      pollfd(fd: raw, events: Int16(POLLIN), revents: 0), pollfd(fd: wake.raw, events: Int16(POLLIN), revents: 0),
    ]
    let milliseconds =
      timeout.map { Int32(clamping: ($0.nanoseconds / 1_000_000) + ($0.nanoseconds > 0 ? 1 : 0)) } ?? -1
    guard poll(&waiting, 2, milliseconds) > 0 else { return ([], true) }
    if waiting[1].revents != 0 { wake.consume() }
    guard waiting[0].revents != 0 else { return ([], true) }
    return withUnsafeTemporaryAllocation(byteCount: 64 << 10, alignment: 8) { buffer in
      let count = Glibc.read(raw, buffer.baseAddress, buffer.count)
      guard count > 0 else { return ([], true) }
      // What is read is whole events: one with the longest name might not have found room.
      return (
        Self.events(in: UnsafeRawBufferPointer(rebasing: buffer[..<count])),
        count <= buffer.count - Self.longestEventBytes
      )
    }
  }

  /// A header of 16 bytes and a name of 255 with its end, padded.
  private static let longestEventBytes = 16 + 256

  private static func events(in buffer: UnsafeRawBufferPointer) -> [InotifyEvent] {
    let headerBytes = 16
    var events: [InotifyEvent] = []
    var offset = 0
    while offset + headerBytes <= buffer.count {
      let nameBytes = Int(buffer.loadUnaligned(fromByteOffset: offset + 12, as: UInt32.self))
      guard offset + headerBytes + nameBytes <= buffer.count else { break }
      let name = buffer[(offset + headerBytes)..<(offset + headerBytes + nameBytes)].prefix { $0 != 0 }
      events.append(
        InotifyEvent(
          watch: buffer.loadUnaligned(fromByteOffset: offset, as: Int32.self),
          mask: InotifyEvent.Mask(rawValue: buffer.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)),
          name: Array(name)))
      offset += headerBytes + nameBytes
    }
    return events
  }
}
