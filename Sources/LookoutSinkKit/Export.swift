// From a Swift type to the table of the contract. C functions cannot capture a generic type, so one factory an image
// makes the instances; a plugin is one image with one sink.

public import CSinkABI

/// Fills the plugin's table; call it from the one exported function.
///
/// ```swift
/// @c @implementation
/// public func lookout_sink_v1() -> UnsafePointer<lookout_sink>! { exportSink(MySink.self, name: "mine", version: "1.0") }
/// ```
/// - Parameters:
///   - type: The sink.
///   - name: The word in `lookout-sink-<name>.so`.
///   - version: The plugin's own version.
/// - Returns: The table, which lives as long as the process.
public func exportSink<S: Sink & ~Copyable>(_ type: S.Type, name: String, version: String) -> UnsafePointer<
  lookout_sink
> {
  if let table = exported?.table { return table }
  let table = UnsafeMutablePointer<lookout_sink>.allocate(capacity: 1)
  table.initialize(
    to: lookout_sink(
      struct_size: MemoryLayout<lookout_sink>.size, abi_major: UInt16(LOOKOUT_SINK_ABI_MAJOR),
      abi_minor: UInt16(LOOKOUT_SINK_ABI_MINOR), reserved: 0, name: constant(name), version: constant(version),
      open: openSink, write: writeSink, flush: flushSink, close: closeSink))
  exported = (
    UnsafePointer(table),
    { config, position throws(SinkError) in
      try config.refuseKeys(otherThan: S.keys)
      return Instance(try S(config: config, resumeAt: position))
    }
  )
  return UnsafePointer(table)
}

/// Set by the first call of the exported function, which the host makes before any other and on one thread.
private nonisolated(unsafe) var exported:
  (table: UnsafePointer<lookout_sink>, make: (SinkConfiguration, Position?) throws(SinkError) -> AnyInstance)?

/// A NUL-ended copy that lives as long as the process.
private func constant(_ text: String) -> UnsafePointer<CChar> {
  let units = text.utf8CString
  let copy = UnsafeMutablePointer<CChar>.allocate(capacity: units.count)
  for (place, unit) in units.enumerated() { (copy + place).initialize(to: unit) }
  return UnsafePointer(copy)
}

/// What the contract's `self` points to.
private class AnyInstance {
  func write(_ batch: borrowing Batch) throws(SinkError) {}
  func flush() throws(SinkError) -> Position { Position("") }
  func close() {}
}

private final class Instance<S: Sink & ~Copyable>: AnyInstance {
  private var sink: S
  init(_ sink: consuming S) { self.sink = sink }
  override func write(_ batch: borrowing Batch) throws(SinkError) { try sink.write(batch) }
  override func flush() throws(SinkError) -> Position { try sink.flush() }
  override func close() { sink.close() }
}

private func instance(_ pointer: UnsafeMutableRawPointer?) -> AnyInstance? {
  pointer.map { Unmanaged<AnyInstance>.fromOpaque($0).takeUnretainedValue() }
}

private func report(_ error: SinkError, _ out: UnsafeMutablePointer<lookout_error>?) -> lookout_status {
  let (status, reason) =
    switch error {
    case .retry(let reason): (LOOKOUT_RETRY, reason)
    case .reject(let reason): (LOOKOUT_REJECT, reason)
    case .fatal(let reason): (LOOKOUT_FATAL, reason)
    }
  if let out { fill(&out.pointee.text, with: reason) }
  return status
}

private func openSink(
  _ host: UnsafePointer<lookout_host>?, _ config: lookout_str, _ position: lookout_str,
  _ out: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, _ error: UnsafeMutablePointer<lookout_error>?
) -> lookout_status {
  guard let exported, let out else { return LOOKOUT_FATAL }
  do throws(SinkError) {
    let configuration = try SinkConfiguration(json: bytes(config), log: SinkLog(host))
    let resume = position.len == 0 ? nil : Position(string(position))
    out.pointee = Unmanaged.passRetained(try exported.make(configuration, resume)).toOpaque()
    return LOOKOUT_OK
  } catch let failure {
    return report(failure, error)
  }
}

private func writeSink(
  _ pointer: UnsafeMutableRawPointer?, _ batch: UnsafePointer<lookout_batch>?,
  _ verdicts: UnsafeMutablePointer<lookout_verdicts>?, _ error: UnsafeMutablePointer<lookout_error>?
) -> lookout_status {
  guard let instance = instance(pointer), let batch, let verdicts else { return LOOKOUT_FATAL }
  do throws(SinkError) {
    try instance.write(Batch(batch, verdicts))
    return LOOKOUT_OK
  } catch let failure {
    return report(failure, error)
  }
}

private func flushSink(
  _ pointer: UnsafeMutableRawPointer?, _ position: UnsafeMutablePointer<lookout_position>?,
  _ error: UnsafeMutablePointer<lookout_error>?
) -> lookout_status {
  guard let instance = instance(pointer), let position else { return LOOKOUT_FATAL }
  do throws(SinkError) {
    let text = try instance.flush().text
    guard text.utf8.count <= LOOKOUT_POSITION_MAX else { throw .fatal("the sink's position is too long") }
    position.pointee.len = UInt32(text.utf8.count)
    withUnsafeMutableBytes(of: &position.pointee.text) { $0.copyBytes(from: text.utf8) }
    return LOOKOUT_OK
  } catch let failure {
    return report(failure, error)
  }
}

private func closeSink(_ pointer: UnsafeMutableRawPointer?) {
  guard let pointer else { return }
  Unmanaged<AnyInstance>.fromOpaque(pointer).takeRetainedValue().close()
}
