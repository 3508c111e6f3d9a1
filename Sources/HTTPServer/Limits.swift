/// What one client, and all of them together, may cost.
package struct Limits: Sendable {
  /// Connections at once on each address; further ones wait in the kernel's queue.
  package var connections = 64
  /// The longest body of one request in bytes.
  package var bodyBytes = 64 << 20
  /// All bodies in memory at once, in bytes.
  package var allBodyBytes = 256 << 20
  /// The most files of one form.
  package var parts = 256
  /// Memory for one connection's head and buffers in bytes; a longer head is refused with 431.
  package var headBytes = 32 << 10
  /// Seconds within which a request must have come whole, and a response must have been taken.
  package var transferSeconds = 30

  package init() {}
}
