import Glibc
import Synchronization
import TestSupport
import Testing

/// Pictures over HTTP.
@Suite(.serialized, .timeLimit(.minutes(20)))
struct ClassifyTests {
  private static func photo(_ name: String) -> [UInt8] {
    Files.read("\(DaemonProcess.repository)/examples/photos/\(name)") ?? []
  }

  @Test func answersOneAndManyAndRefusesTheRest() throws {
    let daemon = DaemonProcess()
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    let photos = Files.names(in: "\(DaemonProcess.repository)/examples/photos").filter { $0.hasSuffix(".jpg") }
    let name = try #require(photos.first)
    let one = try #require(daemon.post("/v1/classify", Self.photo(name)))
    #expect(one.status == 200 && one.text.contains("\"status\":\"ok\""), "\(one.text)")
    // The folder's answer to the same bytes has the same labels.
    Files.write(Self.photo(name), to: "\(daemon.inbox)/same.jpg")
    #expect(eventually { Files.text(daemon.json).contains("same.jpg") }, "\(daemon.log)")
    let record = Files.text(daemon.json)
    #expect(Self.labels(one.text) == Self.labels(record) && Self.labels(one.text).count == 5)

    var form = Array("".utf8)
    for name in photos.prefix(4) {
      form += Array("--edge\r\nContent-Disposition: form-data; name=\"f\"; filename=\"\(name)\"\r\n\r\n".utf8)
      form += Self.photo(name) + Array("\r\n".utf8)
    }
    form += Array("--edge\r\nContent-Disposition: form-data; name=\"f\"; filename=\"text.txt\"\r\n\r\nhello\r\n".utf8)
    form += Array("--edge--\r\n".utf8)
    let many = try #require(
      daemon.post("/v1/classify", form, headers: [("Content-Type", "multipart/form-data; boundary=edge")]))
    #expect(many.status == 200 && many.text.hasPrefix("[{"), "\(many.text)")
    let places = photos.prefix(4).compactMap { many.text.firstRange(of: "\"path\":\"\($0)\"")?.lowerBound }
    #expect(places.count == min(4, photos.count) && places == places.sorted())
    #expect(many.text.contains("\"path\":\"text.txt\"") && many.text.contains("it is neither JPEG nor PNG"))

    let photo = Self.photo(name)
    for (status, answer) in [
      (400, daemon.post("/v1/classify")), (415, daemon.post("/v1/classify", Array("hello".utf8))),
      (400, daemon.post("/v1/classify", Array(photo.prefix(200)))),
      (404, daemon.post("/v1/classify?model=other", photo)),
      (415, daemon.post("/v1/classify", photo, headers: [("Content-Encoding", "gzip")])),
      (400, daemon.post("/v1/classify?timeout_ms=0", photo)), (405, daemon.get("/v1/classify")),
    ] {
      #expect(answer?.status == status, "\(answer?.text ?? "no answer")")
      #expect(answer?.text.hasPrefix("{\"error\":\"") == true)
    }
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0)
    #expect(Results(of: daemon).csv == ["same.jpg"])
  }

  @Test func aPictureThatComesAloneIsComputedByAllWorkers() throws {
    let daemon = DaemonProcess()
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    let file = "\(DaemonProcess.repository)/examples/photos/cat.jpg"
    let photo = try #require(Files.read(file))
    var answers: Set<Substring> = []
    // So often that what the other worker took of it shows in ticks of 10 ms.
    for _ in 0..<40 {
      let answer = try #require(daemon.post("/v1/classify", photo)).text
      answers.insert(answer[(answer.firstRange(of: "\"predictions\"")?.lowerBound ?? answer.startIndex)...])
    }
    let model = "\(DaemonProcess.repository)/models/default.swiftweights"
    let tool = Ran("\(DaemonProcess.products)/lookout", ["classify", "--json", "--model", model, file], in: Scratch())
    #expect(answers.count == 1 && Self.labels(String(answers.first ?? "")) == Self.labels(tool.output), "\(answers)")
    #expect(daemon.ticks(ofThread: "lane-1") ?? 0 > 0)
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0)
  }

  @Test func sharesTheEngineWithTheFolders() {
    let daemon = DaemonProcess()
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    let pictures = 150
    for number in 0..<pictures {
      Files.write(TestPicture.bmp(number: number), to: "\(daemon.inbox)/p\(number).bmp")
    }
    // While the folder has plenty of work, requests are answered, and while requests come, the folder goes on.
    let clients = (0..<6).compactMap { _ in RawHTTP(unix: daemon.httpSocket) }
    #expect(clients.count == 6)
    var answered = 0
    var round = 0
    while Results(of: daemon).csv.count < pictures, round < 400 {
      for (index, client) in clients.enumerated() {
        client.request("POST", "/v1/classify", body: TestPicture.bmp(number: 10_000 + round * 10 + index))
      }
      for client in clients {
        let answer = client.answer(within: 60)
        #expect(answer?.status == 200, "\(answer?.text ?? "no answer")")
        answered += 1
      }
      round += 1
    }
    #expect(Results(of: daemon).csv.count == pictures)
    #expect(answered >= 6)
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0)
  }

  private static func labels(_ json: String) -> [String] {
    json.split(separator: "\"label\":\"").dropFirst().map { String($0.prefix { $0 != "\"" }) }
  }
}
