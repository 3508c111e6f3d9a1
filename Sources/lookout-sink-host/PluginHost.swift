// One open plugin and the loop that serves the daemon's frames. Main thread only.

internal import CSinkABI
internal import Glibc
internal import SinkProtocol

/// Makes the plugin's calls and turns its answers into frames.
final class PluginHost {
  let name: String
  let version: String
  private let table: lookout_sink
  private let instance: UnsafeMutableRawPointer?
  private let host: UnsafeMutablePointer<lookout_host>
  private let wire: Wire

  /// Loads and opens the plugin.
  init(path: String, config: String, resumePosition: String, wire: Wire) throws(PluginError) {
    let loaded = try loadPlugin(path).pointee
    table = loaded
    self.wire = wire
    name = String(cString: loaded.name)
    version = String(cString: loaded.version)
    // Never freed: a thread of the plugin may log until the process ends.
    host = .allocate(capacity: 1)
    host.initialize(
      to: lookout_host(
        struct_size: MemoryLayout<lookout_host>.size, abi_major: UInt16(LOOKOUT_SINK_ABI_MAJOR),
        abi_minor: UInt16(LOOKOUT_SINK_ABI_MINOR), reserved: 0, context: Unmanaged.passRetained(wire).toOpaque(),
        log: { context, level, message in
          guard let context else { return }
          let level = LogLevel(rawValue: level) ?? .info
          let bytes = UnsafeRawBufferPointer(start: message.ptr, count: message.ptr == nil ? 0 : min(message.len, 4096))
          Unmanaged<Wire>.fromOpaque(context).takeUnretainedValue()
            .send(.log(level, String(decoding: bytes, as: UTF8.self)))
        }))
    var error = lookout_error()
    var instance: UnsafeMutableRawPointer?
    let host = UnsafePointer(host)
    let status = config.withBorrowed { config in
      resumePosition.withBorrowed { position in loaded.open(host, config, position, &instance, &error) }
    }
    self.instance = instance
    guard status == LOOKOUT_OK else {
      let verdict = verdict(of: status, error, "open")
      // There is no record to reject: the plugin refuses what it was opened with.
      if case .reject(let reason) = verdict { throw .fatal(reason) }
      throw PluginError(verdict: verdict)
    }
  }

  /// Answers frames until the daemon says close; does not return when the daemon goes away.
  func serve() {
    while true {
      switch wire.receive() {
      case .write(let entries): wire.send(write(entries))
      case .flush: wire.send(flush())
      case .close:
        table.close(instance)
        wire.send(.closed)
        return
      default:
        complain("the daemon sent a frame out of turn")
        _exit(EX_PROTOCOL)
      }
    }
  }

  private func write(_ entries: [OutboxEntry]) -> Frame {
    var answers: [Verdict] = []
    answers.reserveCapacity(entries.count)
    var batch = BatchMemory()
    var places: [Int] = []
    for (place, entry) in entries.enumerated() {
      answers.append(.accepted)
      do {
        batch.append(try ResultRecord(decoding: entry.record), sequence: entry.sequence)
        places.append(place)
      } catch {
        answers[place] = .reject("the stored record \(entry.sequence) is damaged: \(error)")
      }
    }
    var error = lookout_error()
    let (status, verdicts) = batch.withBatch { batch, verdicts in table.write(instance, batch, verdicts, &error) }
    guard status == LOOKOUT_OK else { return .failed(verdict(of: status, error, "write")) }
    for (place, item) in zip(places, verdicts) {
      var item = item
      let reason = text(of: &item.reason)
      switch item.status {
      case LOOKOUT_OK: continue
      case LOOKOUT_RETRY: answers[place] = .retry(reason)
      case LOOKOUT_REJECT: answers[place] = .reject(reason)
      default: return .failed(.fatal(reason.isEmpty ? "the plugin's verdict \(item.status) on one record" : reason))
      }
    }
    return .verdicts(answers)
  }

  private func flush() -> Frame {
    var error = lookout_error()
    var position = lookout_position()
    let status = table.flush(instance, &position, &error)
    guard status == LOOKOUT_OK else { return .failed(verdict(of: status, error, "flush")) }
    let length = Int(position.len)
    guard length <= LOOKOUT_POSITION_MAX else {
      return .failed(
        .fatal("the plugin's position is \(length) bytes long, at most \(LOOKOUT_POSITION_MAX) are allowed"))
    }
    let bytes = withUnsafeBytes(of: position.text) { Array($0.prefix(length)) }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      return .failed(.fatal("the plugin's position is no UTF-8"))
    }
    return .position(text)
  }
}

private func verdict(of status: lookout_status, _ error: lookout_error, _ call: String) -> Verdict {
  var error = error
  var reason = text(of: &error.text)
  if reason.isEmpty {
    reason = error.code == 0 ? "the plugin gave no reason" : String(cString: strerror(error.code))
  }
  return switch status {
  case LOOKOUT_RETRY: .retry(reason)
  case LOOKOUT_REJECT: .reject(reason)
  case LOOKOUT_FATAL: .fatal(reason)
  default: .fatal("\(call) returned the unknown status \(status): \(reason)")
  }
}

/// The text up to its NUL, or the whole buffer where a plugin forgot it.
private func text<Buffer>(of buffer: inout Buffer) -> String {
  withUnsafeBytes(of: &buffer) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}

extension String {
  /// Lends the text's bytes for the call.
  fileprivate func withBorrowed<Result>(_ body: (lookout_str) -> Result) -> Result {
    var copy = self
    return copy.withUTF8 { bytes in
      bytes.withMemoryRebound(to: CChar.self) { body(lookout_str(ptr: $0.baseAddress, len: $0.count)) }
    }
  }
}
