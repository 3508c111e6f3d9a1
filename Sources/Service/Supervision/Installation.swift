internal import Glibc
internal import Platform

/// Where the parts of an installation are, seen from the running program.
package enum Installation {
  /// The sink host: `$LOOKOUT_SINK_HOST`, or beside the program (a build folder), or in `../lib/lookout` (installed).
  package static var sinkHostPath: String {
    if let named = getenv("LOOKOUT_SINK_HOST") { return String(cString: named) }
    let folder = programFolder
    for candidate in ["\(folder)/lookout-sink-host", "\(folder)/../lib/lookout/lookout-sink-host"]
    where access(candidate, X_OK) == 0 {
      return candidate
    }
    return "/usr/lib/lookout/lookout-sink-host"
  }

  /// The plugin kit: `$LOOKOUT_KIT`, or in `../share/lookout/kit` (installed), or the package's.
  package static var kitPath: String {
    if let named = getenv("LOOKOUT_KIT") { return String(cString: named) }
    let packaged = "/usr/share/lookout/kit"
    guard let resolved = realpath("\(programFolder)/../share/lookout/kit", nil) else { return packaged }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  private static var programFolder: String {
    var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = buffer.withUnsafeMutableBytes { bytes -> Int in
      guard let base = bytes.bindMemory(to: CChar.self).baseAddress else { return -1 }
      return readlink("/proc/self/exe", base, bytes.count)
    }
    guard count > 0 else { return "." }
    let path = Path(Array(buffer[..<count]))
    return path.parent.displayed
  }
}
