// What a sink host gives up before it loads a plugin: the plugin's code, its constructors included, never ran with more.

internal import CConfine
internal import Glibc
package import SinkProtocol

/// Confines the calling process for good.
package enum Confinement {
  /// A kernel that lacks a part of it; the text is one line for the journal.
  package struct Gap: Error, Equatable, CustomStringConvertible {
    package let description: String
  }

  /// The most memory a plugin's process may hold for data, in bytes.
  package static let dataLimit: UInt = 1 << 30

  /// Gives up rights; call it on the only thread of the process.
  ///
  /// Under `.strict` and `.network` the process may read the system's folders and `readable`, write below `writable`
  /// and nowhere else, start no other program or process, signal and inspect no other process; under `.strict` it
  /// opens no socket either. Every mode gives up gaining privileges.
  ///
  /// - Returns: What this kernel cannot forbid; the rest is in force.
  package static func enter(_ sandbox: SinkSandbox, readable: [String], writable: [String]) -> [Gap] {
    var gaps: [Gap] = []
    if lookout_no_new_privileges() != 0 { gaps.append(gap("new privileges are not forbidden", errno)) }
    guard sandbox != .off else { return gaps }
    limitData()
    if let first = writable.first {
      // Where libraries put temporary files, which are no outputs of the plugin.
      setenv("TMPDIR", first, 1)
    }
    let version = lookout_landlock_version()
    if version == 0 {
      gaps.append(gap("this kernel has no Landlock: files of other sinks are guarded by their rights alone", nil))
    } else if let failed = FileRules(version: version).enter(
      readable: readable, writable: writable, allowingNetwork: sandbox == .network)
    {
      gaps.append(failed)
    }
    #if arch(x86_64)
      let filter = SystemCallFilter(process: getpid(), allowingNetwork: sandbox == .network)
      if filter.install() != 0 { gaps.append(gap("system calls are not filtered", errno)) }
    #else
      gaps.append(gap("system calls are not filtered on this architecture", nil))
    #endif
    return gaps
  }

  private static func limitData() {
    // A sanitizer's shadow memory alone is larger than any sensible limit.
    guard dlsym(nil, "__asan_init") == nil, dlsym(nil, "__tsan_init") == nil else { return }
    var limit = rlimit(rlim_cur: dataLimit, rlim_max: dataLimit)
    setrlimit(__rlimit_resource_t(RLIMIT_DATA.rawValue), &limit)
  }

  static func gap(_ text: String, _ code: Int32?) -> Gap {
    Gap(description: code.map { "\(text): \(String(cString: strerror($0)))" } ?? text)
  }
}
