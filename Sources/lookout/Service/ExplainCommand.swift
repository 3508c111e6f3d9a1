internal import Engine
internal import Glibc
internal import Platform

/// `lookout explain`: where an image is, and why.
enum ExplainCommand {
  static func run(_ words: [String]) throws(Failure) {
    let arguments = try Arguments(
      words, options: ServiceClient.options.union(["--id", "--sha256"]), switches: ["--json"])
    let client = ServiceClient(arguments)
    let queries: [(String, String)]
    switch (arguments.operands.first, arguments["--id"], arguments["--sha256"]) {
    case (let file?, nil, nil) where arguments.operands.count == 1:
      queries = spellings(of: file).map { ("path_hex", hex($0)) }
    case (nil, let id?, nil): queries = [("id", id)]
    case (nil, nil, let digest?): queries = [("sha256", digest)]
    default: throw .usage("explain takes one file, --id ID or --sha256 DIGEST")
    }
    var answer: ServiceClient.Answer?
    for query in queries {
      let found = try client.ask("GET", "/v1/explain", query: [query])
      if answer == nil { answer = found }
      if try !(found.json()["arrivals"]?.items ?? []).isEmpty {
        answer = found
        break
      }
    }
    guard let answer else { return }
    if arguments.has("--json") { return write(answer.body) }
    let json = try answer.json()
    let arrivals = json["arrivals"]?.items ?? []
    for arrival in arrivals { print(describe(arrival).joined(separator: "\n")) }
    if arrivals.isEmpty {
      throw Failure(
        code: 66, message: json["observation"]?.asText ?? "the service never took charge of such an image")
    }
  }

  /// The path as it was typed, made absolute, and as the kernel resolves its folder.
  private static func spellings(of file: String) -> [[UInt8]] {
    var absolute = Array(file.utf8)
    if absolute.first != UInt8(ascii: "/"), let here = realpath(".", nil) {
      absolute = Array(String(cString: here).utf8) + [UInt8(ascii: "/")] + absolute
      free(here)
    }
    var spellings = [absolute]
    let path = Path(absolute)
    if let resolved = path.parent.withCString({ realpath($0, nil) }) {
      let other = Path(String(cString: resolved)).appending(path.lastComponent).bytes
      if other != absolute { spellings.append(other) }
      free(resolved)
    }
    return spellings
  }

  private static func hex(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  private static func describe(_ arrival: JSON) -> [String] {
    func shown(_ name: String) -> String {
      Path(Array((arrival[name]?.asText ?? "").utf8.filter { $0 != 0 })).displayed
    }
    var lines = [
      "\(shown("path"))",
      "  arrival    \(shown("id")), watch \(shown("watch")), \(arrival["size_bytes"]?.whole ?? 0) bytes",
      "  admitted   \(shown("admitted"))",
    ]
    let waiting = (arrival["waiting_sinks"]?.items ?? []).compactMap(\.asText)
    switch arrival["state"]?.asText {
    case "admitted":
      lines.append("  state      waits for its result")
    case "classified" where !waiting.isEmpty:
      lines.append(
        "  state      has its result; it stays until these sinks confirm it: \(waiting.joined(separator: ", "))")
    case "classified": lines.append("  state      every sink has its result; it is about to leave")
    case "disposed":
      lines.append("  state      done \(shown("finished")): every sink has its result")
    case "quarantined": lines.append("  state      quarantined \(shown("finished"))")
    case "ignored": lines.append("  state      left alone \(shown("finished"))")
    case "vanished": lines.append("  state      gone or changed before it had a result, \(shown("finished"))")
    case let other: lines.append("  state      \(other ?? "unknown")")
    }
    if arrival["reason"]?.asText != nil { lines.append("  reason     \(shown("reason"))") }
    if arrival["final_path"] != nil { lines.append("  lies at    \(shown("final_path"))") }
    if let strikes = arrival["strikes"]?.whole, strikes > 0 {
      lines.append("  strikes    \(strikes): the service crashed with it in hand")
    }
    for letter in arrival["dead_letters"]?.items ?? [] {
      lines.append(
        "  rejected   by \(letter["sink"]?.asText ?? ""): \(letter["reason"]?.asText ?? ""); "
          + "send it again with: lookout redrive \(letter["sink"]?.asText ?? "")")
    }
    if arrival["sha256"]?.asText != nil { lines.append("  sha256     \(shown("sha256"))") }
    return lines
  }
}
