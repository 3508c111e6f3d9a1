internal import Engine
internal import Glibc
internal import Platform

/// `lookout status`: how the service is, again and again on a terminal.
enum StatusCommand {
  static func run(_ words: [String]) throws(Failure) {
    let arguments = try Arguments(words, options: ServiceClient.options, switches: ["--json", "--once"])
    guard arguments.operands.isEmpty else { throw .usage("status takes no operand") }
    let client = ServiceClient(arguments)
    if arguments.has("--json") {
      write(try client.ask("GET", "/v1/status").body)
      return
    }
    guard isatty(STDOUT_FILENO) == 1, !arguments.has("--once") else {
      let view = StatusView(try client.ask("GET", "/v1/status").json(), before: nil)
      print(view.lines.joined(separator: "\n"))
      return
    }
    try live(client)
  }

  /// Redraws each second until the user interrupts it.
  private static func live(_ client: ServiceClient) throws(Failure) {
    var before: (status: JSON, at: Int64)?
    while true {
      let status = try client.ask("GET", "/v1/status").json()
      let now = Clock.monotonicNanoseconds()
      let seconds = before.map { Double(now - $0.at) / 1e9 }
      let view = StatusView(status, before: before.flatMap { before in seconds.map { (before.status, $0) } })
      // Home, the lines each cleared to their end, then everything below.
      let picture = "\u{1B}[H" + view.lines.map { "\($0)\u{1B}[K\n" }.joined() + "\u{1B}[J"
      write(Array(((before == nil ? "\u{1B}[2J" : "") + picture).utf8))
      before = (status, now)
      Clock.pause(milliseconds: 1000)
    }
  }
}

/// Sends bytes to standard output.
func write(_ bytes: [UInt8]) {
  var done = 0
  while done < bytes.count {
    let count = bytes.withUnsafeBytes {
      Glibc.write(STDOUT_FILENO, $0.baseAddress?.advanced(by: done), bytes.count - done)
    }
    guard count > 0 else { return }
    done += count
  }
}
