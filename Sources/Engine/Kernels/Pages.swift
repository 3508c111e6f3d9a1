internal import Glibc

/// Pages of memory, zero at first: weights, arenas, scratch.
///
/// Mapped, not allocated, so that all of them go back when the owner goes; many ask for huge pages.
final class Pages: @unchecked Sendable {
  let base: UnsafeMutableRawPointer
  /// Whole pages.
  let byteCount: Int

  /// Above this size a translation a 4-KiB page costs more than the memory that huge pages may waste.
  private static let hugePageBytes = 4 << 20

  /// Room for `bytes` bytes at least.
  init(bytes: Int) {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    byteCount = max(page, (bytes + page - 1) / page * page)
    guard let base = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      base != MAP_FAILED
    else { preconditionFailure("no memory for \(bytes) bytes") }
    if byteCount >= Self.hugePageBytes { madvise(base, byteCount, MADV_HUGEPAGE) }
    self.base = base
  }

  deinit { munmap(base, byteCount) }
}
