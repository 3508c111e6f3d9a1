/// How far a sink's process is confined beyond the service's own sandbox.
package enum SinkSandbox: String, CaseIterable, Sendable {
  /// Writes below the folders that its configuration names, opens no socket, starts no program.
  case strict
  /// The same, but sockets are open to it, as far as the service itself has a network.
  case network
  /// Only what confines the whole service.
  case off

  /// How a host's log line begins that tells what the kernel cannot forbid.
  package static let gapMark = "the sandbox has a gap: "
}
