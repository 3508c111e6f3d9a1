internal import CShims
internal import Glibc

/// What the process costs.
package enum Memory {
  /// Returns to the kernel what was freed (`malloc_trim`), after work that allocated much and left little.
  package static func giveBack() { lookout_heap_trim() }

  /// Keeps the C heap to an arena a processor (`mallopt`, M_ARENA_MAX) instead of eight; to be called before the first thread.
  ///
  /// Each arena keeps the holes of the largest work that any of its threads ever did, and threads come and go with reloads: with
  /// sixteen arenas a small service grows by some MiB in a few hundred reloads.
  package static func limitArenas() {
    lookout_heap_arenas(Int32(clamping: max(2, Processors.count)))
  }

  /// Bytes of the process that are in memory (`/proc/self/statm`); 0 where that cannot be read.
  package static func residentBytes() -> Int {
    guard let bytes = try? AtomicFile.read(Path("/proc/self/statm"), limit: 200) else { return 0 }
    let fields = String(decoding: bytes, as: UTF8.self).split(separator: " ")
    return fields.count > 1 ? (Int(fields[1]) ?? 0) * sysconf(Int32(_SC_PAGESIZE)) : 0
  }
}
