internal import Glibc

/// The processors, and what the process has used of them.
package enum Processor {
  /// What the first one calls itself (`/proc/cpuinfo`); empty where it does not say.
  package static var name: String {
    let facts = String(decoding: (try? AtomicFile.read(Path("/proc/cpuinfo"), limit: 4 << 20)) ?? [], as: UTF8.self)
    let line = facts.split(separator: "\n").first { $0.hasPrefix("model name") }
    return line?.split(separator: ":", maxSplits: 1).last.map { String($0.drop { $0 == " " }) } ?? ""
  }

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
