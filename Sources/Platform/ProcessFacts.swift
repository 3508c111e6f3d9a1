internal import Glibc

/// What the process has used of the processors.
package enum Processor {
  /// User and system time of all threads in seconds (`getrusage`).
  package static func seconds() -> Double {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
    return seconds(usage.ru_utime) + seconds(usage.ru_stime)
  }
}

/// The process's open files.
package enum Descriptors {
  /// How many there are (`/proc/self/fd`); 0 where that cannot be read.
  package static func count() -> Int {
    // The listing itself holds one.
    max(0, ((try? Directory.list(Path("/proc/self/fd")))?.count ?? 0) - 1)
  }
}
