internal import SinkProtocol

extension SinkConformance {
  /// Every check, in the order in which a failure is best read.
  package static let checks: [Check] = [
    Check(name: "opens", demand: "It opens with its options, and says its name and version.") {
      bench throws(Fault) in
      let sink = try bench.open()
      defer { sink.close() }
      guard !sink.pluginName.isEmpty, !sink.pluginVersion.isEmpty else {
        throw .failed("name \"\(sink.pluginName)\", version \"\(sink.pluginVersion)\": neither may be empty")
      }
    },
    Check(name: "refuses-unknown-options", demand: "An option that it does not know is refused by name.") {
      bench throws(Fault) in
      let configuration = bench.configuration
      let separator = configuration.filter { !$0.isWhitespace } == "{}" ? "" : ","
      let wrong = configuration.dropLast(while: { $0 != "}" }).dropLast() + "\(separator)\"colour\":\"red\"}"
      try refuses(bench, String(wrong), naming: "colour")
    },
    Check(name: "refuses-a-device", demand: "A path that is no regular file is refused.") { bench throws(Fault) in
      guard bench.configuration.contains("\"path\"") else { throw .skipped("it takes no path") }
      try refuses(bench, "{\"path\":\"/dev/full\"}", naming: "")
    },
    Check(name: "flushes-nothing", demand: "A flush without records gives a position, the same each time.") {
      bench throws(Fault) in
      let sink = try bench.open()
      defer { sink.close() }
      let first = try bench.flush(sink)
      let verdicts = try bench.call { () throws(SinkProcessError) in try sink.write([]) }
      guard verdicts.isEmpty else { throw .failed("an empty batch has \(verdicts.count) verdicts") }
      let second = try bench.flush(sink)
      guard first == second else { throw .failed("the position went from \(first) to \(second) without a record") }
    },
    Check(name: "takes-large-batches", demand: "5,000 records go in, and the next flush covers them.") {
      bench throws(Fault) in
      let sink = try bench.open()
      defer { sink.close() }
      let before = try bench.flush(sink)
      try bench.write(Bench.entries(0..<5000), to: sink)
      let after = try bench.flush(sink)
      guard before.isEmpty || before != after else {
        throw .failed("the position is still \(after) after 5,000 records")
      }
    },
    Check(name: "takes-failures", demand: "A record of a failed image is taken like any other.") {
      bench throws(Fault) in
      let sink = try bench.open()
      defer { sink.close() }
      var record = Bench.record(0)
      record.status = .failed
      record.error = "the bytes end early"
      record.predictions = []
      record.sha256 = ""
      (record.width, record.height) = (0, 0)
      try bench.write([Bench.entry(0, record)], to: sink)
      _ = try bench.flush(sink)
    },
    Check(name: "takes-awkward-texts", demand: "Quotes, line ends, formulas and paths that are no UTF-8 are taken.") {
      bench throws(Fault) in
      let sink = try bench.open()
      defer { sink.close() }
      var entries: [OutboxEntry] = []
      for (number, path) in [
        Array("/in/a,\"b\"\t\n;c.jpg".utf8), Array("/in/".utf8) + [0xFF, 0xFE], Array("/in/=1+1".utf8), [],
      ].enumerated() {
        var record = Bench.record(number)
        record.path = path
        record.predictions = (1...1000).map {
          .init(rank: UInt32($0), index: UInt32($0), label: "=\"läbel\"\n\($0)", score: 1 / Float($0))
        }
        entries.append(Bench.entry(number, record))
      }
      try bench.write(entries, to: sink)
      _ = try bench.flush(sink)
    },
    Check(name: "goes-on-at-its-position", demand: "Closed and opened at its last position, it goes on.") {
      bench throws(Fault) in
      let first = try bench.open()
      try bench.write(Bench.entries(0..<10), to: first)
      let position = try bench.flush(first)
      first.close()
      let second = try bench.open(at: position)
      defer { second.close() }
      try bench.write(Bench.entries(10..<20), to: second)
      _ = try bench.flush(second)
      try holdsOnce(bench, 0..<20)
    },
    Check(
      name: "holds-each-record-once-after-a-kill",
      demand: "Killed behind its last flush and opened there again, it holds each record once and nothing torn."
    ) { bench throws(Fault) in
      let first = try bench.open()
      _ = try bench.flush(first)
      try bench.write(Bench.entries(0..<10), to: first)
      let position = try bench.flush(first)
      try bench.write(Bench.entries(10..<20), to: first)
      first.kill()
      if isText(bench.output()) { bench.tear("torn") }
      let second = try bench.open(at: position)
      try bench.write(Bench.entries(10..<25), to: second)
      _ = try bench.flush(second)
      second.close()
      try holdsOnce(bench, 0..<25)
      guard Bench.occurrences(of: "torn", in: bench.output()) == 0 else {
        throw .failed("what stood behind the position is still there")
      }
    },
    Check(name: "survives-a-strange-position", demand: "A position that is none of its own is refused or ignored.") {
      bench throws(Fault) in
      do throws(SinkProcessError) {
        let sink = try bench.tryOpen(at: "no position of yours \u{1}", bench.configuration)
        sink.close()
      } catch .fatal, .retry {
        return
      } catch {
        throw .failed("\(error)")
      }
    },
  ]

  private static func refuses(_ bench: Bench, _ configuration: String, naming word: String) throws(Fault) {
    do throws(SinkProcessError) {
      let sink = try bench.tryOpen(configuration)
      sink.close()
    } catch .fatal("open", let reason) {
      guard word.isEmpty || reason.contains(word) else {
        throw .failed("the reason does not name \"\(word)\": \(reason)")
      }
      return
    } catch .retry where word.isEmpty {
      return
    } catch {
      throw .failed("\(error)")
    }
    throw .failed("it opens with \(configuration)")
  }

  /// Whether each id stands once in the output, where that can be seen.
  private static func holdsOnce(_ bench: Bench, _ range: Range<Int>) throws(Fault) {
    let bytes = bench.output()
    guard isText(bytes) else { throw .skipped("its output is not text below {folder}, so nothing can be counted") }
    for number in range {
      let count = Bench.occurrences(of: Bench.id(number), in: bytes)
      guard count == 1 else { throw .failed("record \(number) stands \(count) times in its output") }
    }
  }

  private static func isText(_ bytes: [UInt8]) -> Bool { !bytes.isEmpty && !bytes.contains(0) }
}

extension String {
  fileprivate func dropLast(while predicate: (Character) -> Bool) -> Substring {
    var rest = self[...]
    while let last = rest.last, predicate(last) { rest.removeLast() }
    return rest
  }
}
