// The daemon's end of one sink: a lookout-sink-host process with one plugin. Owned by one thread, blocking.
//
// It never restarts anything by itself; back-off, replay and the ledger are its caller's.

internal import Glibc

/// What stands against opening a sink, and will tomorrow.
package enum SinkRefusal: Sendable {
  /// The plugin's file is of another ABI, lacks symbols or does not load.
  case plugin
  /// The configuration names what is not there, or the plugin refuses its options; or the host program is missing.
  case settings
}

/// Why a sink could not do what was asked; each case says what the caller should do.
package enum SinkProcessError: Error, Equatable, CustomStringConvertible {
  /// The host program could not be started: an installation error, or the system is short of processes, descriptors or
  /// memory.
  case spawn(path: String, errno: Int32)
  /// The plugin asks to come again later; the process still serves, unless the call was `open`.
  case retry(call: String, reason: String)
  /// The plugin cannot be used (`load`) or refuses; otherwise than at `open` restart it at its last position.
  case fatal(call: String, reason: String)
  /// The process ended by itself; restart it at its last position.
  case died(call: String, how: String)
  /// The deadline passed and the process was killed; restart it at its last position.
  case expired(call: String, after: Duration)
  /// The process said what the protocol does not know and was killed; restart it at its last position.
  case malformed(call: String, what: String)

  /// What makes it impossible to open the sink before somebody changes something; nil for what may pass by itself, and for
  /// what goes wrong with an open sink.
  package var refusal: SinkRefusal? {
    switch self {
    case .spawn(_, let code): [EAGAIN, EMFILE, ENFILE, ENOMEM].contains(code) ? nil : .settings
    case .fatal("load", _): .plugin
    case .fatal("open", _): .settings
    case .fatal, .retry, .died, .expired, .malformed: nil
    }
  }

  package var description: String {
    switch self {
    case .spawn(let path, let code): "sink host \(path) does not start: \(String(cString: strerror(code)))"
    case .retry(let call, let reason): "\(call): \(reason) (will be tried again)"
    case .fatal(let call, let reason): "\(call): \(reason)"
    case .died(let call, let how): "the sink's process \(how) during \(call)"
    case .expired(let call, let after): "\(call) took longer than \(after); the sink's process was killed"
    case .malformed(let call, let what): "the sink's process answered \(call) with \(what) and was killed"
    }
  }
}

