internal import Platform

extension Pipeline {
  /// What keeps the service from doing its whole job, one sentence each; empty when it does.
  var troubles: [String] {
    var troubles: [String] = []
    if let reason = ground.ledger.trouble { troubles.append("intake waits: \(reason)") }
    troubles += ground.board.sentences
    for watcher in watchers where watcher.condition == .offline {
      troubles.append("watch \(watcher.settings.name) is offline: \(watcher.settings.path)")
    }
    for sink in sinks {
      if case .benched(let reason, _) = sink.condition {
        troubles.append("sink \(sink.settings.name) waits: \(reason)")
      }
    }
    return troubles
  }

  /// Why a path that the ledger does not know is where it is: one sentence for the operator.
  func observation(of path: Path) -> String {
    let text = path.displayed
    guard let watch = configuration.watches.first(where: { path.bytes.starts(with: Array($0.path.utf8) + [0x2F]) })
    else { return "\(text) is below no watched folder" }
    let below = path.bytes.dropFirst(watch.path.utf8.count + 1)
    for part in below.split(separator: UInt8(ascii: "/")) where IgnoredNames.contains(Array(part)) {
      return "\(text) is passed over: \(Path(Array(part)).displayed) is a name of unfinished or auxiliary files"
    }
    if !watch.recursive, below.contains(UInt8(ascii: "/")) {
      return "\(text) is in a folder below \(watch.path), and watch \(watch.name) is not recursive"
    }
    let tree = WatchedTree(settings: watch)
    switch FileProbe.look(at: path) {
    case .gone: return "\(text) is not there and never was taken"
    case .notAFile: return "\(text) is no regular file and stays where it is"
    case .unreadable(let error): return "\(text) cannot be read: \(error)"
    case .file(_, let format, let isComplete):
      guard tree.admits(name: path.lastComponent) ?? (format != nil) else {
        return "\(text) is passed over: neither its name nor its content is a picture's, or a pattern excludes it"
      }
      return isComplete
        ? "\(text) is whole and will be taken" : "\(text) is not whole yet; it is taken when it rests for settle_ms"
    }
  }
}
