internal import HTTPServer
internal import Platform

/// The Unix sockets that a service listens on now, noted in its runtime folder, one path a line.
///
/// Whoever asks for a reload finds in the configuration where the service is to listen afterwards; here stands where it
/// does so far.
enum ServedSockets {
  private static func file(in runtimeDir: String) -> Path { Path(runtimeDir).appending("listening") }

  /// Writes them down; a failure is told, and costs only tools that ask in the middle of a move.
  static func note(_ addresses: [ListenAddress], in runtimeDir: String) {
    let lines = addresses.compactMap { address -> String? in
      if case .unix(let path) = address { "\(path)\n" } else { nil }
    }
    do throws(PlatformError) {
      try AtomicFile.write(file(in: runtimeDir), Array(lines.joined().utf8), mode: 0o640)
    } catch {
      Journal.log(.warning, "cannot note where the service listens: \(error)", id: .httpFailed)
    }
  }

  /// Those of a service that runs, or of one that was killed.
  static func noted(in runtimeDir: String) -> [String] {
    let text = (try? AtomicFile.read(file(in: runtimeDir), limit: 64 << 10)) ?? []
    return String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
  }

  /// The service listens no longer.
  static func forget(in runtimeDir: String) { try? file(in: runtimeDir).unlink() }
}
