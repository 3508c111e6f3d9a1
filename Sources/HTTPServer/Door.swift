internal import CMicroHTTPD
internal import Glibc

/// One address with the library's daemon that serves it; the server's thread only.
final class Door {
  let listener: Listener
  private(set) var daemon: OpaquePointer?
  private(set) var isQuiesced = false
  private(set) var isStopped = false
  private let visits: Visits

  /// What the library's callbacks are given.
  private final class Visits {
    unowned let loop: Loop
    let isLocal: Bool
    var present: Set<OpaquePointer> = []
    init(loop: Loop, isLocal: Bool) {
      self.loop = loop
      self.isLocal = isLocal
    }

    static func from(_ context: UnsafeMutableRawPointer?) -> Visits? {
      context.map { Unmanaged<Visits>.fromOpaque($0).takeUnretainedValue() }
    }
  }

  /// `daemon` stays nil if the library has no memory or descriptors for it.
  init(_ listener: Listener, limits: Limits, loop: Loop) {
    self.listener = listener
    var isLocal = false
    if case .unix = listener.address { isLocal = true }
    visits = Visits(loop: loop, isLocal: isLocal)
    let context = Unmanaged.passUnretained(visits).toOpaque()
    let connection: MHD_NotifyConnectionCallback = { context, connection, _, code in
      guard let visits = Visits.from(context), let connection else { return }
      if code == .CONNECTION_NOTIFY_STARTED {
        visits.present.insert(connection)
        visits.loop.connectionBegan(connection, isLocal: visits.isLocal)
      } else {
        visits.present.remove(connection)
        visits.loop.connectionEnded(connection)
      }
    }
    let completed: MHD_RequestCompletedCallback = { context, connection, _, _ in
      guard let visits = Visits.from(context), let connection else { return }
      visits.loop.requestEnded(connection)
    }
    let access: MHD_AccessHandlerCallback = { context, connection, url, method, _, data, count, _ in
      guard let visits = Visits.from(context), let connection, let url, let method, let count else { return .NO }
      let bytes = UnsafeRawBufferPointer(start: data, count: count.pointee)
      let goesOn = visits.loop.access(
        connection, method: String(cString: method), path: String(cString: url), bytes)
      count.pointee = 0
      return goesOn ? .YES : .NO
    }
    var options = [
      MHD_OptionItem(option: .LISTEN_SOCKET, value: Int(listener.raw), ptr_value: nil),
      MHD_OptionItem(option: .CONNECTION_LIMIT, value: limits.connections, ptr_value: nil),
      MHD_OptionItem(option: .CONNECTION_TIMEOUT, value: limits.transferSeconds, ptr_value: nil),
      MHD_OptionItem(option: .CONNECTION_MEMORY_LIMIT, value: limits.headBytes, ptr_value: nil),
      MHD_OptionItem(option: .STRICT_FOR_CLIENT, value: 1, ptr_value: nil),
      MHD_OptionItem(
        option: .NOTIFY_CONNECTION, value: unsafeBitCast(connection, to: Int.self), ptr_value: context),
      MHD_OptionItem(
        option: .NOTIFY_COMPLETED, value: unsafeBitCast(completed, to: Int.self), ptr_value: context),
      MHD_OptionItem(option: .END, value: 0, ptr_value: nil),
    ]
    let flags = MHD_USE_EPOLL.rawValue | MHD_ALLOW_SUSPEND_RESUME.rawValue
    daemon = options.withUnsafeMutableBufferPointer { items in
      withVaList([MHD_OPTION.ARRAY.rawValue, Int(bitPattern: items.baseAddress), MHD_OPTION.END.rawValue]) {
        MHD_start_daemon_va(flags, 0, nil, nil, access, context, $0)
      }
    }
  }

  var epoll: Int32? { daemon.map { lookout_mhd_epoll($0) } }

  func run() { if let daemon { MHD_run(daemon) } }

  func holds(_ connection: OpaquePointer) -> Bool { visits.present.contains(connection) }

  /// Takes no further connection.
  func quiesce() {
    guard !isQuiesced else { return }
    isQuiesced = true
    if let daemon { MHD_quiesce_daemon(daemon) }
    listener.close()
  }

  /// Ends it; every connection must be answered or idle.
  func stop() {
    quiesce()
    if let daemon { MHD_stop_daemon(daemon) }
    daemon = nil
    isStopped = true
  }
}
