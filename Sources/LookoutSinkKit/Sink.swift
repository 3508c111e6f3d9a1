// What a plugin author writes: one type that conforms to `Sink`, and one exported function.

/// An opaque place in a sink's output, up to 1020 bytes of UTF-8; everything before it is durable.
public struct Position: Equatable, Sendable {
  /// The text that Lookout stores and hands back.
  public let text: String

  /// Wraps the sink's own text.
  public init(_ text: String) { self.text = text }
}

/// Why a sink does not take what it was given; the text names the thing, what happened and the remedy.
public enum SinkError: Error, Equatable, Sendable {
  /// Not now: no space, no right, peer away. It comes again later.
  case retry(String)
  /// Never: put it aside with the reason.
  case reject(String)
  /// The sink is broken, or its configuration wrong.
  case fatal(String)
}

/// A destination of results.
///
/// All calls come from one thread. A sink takes batches, and makes them durable when it is flushed. The process may be
/// killed at any instant; it is then opened again at the last position that `flush()` returned, and gets everything
/// behind that again.
public protocol Sink: ~Copyable {
  /// The keys that the configuration may hold; any other is refused before `init`.
  static var keys: [String] { get }

  /// Opens the sink.
  ///
  /// - Parameters:
  ///   - config: The sink's table of the configuration.
  ///   - resumeAt: The last stored position, nil for a fresh start. What was written behind it is to be cut off or
  ///     overwritten; a position in an output that the operator took away means a fresh start.
  /// - Throws: `SinkError.fatal` when the configuration must change, `.retry` when trying again may do.
  init(config: SinkConfiguration, resumeAt: Position?) throws(SinkError)

  /// Takes a batch, in order.
  ///
  /// - Throws: `.retry` or `.fatal` after undoing what was written of the batch. To reject single records, throw
  ///   `.reject` inside ``Batch/forEach(_:)``.
  mutating func write(_ batch: borrowing Batch) throws(SinkError)

  /// Makes everything taken durable and returns the place behind it.
  mutating func flush() throws(SinkError) -> Position

  /// Releases what the sink holds; no flush is implied.
  mutating func close()
}

extension Sink where Self: ~Copyable {
  /// Does nothing.
  public mutating func close() {}
}
