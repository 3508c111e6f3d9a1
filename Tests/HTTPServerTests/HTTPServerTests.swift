import Glibc
import HTTPServer
import Platform
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(20)))
struct HTTPServerTests {
  @Test func handsOverMethodPathQueryAndPeer() throws {
    let echo = try EchoServer.started()
    defer { echo.running.stop() }
    let client = try #require(echo.connect())
    client.request("GET", "/a%20b?x=1&y=%C3%A9")
    #expect(client.answer()?.text == "GET /a b\nquery x=1\nquery y=é\nbody 0 \nuser \(getuid())")
    // The connection is kept for the next request.
    client.request("GET", "/again")
    #expect(client.answer()?.status == 200)
    client.send("HEAD /head HTTP/1.1\r\nHost: x\r\n\r\n")
    let head = client.answer(isHead: true)
    #expect(head?.status == 200 && head?.headers["content-length"] != nil)
  }

  @Test func takesBodiesOfBothFramings() throws {
    let echo = try EchoServer.started()
    defer { echo.running.stop() }
    let client = try #require(echo.connect())
    client.request("POST", "/p", body: Array("hello".utf8))
    #expect(client.answer()?.text.contains("body 5 hello") == true)
    client.send("POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    #expect(client.answer()?.text.contains("body 5 abcde") == true)
  }

  @Test func refusesWhatIsTooLargeAndGoesOn() throws {
    var limits = Limits()
    limits.bodyBytes = 1000
    let echo = try EchoServer.started(limits)
    defer { echo.running.stop() }
    let announced = try #require(echo.connect())
    announced.request("POST", "/p", body: [UInt8](repeating: 65, count: 1001))
    #expect(announced.answer()?.status == 413)
    let chunked = try #require(echo.connect())
    chunked.send("POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in 0..<3 { chunked.send("200\r\n" + String(repeating: "A", count: 0x200) + "\r\n") }
    chunked.send("0\r\n\r\n")
    #expect(chunked.answer()?.status == 413)
    let endless = try #require(echo.connect())
    endless.send("POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n")
    #expect(endless.answer()?.status == 413)
    let exact = try #require(echo.connect())
    exact.request("POST", "/p", body: [UInt8](repeating: 65, count: 1000))
    #expect(exact.answer()?.text.contains("body 1000") == true)
  }

  @Test func boundsAllBodiesTogether() throws {
    var limits = Limits()
    limits.allBodyBytes = 1500
    let echo = try EchoServer.started(limits)
    defer { echo.running.stop() }
    let slow = try #require(echo.connect())
    slow.send("POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n" + String(repeating: "A", count: 1000))
    let isRefused = eventually {
      guard let second = echo.connect() else { return false }
      second.request("POST", "/p", body: [UInt8](repeating: 66, count: 1000))
      return second.answer()?.status == 503
    }
    #expect(isRefused)
    slow.send("A")
    #expect(slow.answer()?.status == 200)
    let third = try #require(echo.connect())
    third.request("POST", "/p", body: [UInt8](repeating: 66, count: 1000))
    #expect(third.answer()?.status == 200)
  }

  @Test func takesFormsApart() throws {
    var limits = Limits()
    limits.parts = 2
    let echo = try EchoServer.started(limits)
    defer { echo.running.stop() }
    func form(_ count: Int, isEnded: Bool = true) -> [UInt8] {
      var text = ""
      for number in 0..<count {
        text += "--part\r\nContent-Disposition: form-data; name=\"f\(number)\"; filename=\"a\(number).jpg\"\r\n"
        text += "Content-Type: image/jpeg\r\n\r\n\(String(repeating: "x", count: 100_000))\r\n"
      }
      return Array((text + (isEnded ? "--part--\r\n" : "")).utf8)
    }
    let client = try #require(echo.connect())
    let type = ("Content-Type", "multipart/form-data; boundary=part")
    client.request("POST", "/f", headers: [type], body: form(2))
    let answer = try #require(client.answer())
    #expect(answer.text.contains("part f0 a0.jpg image/jpeg 100000\npart f1 a1.jpg image/jpeg 100000"))
    for (headers, body) in [
      ([type], form(3)), ([type], form(1, isEnded: false)), ([("Content-Type", "multipart/form-data")], form(1)),
    ] {
      let client = try #require(echo.connect())
      client.request("POST", "/f", headers: headers, body: body)
      #expect(client.answer()?.status == 400)
    }
  }

  @Test func answersLaterFromAnyThread() throws {
    let echo = try EchoServer.started()
    defer { echo.running.stop() }
    let clients = (0..<8).compactMap { _ in echo.connect() }
    for client in clients { client.request("GET", "/later") }
    #expect(eventually { echo.replies.count == 8 })
    // Others are served meanwhile.
    let other = try #require(echo.connect())
    other.request("GET", "/now")
    #expect(other.answer()?.status == 200)
    let replies = echo.replies
    for reply in replies {
      reply.send(Response(status: 202, contentType: "text/plain", body: [65]))
      reply.send(Response(status: 500, contentType: "text/plain", body: []))
    }
    for client in clients { #expect(client.answer()?.status == 202) }
  }

  /// The server looks after its connections once a second; an answer must not wait for that.
  @Test func sendsALaterAnswerAtOnce() throws {
    let echo = try EchoServer.started()
    defer { echo.running.stop() }
    let client = try #require(echo.connect())
    let start = Clock.monotonicNanoseconds()
    for number in 1...40 {
      client.request("GET", "/later")
      #expect(eventually { echo.replies.count == number })
      echo.replies.last?.send(Response(status: 202, contentType: "text/plain", body: []))
      #expect(client.answer()?.status == 202)
    }
    #expect(Clock.monotonicNanoseconds() - start < 20_000_000_000, "forty answers waited for the server's clock")
  }

  @Test func refusesAHeadBeforeItsBody() throws {
    let echo = try EchoServer.started()
    defer { echo.running.stop() }
    let client = try #require(echo.connect())
    client.send("POST /forbidden HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n")
    #expect(client.answer()?.status == 403)
  }

  @Test func letsSlowAndSilentClientsGo() throws {
    var limits = Limits()
    limits.transferSeconds = 1
    let echo = try EchoServer.started(limits)
    defer { echo.running.stop() }
    let silent = try #require(echo.connect())
    let halfHead = try #require(echo.connect())
    halfHead.send("GET / HTTP/1.1\r\nHos")
    let halfBody = try #require(echo.connect())
    halfBody.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
    let dripping = try #require(echo.connect())
    dripping.send("GET / HTTP/1.1\r\n")
    let isCut = eventually {
      // A byte now and then keeps no connection alive.
      Clock.pause(milliseconds: 50)
      return !dripping.send("x")
    }
    #expect(isCut)
    for client in [silent, halfHead, halfBody] { #expect(client.isClosed(within: 20)) }
    let client = try #require(echo.connect())
    client.request("GET", "/")
    #expect(client.answer()?.status == 200)
  }

  @Test func servesAgainWhenIdleConnectionsAreOver() throws {
    var limits = Limits()
    limits.connections = 3
    limits.transferSeconds = 1
    let echo = try EchoServer.started(limits)
    defer { echo.running.stop() }
    let idle = (0..<3).compactMap { _ in echo.connect() }
    #expect(idle.count == 3)
    let isServed = eventually {
      guard let client = echo.connect() else { return false }
      client.request("GET", "/")
      return client.answer(within: 5)?.status == 200
    }
    #expect(isServed)
    withExtendedLifetime(idle) {}
  }

  @Test func refusesHugeHeadsAndNonsense() throws {
    let echo = try EchoServer.started()
    defer { echo.running.stop() }
    for text in [
      "GET / HTTP/1.1\r\nX: " + String(repeating: "a", count: 200_000) + "\r\n\r\n", "\u{16}\u{3}\u{1}\r\n\r\n",
      "GET / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
    ] {
      let client = try #require(echo.connect())
      client.send(text)
      client.endSending()
      let answer = client.answer()
      #expect(answer == nil || (answer?.status ?? 0) >= 400)
    }
    let client = try #require(echo.connect())
    client.request("GET", "/")
    #expect(client.answer()?.status == 200)
  }

  @Test func answersOpenRequestsWhenItStops() throws {
    let echo = try EchoServer.started()
    let client = try #require(echo.connect())
    client.request("GET", "/later")
    #expect(eventually { echo.replies.count == 1 })
    echo.running.stop()
    #expect(client.answer()?.status == 503)
    #expect(!Files.exists(echo.socket))
    for reply in echo.replies {
      reply.send(Response(status: 200, contentType: "text/plain", body: []))
    }
  }
}
