internal import Engine
internal import Platform

/// The commands that change something in the running service; each is one request.
enum OperateCommands {
  static func pause(_ words: [String]) throws(Failure) {
    try simple(words, "/v1/pause", done: "intake is paused; what was taken goes on. Resume with: lookout resume")
  }

  static func resume(_ words: [String]) throws(Failure) {
    try simple(words, "/v1/resume", done: "intake goes on")
  }

  /// Waits until the reload is done.
  static func reload(_ words: [String]) throws(Failure) {
    try simple(words, "/v1/reload", done: "reloaded")
  }

  private static func simple(_ words: [String], _ path: String, done: String) throws(Failure) {
    let arguments = try Arguments(words, options: ServiceClient.options, switches: ["--json"])
    guard arguments.operands.isEmpty else { throw .usage("\(path.dropFirst(4)) takes no operand") }
    let answer = try ServiceClient(arguments).ask("POST", path)
    if arguments.has("--json") { write(answer.body) } else { print(done) }
  }

  /// Pauses, and waits until everything that was taken is delivered and has left.
  static func drain(_ words: [String]) throws(Failure) {
    let arguments = try Arguments(
      words, options: ServiceClient.options.union(["--timeout"]), switches: ["--json"])
    guard arguments.operands.isEmpty else { throw .usage("drain takes no operand") }
    let seconds = arguments["--timeout"] ?? "600"
    do throws(Failure) {
      let answer = try ServiceClient(arguments).ask("POST", "/v1/drain", query: [("timeout_s", seconds)])
      if arguments.has("--json") { return write(answer.body) }
      print("drained; intake stays paused. Resume with: lookout resume")
    } catch {
      guard error.code == 75, let body = error.body,
        let json = try? JSON(parsing: String(decoding: body, as: UTF8.self)), json["drained"] != nil
      else { throw error }
      if arguments.has("--json") { write(body) }
      throw Failure(
        code: 75,
        message: "not drained in \(seconds) s: \(json["images"]?.whole ?? 0) images without result, "
          + "\(json["deliveries"]?.whole ?? 0) wait for sinks, \(json["files"]?.whole ?? 0) cannot leave; "
          + "intake stays paused")
    }
  }

  /// Sends the dead letters of one sink, or of all, once more.
  static func redrive(_ words: [String]) throws(Failure) {
    let arguments = try Arguments(words, options: ServiceClient.options, switches: ["--json"])
    guard arguments.operands.count <= 1 else { throw .usage("redrive takes at most one sink") }
    let answer = try ServiceClient(arguments).ask(
      "POST", "/v1/redrive", query: arguments.operands.map { ("sink", $0) })
    if arguments.has("--json") { return write(answer.body) }
    for sent in try answer.json()["redriven"]?.items ?? [] {
      print("sink \(sent["sink"]?.asText ?? ""): \(sent["records"]?.whole ?? 0) dead letters sent again")
    }
  }

  /// `quarantine list` and `quarantine release ID…`.
  static func quarantine(_ words: [String]) throws(Failure) {
    let arguments = try Arguments(
      Array(words.dropFirst()), options: ServiceClient.options.union(["--limit", "--before"]),
      switches: ["--json", "--all"])
    switch words.first {
    case "list": try list(arguments)
    case "release": try release(arguments)
    default: throw .usage("quarantine takes list or release")
    }
  }

  private static func list(_ arguments: Arguments) throws(Failure) {
    guard arguments.operands.isEmpty else { throw .usage("quarantine list takes no operand") }
    var query = [("limit", arguments["--limit"] ?? "100")]
    if let before = arguments["--before"] { query.append(("before", before)) }
    let answer = try ServiceClient(arguments).ask("GET", "/v1/quarantine", query: query)
    if arguments.has("--json") { return write(answer.body) }
    for file in try answer.json()["files"]?.items ?? [] {
      func shown(_ name: String) -> String { Path(Array((file[name]?.asText ?? "").utf8.filter { $0 != 0 })).displayed }
      print("\(shown("id"))  \(shown("final_path"))\n  \(shown("reason"))")
    }
  }

  private static func release(_ arguments: Arguments) throws(Failure) {
    let client = ServiceClient(arguments)
    var ids = arguments.operands
    if arguments.has("--all") {
      guard ids.isEmpty else { throw .usage("quarantine release takes ids or --all, not both") }
      let listed = try client.ask("GET", "/v1/quarantine", query: [("limit", "10000")]).json()
      ids = (listed["files"]?.items ?? []).compactMap { $0["id"]?.asText }
    } else if ids.isEmpty {
      throw .usage("quarantine release takes ids, or --all")
    }
    for id in ids {
      let answer = try client.ask("POST", "/v1/quarantine/release", query: [("id", id)])
      if arguments.has("--json") {
        write(answer.body)
      } else {
        print("\(id)  is back as \(Path(try answer.json()["path"]?.asText ?? "").displayed)")
      }
    }
  }
}
