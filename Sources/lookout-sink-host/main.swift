// lookout-sink-host: one sink plugin in a process of its own, driven by the daemon over descriptor 3.
//
// The main thread makes every call into the plugin. A second thread only waits for the daemon to go away and then ends the
// process, so that a plugin stuck in a call does not outlive its daemon.

internal import Glibc
internal import SinkProtocol

var status = stat()
guard fstat(daemonDescriptor, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else {
  complain("is started by lookoutd, with a socket as descriptor 3")
  exit(EX_USAGE)
}
closeInheritedDescriptors()
endWithTheDaemon()

let wire = Wire(FrameSocket(owning: daemonDescriptor))
guard case .hello(let path, let config, let position) = wire.receive() else {
  complain("the daemon's first frame is no greeting")
  exit(EX_PROTOCOL)
}
do {
  let plugin = try PluginHost(path: path, config: config, resumePosition: position, wire: wire)
  wire.send(.opened(name: plugin.name, version: plugin.version))
  plugin.serve()
} catch {
  wire.send(.failed(error.verdict))
}
exit(0)
