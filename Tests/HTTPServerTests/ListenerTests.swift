import Glibc
import HTTPServer
import Platform
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(15)))
struct ListenAddressTests {
  @Test func readsWhatTheConfigurationSays() throws {
    #expect(try ListenAddress("unix:/run/lookout/http.sock") == .unix(path: "/run/lookout/http.sock"))
    #expect(try ListenAddress("127.0.0.1:8642") == .loopback(host: "127.0.0.1", port: 8642))
    #expect(try ListenAddress("localhost:1") == .loopback(host: "127.0.0.1", port: 1))
    #expect(try ListenAddress("[::1]:65535").description == "[::1]:65535")
  }

  @Test(arguments: [
    "", "unix:", "unix:relative", "unix:/" + String(repeating: "a", count: 107), "127.0.0.1", "127.0.0.1:",
    "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:+80", "127.0.0.1: 80", "0.0.0.0:80", "192.168.1.1:80", "[::]:80",
    "example.org:80", ":80", "::1:80", "127.0.0.1.5:80", "http://127.0.0.1:80",
  ])
  func refusesEverythingElse(text: String) {
    #expect(throws: ListenAddressError.self) { try ListenAddress(text) }
  }
}

@Suite(.serialized, .timeLimit(.minutes(15)))
struct ListenerTests {
  private let scratch = Scratch()

  @Test func replacesASocketThatADeadProcessLeft() throws {
    let path = scratch("s")
    let abandoned = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(abandoned, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    #expect(result == 0)
    close(abandoned)
    let listener = try Listener(.unix(path: path))
    #expect(try FileStatus.of(Path(path), followingLinks: false).permissions == 0o660)
    #expect(throws: HTTPServerError.self) { try Listener(.unix(path: path)) }
    listener.close()
    #expect(!Files.exists(path))
  }

  @Test func leavesForeignFilesAlone() throws {
    let path = scratch("file")
    Files.write([1], to: path)
    #expect(throws: HTTPServerError.self) { try Listener(.unix(path: path)) }
    #expect(Files.read(path) == [1])
    #expect(throws: HTTPServerError.self) { try Listener(.unix(path: scratch("no/folder/s"))) }
    let own = scratch("own")
    let listener = try Listener(.unix(path: own))
    unlink(own)
    Files.write([2], to: own)
    listener.close()
    #expect(Files.read(own) == [2])
  }

  @Test func changesAddressesWhileItRuns() throws {
    let echo = try EchoServer.started()
    defer { echo.running.stop() }
    let open = try #require(echo.connect())
    open.request("GET", "/later")
    #expect(eventually { echo.replies.count == 1 })
    let second = scratch("second.sock")
    #expect(throws: HTTPServerError.self) {
      try echo.running.prepare([.unix(path: second), .unix(path: scratch("no/such"))])
    }
    #expect(!Files.exists(second))
    echo.running.serve(try echo.running.prepare([.unix(path: second)]))
    #expect(eventually { RawHTTP(unix: second) != nil && echo.connect() == nil })
    let client = try #require(RawHTTP(unix: second))
    client.request("GET", "/")
    #expect(client.answer()?.status == 200)
    for reply in echo.replies {
      reply.send(Response(status: 200, contentType: "text/plain", body: []))
    }
    #expect(open.answer()?.status == 200)
  }

  @Test func onlyOwnersRootAndTheGroupOperate() {
    let stranger = Credentials(processID: 1, userID: 1000, groupID: 1000, supplementaryGroupIDs: [5, 6])
    #expect(!stranger.mayOperate(userID: 990, groupID: 990))
    #expect(stranger.mayOperate(userID: 990, groupID: 6))
    #expect(stranger.mayOperate(userID: 990, groupID: 1000))
    #expect(stranger.mayOperate(userID: 1000, groupID: 990))
    let root = Credentials(processID: 1, userID: 0, groupID: 0, supplementaryGroupIDs: [])
    #expect(root.mayOperate(userID: 990, groupID: 990))
  }
}