/// One sink plugin, open in a process of its own.
///
/// Made, used and closed on one thread. After `died`, `expired` or `malformed` the process is gone and every further
/// call throws `died`. The process also ends when this object goes away, and when the daemon does.
package final class SinkProcess {
  /// How long each call may take before the process is killed.
  package struct Deadlines: Sendable {
    package var open: Duration
    package var write: Duration
    package var flush: Duration
    package var close: Duration

    package init(
      open: Duration = .seconds(10), write: Duration = .seconds(30), flush: Duration = .seconds(30),
      close: Duration = .seconds(5)
    ) {
      self.open = open
      self.write = write
      self.flush = flush
      self.close = close
    }
  }

  /// The sink's name in the configuration.
  package let name: String
  /// What the plugin calls itself, and its version.
  package private(set) var pluginName = ""
  package private(set) var pluginVersion = ""
  /// The host's process id, for the journal and for tests.
  package let processID: Int32

  private let socket: FrameSocket
  private let deadlines: Deadlines
  private let log: (LogLevel, String) -> Void
  private var ending: String?

  /// Starts a host and opens the plugin in it; blocks until it is open.
  ///
  /// - Parameters:
  ///   - hostPath: The `lookout-sink-host` program.
  ///   - pluginPath: Absolute path of the shared object.
  ///   - name: The sink's name in the configuration.
  ///   - config: The sink's table as a JSON object, without `plugin`.
  ///   - sandbox: How far the process is confined before the plugin is loaded.
  ///   - resumePosition: The last position that `flush()` returned and the ledger stored; empty for none.
  ///   - deadlines: How long each call may take.
  ///   - log: Gets the plugin's log lines, on the calling thread, during calls only.
  /// - Throws: `.spawn`, or what the plugin or its process did; the process is gone then.
  package init(
    hostPath: String, pluginPath: String, name: String, config: String, sandbox: SinkSandbox = .strict,
    resumePosition: String = "",
    deadlines: Deadlines = Deadlines(), log: @escaping (LogLevel, String) -> Void = { _, _ in }
  ) throws(SinkProcessError) {
    let host = try spawnSinkHost(hostPath, sandbox)
    self.name = name
    socket = FrameSocket(owning: host.socket)
    processID = host.process
    self.deadlines = deadlines
    self.log = log
    let frame = Frame.hello(plugin: pluginPath, config: config, position: resumePosition)
    do throws(SinkProcessError) {
      switch try call("open", deadlines.open, frame) {
      case .opened(let name, let version): (pluginName, pluginVersion) = (name, version)
      case .failed(.retry(let reason)): throw .retry(call: "open", reason: reason)
      case .failed(.fatal(let reason)): throw .fatal(call: "open", reason: reason)
      case .failed(.reject(let reason)): throw .fatal(call: "load", reason: reason)
      case let other: throw broken("open", other)
      }
    } catch {
      end()
      throw error
    }
  }

  deinit { end() }

  /// Hands over entries in their order; returns one verdict each, never `.fatal`.
  ///
  /// Large batches go in several frames. An entry that the plugin did not look at, because one before it must wait, is
  /// `.retry`.
  package func write(_ entries: [OutboxEntry]) throws(SinkProcessError) -> [Verdict] {
    var verdicts: [Verdict] = []
    verdicts.reserveCapacity(entries.count)
    repeat {
      let part = Self.part(of: entries[verdicts.count...])
      let answer = try writePart(Array(part))
      verdicts += answer
      if case .retry(let reason)? = answer.last {
        verdicts += [Verdict](repeating: .retry(reason), count: entries.count - verdicts.count)
      }
    } while verdicts.count < entries.count
    return verdicts
  }

  private func writePart(_ entries: [OutboxEntry]) throws(SinkProcessError) -> [Verdict] {
    switch try call("write", deadlines.write, .write(entries)) {
    case .verdicts(let verdicts) where verdicts.count == entries.count: return verdicts
    case .failed(.fatal(let reason)): throw .fatal(call: "write", reason: reason)
    case .failed(let verdict): return [Verdict](repeating: verdict, count: entries.count)
    case let other: throw broken("write", other)
    }
  }

  /// The longest prefix that fits a frame; at least one entry of any.
  private static func part(of entries: ArraySlice<OutboxEntry>) -> ArraySlice<OutboxEntry> {
    var room = Frame.lengthLimit - 16
    var count = 0
    for entry in entries.prefix(Frame.entryLimit) {
      room -= entry.record.count + 12
      guard room >= 0 else { break }
      count += 1
    }
    return entries.prefix(max(count, 1))
  }

  /// Makes everything accepted durable; returns the position to resume at.
  package func flush() throws(SinkProcessError) -> String {
    switch try call("flush", deadlines.flush, .flush) {
    case .position(let position): return position
    case .failed(.retry(let reason)): throw .retry(call: "flush", reason: reason)
    case .failed(.fatal(let reason)), .failed(.reject(let reason)): throw .fatal(call: "flush", reason: reason)
    case let other: throw broken("flush", other)
    }
  }

  /// Closes the plugin and waits for its process to end; kills it when that takes too long.
  ///
  /// - Returns: What went wrong meanwhile, to be told; nothing is lost by it, for all that was flushed is durable.
  @discardableResult
  package func close() -> SinkProcessError? {
    guard ending == nil else { return nil }
    do throws(SinkProcessError) {
      let answer = try call("close", deadlines.close, .close)
      guard case .closed = answer else { throw broken("close", answer) }
    } catch {
      return error
    }
    // A host that answered ends by itself in moments; give it those so that the plugin's exit functions run.
    let deadline = monotonicNanoseconds() + 500_000_000
    while ending == nil, monotonicNanoseconds() < deadline {
      ending = reap(processID)
      if ending == nil { poll(nil, 0, 2) }
    }
    let hasEnded = ending != nil
    end()
    guard hasEnded else { return .expired(call: "exit", after: .milliseconds(500)) }
    return ending == "exited with status 0" ? nil : .died(call: "exit", how: ending ?? "ended")
  }

  /// Kills the process at once; everything after the last flush is to be written again.
  package func kill() { end() }

  private func call(_ name: String, _ limit: Duration, _ frame: Frame) throws(SinkProcessError) -> Frame {
    if let ending { throw .died(call: name, how: ending) }
    let (seconds, attoseconds) = limit.components
    let deadline =
      monotonicNanoseconds() + UInt64(max(0, seconds)) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
    do throws(FrameSocketError) {
      try socket.send(frame, until: deadline)
      while true {
        let answer = try socket.receive(until: deadline)
        guard case .log(let level, let message) = answer else { return answer }
        log(level, message)
      }
    } catch {
      switch error {
      case .expired:
        end()
        throw .expired(call: name, after: limit)
      case .closed:
        // The socket closes moments before the process can be reaped.
        let patience = monotonicNanoseconds() + 1_000_000_000
        while ending == nil, monotonicNanoseconds() < patience {
          ending = reap(processID)
          if ending == nil { poll(nil, 0, 1) }
        }
        end()
        throw .died(call: name, how: ending ?? "ended")
      case .malformed(let wire):
        end()
        throw .malformed(call: name, what: wire.description)
      case .system(let code):
        end()
        throw .malformed(call: name, what: String(cString: strerror(code)))
      }
    }
  }

  private func broken(_ call: String, _ frame: Frame) -> SinkProcessError {
    end()
    return .malformed(call: call, what: "an answer out of turn")
  }

  /// Kills and reaps the process unless it has ended.
  ///
  /// One stuck in the kernel is left behind after two seconds.
  private func end() {
    guard ending == nil else { return }
    Glibc.kill(processID, SIGKILL)
    let deadline = monotonicNanoseconds() + 2_000_000_000
    while monotonicNanoseconds() < deadline {
      ending = reap(processID)
      if ending != nil { return }
      poll(nil, 0, 1)
    }
    ending = "did not end when killed"
  }
}
