// The host's end of the socket, and what ties the process to the daemon's life.

internal import Glibc
internal import SinkProtocol
internal import Synchronization

/// Where the daemon put the socket.
let daemonDescriptor: Int32 = 3

// sysexits.h is no part of the Glibc module.
let EX_USAGE: Int32 = 64
let EX_OSERR: Int32 = 71
let EX_PROTOCOL: Int32 = 76

/// The socket to the daemon; frames may be sent from any thread, received on the main thread only.
///
/// A daemon that is gone ends the process at once: what was not flushed will be sent again.
final class Wire: Sendable {
  private let socket: FrameSocket
  private let sending = Mutex(())

  init(_ socket: consuming FrameSocket) { self.socket = socket }

  func send(_ frame: Frame) {
    let sent = sending.withLock { _ in
      do {
        try socket.send(frame)
        return true
      } catch {
        return false
      }
    }
    if !sent { _exit(0) }
  }

  func receive() -> Frame {
    do {
      return try socket.receive()
    } catch .malformed(let error) {
      complain("the daemon sent what is no frame: \(error)")
      _exit(EX_PROTOCOL)
    } catch {
      _exit(0)
    }
  }
}

/// Closes what libraries of the daemon left open on exec, so that no plugin holds the daemon's files.
func closeInheritedDescriptors() {
  guard let directory = opendir("/proc/self/fd") else { return }
  var stray: [Int32] = []
  while let entry = readdir(directory) {
    let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
      String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    if let descriptor = Int32(name), descriptor > daemonDescriptor { stray.append(descriptor) }
  }
  closedir(directory)
  for descriptor in stray { close(descriptor) }
}

/// Starts the thread that ends the process when the daemon's end of the socket closes, whatever the plugin is doing.
///
/// PR_SET_PDEATHSIG would follow the thread that started this process instead of the daemon.
func endWithTheDaemon() {
  _ = fcntl(daemonDescriptor, F_SETFD, FD_CLOEXEC)
  var thread = pthread_t()
  let result = pthread_create(
    &thread, nil,
    { _ in
      var entry = pollfd(fd: daemonDescriptor, events: 0, revents: 0)
      while poll(&entry, 1, -1) < 0 && errno == EINTR {}
      _exit(0)
    }, nil)
  guard result == 0 else {
    complain("no thread: \(String(cString: strerror(result)))")
    exit(EX_OSERR)
  }
  pthread_detach(thread)
}

/// Writes one line to the journal by way of stderr.
func complain(_ message: String) {
  var line = "lookout-sink-host: \(message)\n"
  _ = line.withUTF8 { write(STDERR_FILENO, $0.baseAddress, $0.count) }
}
