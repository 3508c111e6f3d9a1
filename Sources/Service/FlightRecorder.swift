internal import Glibc

/// Remembers, beyond the daemon's death, what each working thread had in hand.
///
/// A small file in the runtime directory, mapped shared: the kernel keeps what was stored in it when the process dies of
/// anything. A slot belongs to one thread and is written by it alone: a decoder has one, a classifier one for each image
/// of a batch. `set` and `clear` make no system call and never block.
/// Read the earlier run's file with `report` before making a new one at the same path.
package final class FlightRecorder: @unchecked Sendable {
  /// The file cannot be made; the daemon can run without it.
  package struct Unavailable: Error, CustomStringConvertible {
    package let path: String
    package let operation: String
    package let errno: Int32

    package var description: String {
      "flight recorder \(path): cannot \(operation): \(String(cString: strerror(errno))); "
        + "check that runtime_dir exists and is writable"
    }
  }

  /// What an earlier run left behind.
  package struct Report: Equatable, Sendable {
    /// Whether a fatal signal was seen on its way (a crash); otherwise the process was killed from outside, by the
    /// machine's loss of power or by running out of memory or stack.
    package var crashed: Bool
    /// What the crashing thread had in hand, and threads that were found wedged.
    ///
    /// Empty when no fatal signal was seen, or in a thread without a slot, and no thread was wedged.
    package var culprits: [String]
    /// What all threads had in hand, the culprits among them.
    package var inHand: [String]
    /// From the first moment of which not everything was heard, to the last at which the process can have lived.
    ///
    /// Times of the wall clock, in nanoseconds since 1970. Nil after a clean stop.
    package var unheard: ClosedRange<Int64>?

    /// A plain value.
    package init(crashed: Bool, culprits: [String], inHand: [String], unheard: ClosedRange<Int64>? = nil) {
      self.crashed = crashed
      self.culprits = culprits
      self.inHand = inHand
      self.unheard = unheard
    }
  }

  /// Bytes of an id that a slot can hold.
  package static let idLimit = slotSize - 17
  /// The most slots: 256 decoders and as many in reserve, and 256 classifiers with 256 images each.
  package static let slotLimit = 256 * 2 + 256 * 256
  /// How many slots there are.
  package let slots: Int
  private let path: String
  private let base: UnsafeMutableRawPointer

  private static let magic: UInt64 = 0x31_5446_4C54_4B4C
  private static let slotSize = 64
  /// Where in a slot stands whether the supervisor found its thread wedged.
  private static let accusedOffset = slotSize - 1

  /// Makes the file anew, over that of an earlier run.
  package init(path: String, slots: Int) throws(Unavailable) {
    precondition(slots > 0 && slots <= Self.slotLimit, "a slot for each thing in hand")
    self.path = path
    self.slots = slots
    let size = (slots + 1) * Self.slotSize
    // A new inode, so that nothing still mapping the earlier file is cut short.
    unlink(path)
    let file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard file >= 0 else { throw Unavailable(path: path, operation: "create it", errno: errno) }
    defer { Glibc.close(file) }
    // Allocated now: a full file system would otherwise show as SIGBUS later.
    let code = posix_fallocate(file, 0, off_t(size))
    guard code == 0 else { throw Unavailable(path: path, operation: "make it \(size) bytes long", errno: code) }
    guard let mapped = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), mapped != MAP_FAILED else {
      throw Unavailable(path: path, operation: "map it", errno: errno)
    }
    base = mapped
    base.storeBytes(of: UInt64(slots), toByteOffset: 8, as: UInt64.self)
    base.storeBytes(of: Self.magic, as: UInt64.self)
  }

  deinit {
    if Self.faultMark == base { Self.faultMark = nil }
    munmap(base, (slots + 1) * Self.slotSize)
  }

  /// Removes the file after a clean stop, so that the next start finds no survivors.
  package func discard() {
    unlink(path)
  }

  /// Notes that the process lives now, and until when its watches heard everything: times of the wall clock in nanoseconds
  /// since 1970.
  ///
  /// The supervisor's thread, more often than once in `signOfLifeNanoseconds`.
  package func note(now: Int64, heardUntil: Int64) {
    base.storeBytes(of: heardUntil, toByteOffset: Self.heardOffset, as: Int64.self)
    base.storeBytes(of: now, toByteOffset: Self.aliveOffset, as: Int64.self)
  }

  /// The process can have lived so much longer than its last sign of life tells.
  private static let signOfLifeNanoseconds: Int64 = 1_000_000_000
  private static let heardOffset = 24
  private static let aliveOffset = 32

  /// Notes what this thread is about to work on; an id beyond `idLimit` is cut.
  package func set(_ slot: Int, _ id: String) {
    precondition(slot >= 0 && slot < slots, "no such slot")
    let start = base + (slot + 1) * Self.slotSize
    start.storeBytes(of: 0, as: UInt32.self)
    start.storeBytes(of: 0, toByteOffset: Self.accusedOffset, as: UInt8.self)
    var length = 0
    var sum = Self.sumStart
    for byte in id.utf8.prefix(Self.idLimit) {
      start.storeBytes(of: byte, toByteOffset: 16 + length, as: UInt8.self)
      sum = Self.sum(sum, byte)
      length += 1
    }
    start.storeBytes(of: sum, toByteOffset: 4, as: UInt32.self)
    start.storeBytes(of: UInt64(pthread_self()), toByteOffset: 8, as: UInt64.self)
    start.storeBytes(of: UInt32(length), as: UInt32.self)
  }

  /// Notes that this thread has nothing in hand.
  package func clear(_ slot: Int) {
    precondition(slot >= 0 && slot < slots, "no such slot")
    (base + (slot + 1) * Self.slotSize).storeBytes(of: 0, as: UInt32.self)
  }

  /// Notes that the thread of this slot does not move, so that what it has in hand counts as a culprit.
  ///
  /// The supervisor's thread, before the watchdog ends the process. What the thread takes next is innocent again.
  package func accuse(_ slot: Int) {
    precondition(slot >= 0 && slot < slots, "no such slot")
    (base + (slot + 1) * Self.slotSize).storeBytes(of: 1, toByteOffset: Self.accusedOffset, as: UInt8.self)
  }

  /// Removes an earlier run's file, once its report was read.
  package static func forget(path: String) { unlink(path) }

  /// What an earlier run's threads had in hand; none when there is no such file or it is no sound one.
  package static func survivors(path: String) -> [String] {
    report(path: path).inHand
  }

  /// What an earlier run left behind; a missing or garbled file counts as a clean stop, a garbled slot as empty.
  package static func report(path: String) -> Report {
    var report = Report(crashed: false, culprits: [], inHand: [])
    let bytes = contents(path)
    guard bytes.count >= slotSize else { return report }
    bytes.withUnsafeBytes { raw in
      guard raw.loadUnaligned(as: UInt64.self) == magic else { return }
      let fault = raw.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
      report.crashed = fault != 0
      let heard = raw.loadUnaligned(fromByteOffset: heardOffset, as: Int64.self)
      let alive = raw.loadUnaligned(fromByteOffset: aliveOffset, as: Int64.self)
      let (end, isTooLate) = alive.addingReportingOverflow(signOfLifeNanoseconds)
      if alive != 0, !isTooLate { report.unheard = min(heard, end)...end }
      let slots = min(raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self), UInt64(raw.count / slotSize - 1))
      for slot in 0..<Int(slots) {
        let start = (slot + 1) * slotSize
        let length = Int(raw.loadUnaligned(fromByteOffset: start, as: UInt32.self))
        guard length > 0, length <= idLimit else { continue }
        let id = raw[(start + 16)..<(start + 16 + length)]
        guard id.allSatisfy({ $0 > 0x20 && $0 < 0x7F }),
          id.reduce(sumStart, sum) == raw.loadUnaligned(fromByteOffset: start + 4, as: UInt32.self)
        else { continue }
        let text = String(decoding: id, as: UTF8.self)
        report.inHand.append(text)
        let isAccused = raw[start + accusedOffset] == 1
        if isAccused || fault != 0 && fault == raw.loadUnaligned(fromByteOffset: start + 8, as: UInt64.self) {
          report.culprits.append(text)
        }
      }
    }
    return report
  }

  /// Makes fatal signals leave the crashing thread's mark in this recorder before they take their course.
  ///
  /// Once a process. A stack overflow leaves no mark, as no alternate stack is set up.
  package func markFaults() {
    Self.faultMark = base
    for signal in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT] {
      var action = sigaction()
      action.__sigaction_handler.sa_handler = { signal in
        // Async-signal-safe: a load, a store and raise(3); the reset handler lets the second one end the process.
        FlightRecorder.faultMark?.storeBytes(of: UInt64(pthread_self()), toByteOffset: 16, as: UInt64.self)
        raise(signal)
      }
      action.sa_flags = Int32(bitPattern: 0x8000_0000)  // SA_RESETHAND
      sigaction(signal, &action, nil)
    }
  }

  /// Statically initialised, so that the signal handler runs no initialiser.
  nonisolated(unsafe) private static var faultMark: UnsafeMutableRawPointer?

  /// FNV-1a, enough to tell a half-written slot.
  private static let sumStart: UInt32 = 2_166_136_261
  private static func sum(_ sum: UInt32, _ byte: UInt8) -> UInt32 { (sum ^ UInt32(byte)) &* 16_777_619 }

  /// At most as much of the file as any recorder is long.
  private static func contents(_ path: String) -> [UInt8] {
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard file >= 0 else { return [] }
    defer { Glibc.close(file) }
    var status = stat()
    guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return [] }
    let size = min(Int(status.st_size), (slotLimit + 1) * slotSize)
    return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      while count < buffer.count {
        let got = read(file, buffer.baseAddress.map { $0 + count }, buffer.count - count)
        guard got > 0 else { break }
        count += got
      }
    }
  }
}
