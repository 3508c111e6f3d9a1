import Glibc
import TestSupport
import Testing

/// The daemon's HTTP face, asked as its users ask it.
@Suite(.serialized, .timeLimit(.minutes(20)))
struct HTTPTests {
  @Test func tellsHealthAndMetricsOverTheSocket() throws {
    let daemon = DaemonProcess()
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    #expect(daemon.get("/livez")?.text == "{\"status\":\"live\",\"reasons\":[]}\n")
    #expect(daemon.get("/readyz")?.text == "{\"status\":\"ready\",\"reasons\":[]}\n")
    Files.write(TestPicture.bmp(number: 1), to: "\(daemon.inbox)/one.bmp")
    #expect(eventually { daemon.get("/metrics")?.text.contains("\nlookout_disposed_files_total 1\n") == true })
    let page = try #require(daemon.get("/metrics")?.text)
    #expect(page.contains("\nlookout_answered_images_total 1\n"))
    #expect(page.contains("\nlookout_sink_lag_records{sink=\"table\"} 0\n"))
    #expect(daemon.get("/nothing")?.status == 404)
    #expect(faults(ofMetrics: page) == [])
    // Prometheus' own judge, where it is installed.
    if Files.exists("/usr/bin/promtool") {
      Files.write(Array(page.utf8), to: daemon.scratch("metrics"))
      let judged = Ran("sh", ["-c", "promtool check metrics <\(daemon.scratch("metrics"))"], in: daemon.scratch)
      #expect(judged.status == 0, "\(judged)")
      let rules = Ran(
        "promtool", ["check", "rules", "\(DaemonProcess.repository)/config/prometheus/lookout.rules.yml"],
        in: daemon.scratch)
      #expect(rules.status == 0, "\(rules)")
    }
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0)
    #expect(!Files.exists(daemon.httpSocket))
  }

  @Test func showsAPageThatOnlyOperatorsReadNamesOn() throws {
    let daemon = DaemonProcess()
    let port = try #require(RawHTTP.freePort())
    daemon.listen = ["127.0.0.1:\(port)"]
    daemon.configure(after: "keep", settleMilliseconds: 100)
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    Files.write(Array("no picture".utf8), to: "\(daemon.inbox)/<script>alert(1)<&\".jpg")
    let name = "/&lt;script&gt;alert(1)&lt;&amp;&quot;.jpg"
    #expect(eventually { daemon.get("/")?.text.contains(name) == true }, "\(daemon.get("/")?.text ?? "no answer")")
    let page = try #require(daemon.get("/"))
    #expect(page.status == 200 && page.headers["content-type"] == "text/html; charset=utf-8")
    #expect(page.headers["content-security-policy"]?.contains("default-src 'none'") == true)
    for shown in ["<td>inbox</td>", "<td>candidates</td>", "<td>archive</td>", "<td>default</td>", "Last failures"] {
      #expect(page.text.contains(shown), "\(shown) is missing:\n\(page.text)")
    }
    for unwanted in ["<script", "src=", "href=", "url("] { #expect(!page.text.contains(unwanted), "\(page.text)") }
    let client = try #require(RawHTTP(port: port))
    client.request("GET", "/", host: "localhost:\(port)")
    let stranger = try #require(client.answer())
    #expect(stranger.status == 200 && stranger.text.contains("Last failures"))
    #expect(stranger.text.contains("<td>inbox</td>") && !stranger.text.contains("alert(1)"), "\(stranger.text)")
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0)
  }

  /// As `systemctl reload` does it, with a configuration that already names another socket.
  @Test func aReloadThatMovesTheSocketIsAskedForAtTheOldOne() {
    let daemon = DaemonProcess()
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    func reload() -> Ran {
      Ran("\(DaemonProcess.products)/lookout", ["reload", "--config", daemon.configuration], in: daemon.scratch)
    }
    for name in ["moved.sock", "again.sock"] {
      let former = daemon.httpSocket
      daemon.socketName = name
      daemon.configure(extra: "[nonsense]\nkey = 1\n")
      let refused = reload()
      #expect(refused.status == 78 && refused.errors.contains("nonsense"), "\(refused)")
      #expect(!Files.exists(daemon.httpSocket) && RawHTTP(unix: former) != nil)
      daemon.configure()
      let done = reload()
      #expect(done.status == 0, "\(done) \(daemon.log)")
      #expect(daemon.get("/livez")?.status == 200)
      #expect(eventually { !Files.exists(former) })
    }
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0)
    #expect(Files.names(in: daemon.scratch("run")).isEmpty)
  }

  /// Who is taken on is answered; who is not hears so at once, and when to come again.
  @Test func refusesPicturesWhenItIsFull() throws {
    let daemon = DaemonProcess()
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    let photo = try #require(Files.read("\(DaemonProcess.repository)/examples/photos/astronaut.jpg"))
    var form: [UInt8] = []
    for number in 0..<255 {
      form += Array("--part\r\nContent-Disposition: form-data; name=\"f\"; filename=\"\(number).jpg\"\r\n\r\n".utf8)
      form += photo + Array("\r\n".utf8)
    }
    form += Array("--part--\r\n".utf8)
    let clients = try (0..<3).map { _ in try #require(RawHTTP(unix: daemon.httpSocket)) }
    for client in clients {
      client.request(
        "POST", "/v1/classify?timeout_ms=60000", headers: [("Content-Type", "multipart/form-data; boundary=part")],
        body: form)
    }
    let answers = try clients.map { try #require($0.answer(within: 90)) }
    #expect(answers[0].status == 200 && answers[0].text.hasPrefix("[{\"id\":"), "\(answers[0].text.prefix(200))")
    let refused = answers.filter { $0.status != 200 }
    #expect(!refused.isEmpty && refused.allSatisfy { $0.status == 503 && $0.headers["retry-after"] == "1" })
    #expect(daemon.post("/v1/classify", photo)?.status == 200)
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0)
  }

  @Test func reloadsItsAddressesAndRefusesBadOnes() throws {
    let daemon = DaemonProcess()
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    let second = daemon.scratch("run/second.sock")
    daemon.listen = ["unix:\(second)"]
    daemon.configure(after: "keep", settleMilliseconds: 100)
    daemon.signal(SIGHUP)
    #expect(eventually { RawHTTP(unix: second) != nil }, "\(daemon.log)")
    #expect(daemon.get("/livez")?.status == 200)
    daemon.listen = ["unix:\(daemon.scratch("no/folder/x.sock"))"]
    daemon.configure(after: "keep", settleMilliseconds: 100)
    daemon.signal(SIGHUP)
    #expect(eventually { daemon.log.contains("reload refused") }, "\(daemon.log)")
    #expect(daemon.get("/readyz")?.status == 200)
    #expect(RawHTTP(unix: second) != nil)
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0)
  }
}

