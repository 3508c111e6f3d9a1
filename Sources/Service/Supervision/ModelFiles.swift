/// Watches the weights files by their identities, from one look a tick to the next: a value without clock or I/O.
///
/// A file that differs from the one in service is due once it has rested, and again only after it changed again.
package struct ModelFiles {
  /// What is to be done about a model now.
  package enum Verdict: Equatable, Sendable {
    case nothing
    /// Another file is there and rests: load it.
    case load
    /// The file went away; told once.
    case gone
  }

  private struct Sight {
    /// What was loaded, or refused.
    var settled: FileIdentity?
    var current: FileIdentity?
    var restingSince: Int64
  }

  private let settleNanoseconds: Int64
  private var sights: [String: Sight] = [:]

  /// `settleNanoseconds`: how long a file must be unchanged before it is loaded.
  package init(settleNanoseconds: Int64 = 1_000_000_000) { self.settleNanoseconds = settleNanoseconds }

  /// Notes which file a model was just loaded from, or which was refused.
  package mutating func settle(_ model: String, _ identity: FileIdentity?, now: Int64) {
    sights[model] = Sight(settled: identity, current: identity, restingSince: now)
  }

  /// Forgets models that are configured no longer.
  package mutating func keep(_ models: [String]) { sights = sights.filter { models.contains($0.key) } }

  /// What was seen of a model's file at a moment of the monotonic clock; nil when it is not there.
  package mutating func looked(at model: String, _ identity: FileIdentity?, now: Int64) -> Verdict {
    guard var sight = sights[model] else {
      settle(model, identity, now: now)
      return .nothing
    }
    defer { sights[model] = sight }
    if identity != sight.current {
      let wasThere = sight.current != nil
      sight.current = identity
      sight.restingSince = now
      return identity == nil && wasThere ? .gone : .nothing
    }
    guard let identity, identity != sight.settled, now - sight.restingSince >= settleNanoseconds else {
      return .nothing
    }
    return .load
  }
}
