import Glibc
import TestSupport
import Testing

/// The KServe V2 protocol: raw requests always, and a real client.
@Suite(.serialized, .timeLimit(.minutes(20)))
struct InferenceTests {
  private static let count = 3 * 224 * 224

  /// A smooth tensor, so that its numbers are short in JSON.
  private static func tensor() -> [Float] { (0..<count).map { Float($0 % 256) / 128 - 1 } }

  private static func binary(_ numbers: [Float]) -> [UInt8] {
    numbers.flatMap { number in withUnsafeBytes(of: number.bitPattern.littleEndian) { Array($0) } }
  }

  @Test func answersRawRequests() throws {
    let daemon = DaemonProcess()
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    #expect(daemon.get("/v2/health/live")?.status == 200)
    #expect(daemon.get("/v2/health/ready")?.status == 200)
    #expect(daemon.get("/v2")?.text.contains("binary_tensor_data") == true)
    let metadata = try #require(daemon.get("/v2/models/default")?.text)
    #expect(metadata.contains("\"shape\":[-1,3,224,224]") && metadata.contains("\"shape\":[-1,1000]"), "\(metadata)")
    #expect(daemon.get("/v2/models/default/ready")?.status == 200)
    #expect(daemon.get("/v2/models/other")?.status == 404)
    #expect(daemon.get("/v2/models/default/versions/0/ready")?.status == 404)

    let data = Self.tensor().map { "\($0)" }.joined(separator: ",")
    let head = "{\"id\":\"seven\",\"inputs\":[{\"name\":\"input\",\"datatype\":\"FP32\",\"shape\":[1,3,224,224],"
    let plain = try #require(
      daemon.post("/v2/models/default/infer", Array("\(head)\"data\":[\(data)]}]}".utf8)))
    #expect(plain.status == 200 && plain.text.contains("\"id\":\"seven\""), "\(plain.text.prefix(200))")
    let json =
      "\(head)\"parameters\":{\"binary_data_size\":\(Self.count * 4)}}],\"outputs\":[{\"name\":\"output\","
      + "\"parameters\":{\"binary_data\":true}}]}"
    let length = ("Inference-Header-Content-Length", "\(json.utf8.count)")
    let sent = Array(json.utf8) + Self.binary(Self.tensor())
    let packed = try #require(daemon.post("/v2/models/default/infer", sent, headers: [length]))
    let headLength = try #require(packed.headers["inference-header-content-length"].flatMap { Int($0) })
    #expect(packed.status == 200 && packed.body.count == headLength + 4000)
    // Both forms tell the same numbers.
    let first = packed.body[headLength..<headLength + 4].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    let listed = plain.text.split(separator: "\"data\":[").last?.prefix { $0 != "," } ?? ""
    #expect(abs((Float(listed) ?? .nan) - Float(bitPattern: first)) < 1e-4)

    for (body, headers) in [
      (Array("{".utf8), []), (Array("{}".utf8), []), (Array("\(head)\"data\":[1,2]}]}".utf8), []),
      (Array("\(head.replacing("FP32", with: "INT8"))\"data\":[1]}]}".utf8), []),
      (Array("\(head.replacing("[1,3,224,224]", with: "[999999,3,224,224]"))\"data\":[1]}]}".utf8), []),
      (Array("\(head.replacing("\"input\"", with: "\"x\""))\"data\":[1]}]}".utf8), []),
      (Array(sent.dropLast()), [length]), (sent, [("Inference-Header-Content-Length", "99999999")]),
      (sent, [("Inference-Header-Content-Length", "-1")]), (sent, []),
    ] as [([UInt8], [(String, String)])] {
      let refused = daemon.post("/v2/models/default/infer", body, headers: headers)
      #expect(refused?.status == 400 && refused?.text.hasPrefix("{\"error\":") == true, "\(refused?.text ?? "")")
    }
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0)
  }

  @Test(.enabled(if: PeerPython.has("tritonclient.http, numpy"))) func servesTheTritonClient() throws {
    let python = try #require(PeerPython.path)
    let daemon = DaemonProcess()
    let port = try #require(RawHTTP.freePort())
    daemon.listen = ["127.0.0.1:\(port)"]
    daemon.configure(after: "keep", settleMilliseconds: 100)
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    let script = "\(DaemonProcess.repository)/Tests/Peers/kserve_client.py"
    let ran = Ran(python, [script, "127.0.0.1:\(port)", "default"], in: daemon.scratch)
    #expect(ran.status == 0 && ran.output.contains("all answered"), "\(ran)")
    // A port is for asking; what changes something is refused there, and so is a page of another site.
    let client = try #require(RawHTTP(port: port))
    client.request("POST", "/v1/pause", host: "localhost:\(port)")
    #expect(client.answer()?.status == 403)
    let rebound = try #require(RawHTTP(port: port))
    rebound.request("GET", "/metrics", host: "evil.example:\(port)")
    #expect(rebound.answer()?.status == 403)
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0)
  }
}
