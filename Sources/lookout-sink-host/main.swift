// lookout-sink-host: one sink plugin in a process of its own, driven by the daemon over descriptor 3.
//
// The main thread makes every call into the plugin. A second thread only waits for the daemon to go away and then ends the
// process, so that a plugin stuck in a call does not outlive its daemon.

internal import Confinement
internal import Glibc
internal import SinkProtocol

var status = stat()
guard fstat(daemonDescriptor, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else {
  complain("is started by lookoutd, with a socket as descriptor 3")
  exit(EX_USAGE)
}
let sandbox = CommandLine.arguments.count == 2 ? SinkSandbox(rawValue: CommandLine.arguments[1]) : nil
guard let sandbox else {
  complain("takes one argument, one of: \(SinkSandbox.allCases.map(\.rawValue).joined(separator: ", "))")
  exit(EX_USAGE)
}
closeInheritedDescriptors()

let wire = Wire(FrameSocket(owning: daemonDescriptor))
guard case .hello(let path, let config, let position) = wire.receive() else {
  complain("the daemon's first frame is no greeting")
  exit(EX_PROTOCOL)
}
// Before any other thread and any code of the plugin; what is loaded from beside it, or from beside the file that a link
// stands for, stays readable.
let target = realpath(path, nil).map { resolved in
  defer { free(resolved) }
  return String(cString: resolved)
}
let folders = [path, target ?? path].map { path in path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "/" }
for gap in Confinement.enter(sandbox, readable: folders, writable: OutputFolders.named(in: config)) {
  wire.send(.log(.warning, "\(SinkSandbox.gapMark)\(gap)"))
}
endWithTheDaemon()
do {
  let plugin = try PluginHost(path: path, config: config, resumePosition: position, wire: wire)
  wire.send(.opened(name: plugin.name, version: plugin.version))
  plugin.serve()
} catch {
  wire.send(.failed(error.verdict))
}
exit(0)
