internal import CCurl
internal import Engine
internal import Glibc
internal import Service

/// Asks the running service over its Unix socket.
struct ServiceClient {
  /// A response: its status and its body as it came.
  struct Answer {
    let status: Int
    let body: [UInt8]

    /// The body as JSON.
    func json() throws(Failure) -> JSON {
      do throws(JSON.Fault) { return try JSON(parsing: String(decoding: body, as: UTF8.self)) } catch {
        throw Failure(code: 76, message: "the service answered no JSON: \(error.reason)")
      }
    }
  }

  /// Options of every command that asks the service.
  static let options: Set<String> = ["--socket", "--config"]

  private let sockets: [String]

  /// `--socket`, else `$LOOKOUT_SOCKET`, else what the configuration (`--config`) names, else the unit's.
  init(_ arguments: Arguments) {
    if let path = arguments["--socket"] {
      sockets = [path]
    } else if let variable = getenv("LOOKOUT_SOCKET"), variable.pointee != 0 {
      sockets = [String(cString: variable)]
    } else {
      let named = Configuration.sockets(namedIn: arguments["--config"] ?? defaultConfigurationPath)
      // Another configuration is another instance's: the unit's own socket must not answer for it.
      sockets = named.isEmpty && arguments["--config"] == nil ? [Self.unitSocket] : named
    }
  }

  private static let unitSocket = "/run/lookout/http.sock"

  /// Sends a request and takes the whole answer.
  ///
  /// - Throws: `Failure` 69 if no service listens, 77 if the socket may not be used, and what `failure(_:)` says of an
  ///   answer that is no success.
  func ask(_ method: String, _ path: String, query: [(String, String)] = []) throws(Failure) -> Answer {
    var last = Failure(code: 69, message: "the configuration names no Unix socket; add one to listen, or use --socket")
    for socket in sockets {
      do throws(Failure) {
        let answer = try ask(method, path, query: query, through: socket)
        if (200..<300).contains(answer.status) { return answer }
        throw failure(answer)
      } catch {
        // Another socket may be the right one only where this one is served by nobody.
        guard error.code == 69 else { throw error }
        last = error
      }
    }
    throw last
  }

  /// What an answer that is no success means to a script.
  private func failure(_ answer: Answer) -> Failure {
    var reason = String(decoding: answer.body, as: UTF8.self)
    if let json = try? answer.json(), let text = try? json["error"]?.string("error") { reason = text }
    while reason.last?.isNewline == true { reason.removeLast() }
    let code: Int32 =
      switch answer.status {
      case 400: 64
      case 403: 77
      case 404: 66
      case 409: 78
      case 503, 504: 75
      default: 70
      }
    return Failure(code: code, message: reason, body: answer.body)
  }

  private func ask(
    _ method: String, _ path: String, query: [(String, String)], through socket: String
  ) throws(Failure) -> Answer {
    guard let handle = curl_easy_init() else { throw Failure(code: 71, message: "libcurl does not start") }
    defer { curl_easy_cleanup(handle) }
    let pairs = query.map { "\($0.0)=\(Self.escaped($0.1))" }.joined(separator: "&")
    var body: [UInt8] = []
    lookout_curl_set_text(handle, CURLOPT_UNIX_SOCKET_PATH, socket)
    lookout_curl_set_text(handle, CURLOPT_URL, "http://localhost\(path)\(pairs.isEmpty ? "" : "?\(pairs)")")
    lookout_curl_set_number(handle, CURLOPT_NOSIGNAL, 1)
    lookout_curl_set_number(handle, CURLOPT_CONNECTTIMEOUT, 10)
    if method == "POST" {
      lookout_curl_set_number(handle, CURLOPT_POST, 1)
      lookout_curl_set_number(handle, CURLOPT_POSTFIELDSIZE, 0)
      lookout_curl_set_text(handle, CURLOPT_COPYPOSTFIELDS, "")
    }
    let code = withUnsafeMutablePointer(to: &body) { pointer in
      lookout_curl_set_writer(
        handle,
        { data, size, count, context in
          guard let data, let context else { return 0 }
          let bytes = UnsafeRawBufferPointer(start: data, count: size * count)
          context.assumingMemoryBound(to: [UInt8].self).pointee.append(contentsOf: bytes)
          return size * count
        }, pointer)
      return curl_easy_perform(handle)
    }
    guard code == CURLE_OK else { throw Self.unreachable(socket, String(cString: curl_easy_strerror(code))) }
    return Answer(status: lookout_curl_status(handle), body: body)
  }

  private static func unreachable(_ socket: String, _ reason: String) -> Failure {
    if access(socket, F_OK) == 0, access(socket, R_OK | W_OK) != 0 {
      return Failure(
        code: 77, message: "\(socket): you may not use it; be root or a member of the service's group (lookout)")
    }
    if access(socket, F_OK) != 0, errno == EACCES {
      return Failure(
        code: 77,
        message: "\(socket): its folder is closed to you; be root or a member of the service's group (lookout)")
    }
    return Failure(code: 69, message: "no service listens at \(socket) (\(reason)); is lookoutd running?")
  }

  private static func escaped(_ text: String) -> String {
    let hex = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "~"):
        bytes.append(byte)
      default: bytes += [UInt8(ascii: "%"), hex[Int(byte >> 4)], hex[Int(byte & 15)]]
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// Where the configuration is unless `--config` says so.
let defaultConfigurationPath = "/etc/lookout/lookout.toml"
