/// How many records a sink is handed at once.
///
/// A sink that does not finish a batch within its deadline gets an eighth of it the next time, down to a single record,
/// so that a slow sink gets on; with every batch that it finishes it gets twice as many again.
package struct BatchReach: Equatable, Sendable {
  /// The most records of the next batch.
  package private(set) var records = Self.limit
  package static let limit = 256

  package init() {}

  /// Notes that a batch was not finished in time.
  package mutating func expired() { records = max(1, records / 8) }

  /// Notes that a batch was delivered.
  package mutating func delivered() { records = min(Self.limit, records * 2) }
}