extension DaemonProcess {
  /// Asks over the Unix socket.
  func get(_ path: String) -> RawHTTP.Answer? {
    guard let client = RawHTTP(unix: httpSocket) else { return nil }
    client.request("GET", path)
    return client.answer()
  }
}

/// What breaks the text format of Prometheus: a sample outside its family, a value that is no number, buckets that fall.
private func faults(ofMetrics page: String) -> [String] {
  var faults: [String] = []
  var family = (name: "", kind: "", isHelped: false)
  var bucket = (series: "", count: 0.0)
  for line in page.split(separator: "\n") {
    let words = line.split(separator: " ")
    if line.hasPrefix("# HELP ") {
      family = (String(words[2]), "", true)
    } else if line.hasPrefix("# TYPE ") {
      if !family.isHelped || words[2] != family.name { faults.append("no help: \(line)") }
      family.kind = String(words[3])
    } else {
      let name = String(line.prefix { $0 != "{" && $0 != " " })
      let isOfFamily =
        family.kind == "histogram"
        ? ["_bucket", "_sum", "_count"].contains { name == family.name + $0 } : name == family.name
      guard isOfFamily, let value = words.last.flatMap({ Double($0) }) else {
        faults.append("stray: \(line)")
        continue
      }
      let series = name + line.split(separator: "le=\"")[0].dropFirst(name.count)
      if name.hasSuffix("_bucket"), series == bucket.series, value < bucket.count { faults.append("falls: \(line)") }
      if name.hasSuffix("_bucket") { bucket = (series, value) }
      if family.kind == "histogram", name.hasSuffix("_count"), value != bucket.count {
        faults.append("last bucket is not the count: \(line)")
      }
    }
  }
  return faults + (page.hasSuffix("\n") ? [] : ["no line end"])
}
