/// Which of many lanes is served next, and when: a value that knows lanes by number, and since when elements lie in each, but
/// not what they are.
///
/// A lane is ripe when it holds a whole batch, when its oldest element has waited as long as the lane may linger, or when
/// everything is closed. Of the ripe lanes the one goes first that was served the longest time ago, so that each gets its
/// turn, however full another is.
///
/// Every change of a queue asks about all lanes in which something lies. That takes next to nothing here, and took most of the
/// queue's time with a hundred lanes when it was compiled for any key and element.
struct LaneOrder: Sendable {
  private struct Lane: Sendable {
    var limit = 1
    var lingerNanoseconds: Int64 = 0
    /// When each of its elements came.
    var since: [Int64] = []
    /// The turn at which it was served last.
    var served: UInt64 = 0
    var isHeld = false
    /// Those that need it to keep its number though nothing lies in it.
    var waiting = 0

    /// When the oldest element has lingered long enough; something must lie in it.
    var due: Int64 { since[0] + lingerNanoseconds }
  }

  private var lanes: [Lane] = []
  /// The numbers of those in which something lies.
  private var filled: [Int] = []
  private var turn: UInt64 = 0
  /// Everything is ripe, whatever it lacks.
  var isClosed = false

  /// A number for a new lane: that of one in which nothing lies and for which nobody waits, if there are many of these.
  mutating func open(isHeld: Bool) -> Int {
    let number =
      lanes.count < filled.count * 2 + 16
      ? nil
      : lanes.indices.filter { lanes[$0].since.isEmpty && lanes[$0].waiting == 0 }
        .min { lanes[$0].served < lanes[$1].served }
    let lane = Lane(isHeld: isHeld)
    guard let number else {
      lanes.append(lane)
      return lanes.count - 1
    }
    lanes[number] = lane
    return number
  }

  /// How many elements lie in a lane.
  func count(of number: Int) -> Int { lanes[number].since.count }

  /// An element came into a lane at the moment `now`; the limit, at least 1, and the time count for the whole lane.
  mutating func add(to number: Int, limit: Int, lingerNanoseconds: Int64, now: Int64) {
    if lanes[number].since.isEmpty { filled.append(number) }
    lanes[number].limit = limit
    lanes[number].lingerNanoseconds = lingerNanoseconds
    lanes[number].since.append(now)
  }

  /// Whether nothing is to be taken from a lane.
  mutating func hold(_ number: Int, _ isHeld: Bool) { lanes[number].isHeld = isHeld }

  /// A lane keeps its number until `leave` was called as often.
  mutating func reserve(_ number: Int) { lanes[number].waiting += 1 }
  mutating func leave(_ number: Int) { lanes[number].waiting -= 1 }

  /// The moment at which the next lane becomes ripe if nothing is added; nil if none will.
  var nextDue: Int64? {
    var earliest: Int64?
    for number in filled where !lanes[number].isHeld { earliest = min(earliest ?? .max, lanes[number].due) }
    return earliest
  }

  private func isRipe(_ number: Int, at now: Int64) -> Bool {
    guard !lanes[number].isHeld else { return false }
    return isClosed || lanes[number].since.count >= lanes[number].limit || lanes[number].due <= now
  }

  /// Serves the lane whose turn it is, and says how many of its elements go, the oldest; nil if none is ripe at the moment `now`.
  mutating func serve(now: Int64) -> (number: Int, count: Int)? {
    var best: (place: Int, served: UInt64, since: Int64)?
    for (place, number) in filled.enumerated() where isRipe(number, at: now) {
      let candidate = (place: place, served: lanes[number].served, since: lanes[number].since[0])
      if best.map({ (candidate.served, candidate.since) < ($0.served, $0.since) }) ?? true { best = candidate }
    }
    guard let place = best?.place else { return nil }
    let number = filled[place]
    let taken = min(lanes[number].limit, lanes[number].since.count)
    turn += 1
    lanes[number].served = turn
    if taken == lanes[number].since.count {
      lanes[number].since = []
      filled.remove(at: place)
    } else {
      lanes[number].since.removeFirst(taken)
    }
    return (number, taken)
  }

  /// How many batches are ripe at the moment `now`, counted no further than to a bound; of what remains of a lane beyond
  /// its whole batches only one is counted.
  func ripeBatches(now: Int64, upTo bound: Int) -> Int {
    var ripe = 0
    for number in filled where isRipe(number, at: now) {
      ripe += max(1, lanes[number].since.count / lanes[number].limit)
      if ripe >= bound { return bound }
    }
    return ripe
  }

  /// Nothing lies in any lane any more.
  mutating func removeAll() {
    for number in filled { lanes[number].since = [] }
    filled = []
  }
}
