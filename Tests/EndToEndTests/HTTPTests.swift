import Glibc
import TestSupport
import Testing

/// The daemon's HTTP face, asked as its users ask it.
@Suite(.serialized, .timeLimit(.minutes(3)))
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
    #expect(daemon.get("/")?.status == 404)
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0)
    #expect(!Files.exists(daemon.httpSocket))
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
