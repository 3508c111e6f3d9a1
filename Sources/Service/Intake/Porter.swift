// Between the watches and their threads. One a pipeline, owned by it, run on the thread `porter`: watches rest without a
// thread, and this one gives a thread to each for which something comes. It must never call a file system, since a watch
// whose file system hangs would hold up all others.

package import Platform
internal import Synchronization

/// Who has a thread while there is something to do, and rests without one.
package protocol Guest: Sendable {
  /// Of the thread while it works for this guest.
  var name: String { get }
  /// What is readable when something came for it: open, and the same, as long as it lives.
  var descriptors: [Int32] { get }
  /// Works until it can rest; never on two threads at once.
  ///
  /// - Returns: the moment of the monotonic clock at which it must work again even if nothing comes; nil when it never will.
  func work() -> Int64?
}

/// Waits for all guests that rest, and gives a thread to each for which something comes or whose rest is over.
///
/// A few threads stay while all rest, as one that is woken runs sooner than one that is started, above all on a busy machine.
///
/// Where many are due at once they take turns, since most work is short and each thread takes memory: those wait that were due
/// last, until one of the others rests, or has worked so long that it may be hanging.
package final class Porter: Sendable {
  /// A thread that works for one guest after the other, and what tells it for whom.
  private struct Attendant {
    let thread: OwnedThread
    let orders: BoundedQueue<Int>

    /// Ends the thread, which works for nobody.
    func dismiss() {
      orders.close()
      thread.join()
    }
  }

  /// Where a guest is, as far as the porter's thread knows.
  private enum Place {
    case resting(until: Int64)
    case working(Attendant, since: Int64)
    case gone
  }

  /// For the watchdog.
  package let heartbeat = Heartbeat(name: "porter")
  private let guests: [any Guest]
  private let readiness: Readiness
  /// Guests that work no longer; their attendants are free, or about to be.
  private let back = Mutex<[(guest: Int, restsUntil: Int64?)]>([])

  /// So many attendants stay.
  private static let spares = 2
  /// So many guests may have begun to work within so long.
  private static let crowd = 16
  private static let crowdNanoseconds: Int64 = 100_000_000
  private static let shortageNanoseconds: Int64 = 1_000_000_000

  /// - Throws: `PlatformError.system` when no descriptor or memory is left.
  package init(guests: [any Guest]) throws(PlatformError) {
    self.guests = guests
    readiness = try Readiness(guests.map(\.descriptors))
  }

  /// Lets every guest work once at first and serves all from then on, until none will work again and all threads have ended.
  package func run() {
    var places = guests.map { _ in Place.resting(until: .min) }
    var spare: [Attendant] = []
    var mayServeAt = Int64.min
    var isShort = false
    while let due = Self.nextDue(places) {
      let called = readiness.wait(until: max(due, mayServeAt))
      heartbeat.begin()
      let now = Clock.monotonicNanoseconds()
      for guest in called {
        // One that works hears by itself, and what it leaves unheard calls again once it rests.
        if case .resting(let until) = places[guest] { places[guest] = .resting(until: min(until, now)) }
      }
      for (guest, restsUntil) in takeBack() {
        if case .working(let attendant, _) = places[guest] { spare.append(attendant) }
        places[guest] = restsUntil.map { .resting(until: $0) } ?? .gone
        if restsUntil != nil { readiness.expect(guest) }
      }
      mayServeAt = .min
      for guest in Self.due(places, now) {
        mayServeAt = Self.roomSince(places, now)
        if mayServeAt > now { break }
        do throws(PlatformError) {
          let attendant = if let free = spare.popLast() { free } else { try hire() }
          _ = attendant.orders.put(guest)
          places[guest] = .working(attendant, since: now)
          isShort = false
        } catch {
          mayServeAt = now + Self.shortageNanoseconds
          if !isShort { note(error, missedBy: guests[guest]) }
          isShort = true
          break
        }
      }
      while spare.count > Self.spares { spare.removeFirst().dismiss() }
      heartbeat.rest()
    }
    for attendant in spare { attendant.dismiss() }
  }

  /// When a guest must get a thread even if nothing comes; nil once none ever will.
  private static func nextDue(_ places: [Place]) -> Int64? {
    places.compactMap { place -> Int64? in
      switch place {
      case .resting(let until): until
      case .working: .max
      case .gone: nil
      }
    }.min()
  }

  /// Guests whose rest is over, those first that have waited longest.
  private static func due(_ places: [Place], _ now: Int64) -> [Int] {
    places.enumerated().compactMap { guest, place -> (guest: Int, since: Int64)? in
      guard case .resting(let until) = place, until <= now else { return nil }
      return (guest, until)
    }.sorted { $0.since < $1.since }.map(\.guest)
  }

  /// The moment from which another guest may work, which may be over.
  private static func roomSince(_ places: [Place], _ now: Int64) -> Int64 {
    let fresh = places.compactMap { place -> Int64? in
      guard case .working(_, let since) = place, now - since < crowdNanoseconds else { return nil }
      return since
    }
    guard fresh.count >= crowd, let first = fresh.min() else { return .min }
    return first + crowdNanoseconds
  }

  private func hire() throws(PlatformError) -> Attendant {
    let orders = BoundedQueue<Int>(capacity: 1)
    let thread = try OwnedThread(ifPossible: "porter-spare") { [self] in
      while let guest = orders.take() {
        OwnedThread.rename(guests[guest].name)
        let restsUntil = guests[guest].work()
        OwnedThread.rename("porter-spare")
        back.withLock { $0.append((guest, restsUntil)) }
        readiness.wake()
      }
    }
    return Attendant(thread: thread, orders: orders)
  }

  private func takeBack() -> [(guest: Int, restsUntil: Int64?)] {
    back.withLock { back in
      defer { back = [] }
      return back
    }
  }

  private func note(_ error: PlatformError, missedBy guest: any Guest) {
    Journal.log(
      .error, "no progress: \(guest.name) gets no thread, tried again every second: \(error)", id: .stalled)
  }
}
