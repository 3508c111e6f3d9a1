/// All scenarios in the order in which they run.
package enum Suite {
  package static let scenarios: [Scenario] = [
    .durableSteps, .randomKills, .recovery, .powerLoss, .disks, .oddWriters, .overflow, .subtrees, .limits, .strangers,
    .inboxGone, .poison, .hostilePlugins, .containment,
    .outages, .reloads, .identity, .manager,
  ]

  /// Runs those named (all, if none is) and prints a table; gives the reports.
  package static func run(_ names: [String], scale: Bench.Scale, isRoot: Bool) -> [Scenario.Report] {
    let chosen = scenarios.filter { scenario in
      names.isEmpty ? scale == .full || scenario.isInShortSelection : names.contains(scenario.name)
    }
    var reports: [Scenario.Report] = []
    for (index, scenario) in chosen.enumerated() {
      Bench.print("[\(index + 1)/\(chosen.count)] \(scenario.name): \(scenario.title)")
      let report =
        scenario.needsRoot && !isRoot
        ? Scenario.Report(
          scenario: scenario.name, title: scenario.title, verdict: .impossible("it needs root"), faults: 0, figures: [],
          seconds: 0)
        : scenario.report(scale: scale)
      reports.append(report)
      Bench.print("[\(index + 1)/\(chosen.count)] \(scenario.name): \(report.summary)")
    }
    return reports
  }
}

extension Scenario.Report {
  /// One line for the terminal.
  package var summary: String {
    let word =
      switch verdict {
      case .passed: "passed"
      case .failed(let reasons): "FAILED (\(reasons.count)): \(reasons.first ?? "")"
      case .impossible(let reason): "not possible on this machine: \(reason)"
      }
    let told = figures.map { "\($0.name) \($0.value)" }.joined(separator: ", ")
    return "\(word); \(faults) faults in \(Int(seconds)) s; \(told)"
  }
}
