// From a path to a checked table of functions.

internal import CSinkABI
internal import Glibc
internal import SinkProtocol

/// Why a plugin cannot be used; text for the operator.
struct PluginError: Error {
  var verdict: Verdict

  static func fatal(_ reason: String) -> PluginError { PluginError(verdict: .fatal(reason)) }

  /// The file is there and is no plugin that this host can use.
  static func unusable(_ reason: String) -> PluginError { PluginError(verdict: .reject(reason)) }
}

/// Checks the file, loads it for the life of the process, and returns its checked table.
///
/// - Throws: `PluginError` naming the file, what was found and the remedy.
func loadPlugin(_ path: String) throws(PluginError) -> UnsafePointer<lookout_sink> {
  if let problem = pluginFileProblem(path) { throw .fatal(problem) }
  guard let image = dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
    throw .unusable("plugin \(path) does not load: \(dlerror().map { String(cString: $0) } ?? "unknown reason")")
  }
  guard let symbol = dlsym(image, "lookout_sink_v1") else {
    throw .unusable(
      "plugin \(path) has no symbol lookout_sink_v1: it is no sink, or one for another major version than "
        + "\(LOOKOUT_SINK_ABI_MAJOR).\(LOOKOUT_SINK_ABI_MINOR), which this host speaks")
  }
  let entry = unsafeBitCast(symbol, to: (@convention(c) () -> UnsafePointer<lookout_sink>?).self)
  guard let table = entry() else { throw .unusable("plugin \(path): lookout_sink_v1 returned no table") }
  let ours = "\(LOOKOUT_SINK_ABI_MAJOR).\(LOOKOUT_SINK_ABI_MINOR)"
  let versionEnd = MemoryLayout<lookout_sink>.offset(of: \lookout_sink.reserved) ?? 0
  guard table.pointee.struct_size >= versionEnd else {
    throw .unusable("plugin \(path) has a table of \(table.pointee.struct_size) bytes without a version; host: \(ours)")
  }
  let theirs = "\(table.pointee.abi_major).\(table.pointee.abi_minor)"
  guard Int32(table.pointee.abi_major) == LOOKOUT_SINK_ABI_MAJOR else {
    throw .unusable("plugin \(path) speaks sink ABI \(theirs), this host \(ours): rebuild it with this lookout_sink.h")
  }
  // Every member of 1.0 up to and with close, the last one.
  let needed = MemoryLayout<lookout_sink>.size
  guard table.pointee.struct_size >= needed else {
    throw .unusable(
      "plugin \(path) (sink ABI \(theirs)) has a table of \(table.pointee.struct_size) bytes; this host (\(ours)) "
        + "needs at least \(needed): set struct_size to sizeof(lookout_sink)")
  }
  guard table.pointee.open != nil, table.pointee.write != nil, table.pointee.flush != nil, table.pointee.close != nil,
    table.pointee.name != nil, table.pointee.version != nil
  else { throw .unusable("plugin \(path) has a table with an empty member") }
  return table
}
