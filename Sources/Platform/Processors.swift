internal import Glibc

/// The machine's processors.
package enum Processors {
  /// How many are online, at least one (`sysconf(3)`); a cgroup's quota or an affinity mask may leave a process fewer.
  package static var count: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
}
