internal import Glibc

/// Floats in pages of their own, zero at first: weights, arenas, scratch.
///
/// Mapped, not allocated, so that all of it goes back when the owner goes; large ones ask for huge pages.
final class FloatMemory: @unchecked Sendable {
  let floats: UnsafeMutablePointer<Float>
  let count: Int
  /// Whole pages.
  let byteCount: Int

  /// Above this size a translation a 4-KiB page costs more than the memory that huge pages may waste.
  private static let hugePageBytes = 4 << 20

  init(count: Int) {
    self.count = count
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    byteCount = max(page, (count * 4 + page - 1) / page * page)
    guard let base = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      base != MAP_FAILED
    else { preconditionFailure("no memory for \(count) floats") }
    if byteCount >= Self.hugePageBytes { madvise(base, byteCount, MADV_HUGEPAGE) }
    floats = base.bindMemory(to: Float.self, capacity: count)
  }

  convenience init(_ values: [Float], paddedTo count: Int) {
    self.init(count: count)
    floats.update(from: values, count: min(values.count, count))
  }

  deinit { munmap(floats, byteCount) }
}
