/// A scenario of the fault suite and how it ended.
package struct Scenario: Sendable {
  package enum Verdict: Equatable, Sendable {
    case passed
    case failed([String])
    /// The machine cannot show the fault.
    case impossible(String)
  }

  package struct Report: Sendable {
    package let scenario: String
    package let title: String
    package let verdict: Verdict
    package let faults: Int
    package let figures: [(name: String, value: String)]
    package let seconds: Double
  }

  /// The scenario's word on the command line.
  package let name: String
  package let title: String
  package let needsRoot: Bool
  /// Whether a small run of it belongs to `make test`.
  package let isInShortSelection: Bool
  package let run: @Sendable (Bench) throws -> Void

  package init(
    _ name: String, _ title: String, needsRoot: Bool = false, isInShortSelection: Bool = false,
    run: @escaping @Sendable (Bench) throws -> Void
  ) {
    self.name = name
    self.title = title
    self.needsRoot = needsRoot
    self.isInShortSelection = isInShortSelection
    self.run = run
  }

  /// Runs it; a scenario whose fault never happened has failed.
  package func report(scale: Bench.Scale) -> Report {
    let bench = Bench(name: name, scale: scale)
    let start = Bench.seconds()
    var verdict = Verdict.passed
    do {
      try run(bench)
      if !bench.violations.isEmpty {
        verdict = .failed(bench.violations)
      } else if bench.faults == 0 {
        verdict = .failed(["the fault never happened"])
      }
    } catch let error as Impossible {
      verdict = .impossible(error.description)
    } catch {
      verdict = .failed(["\(error)"])
    }
    return Report(
      scenario: name, title: title, verdict: verdict, faults: bench.faults, figures: bench.figures,
      seconds: Bench.seconds() - start)
  }
}

/// This machine cannot show the fault; the text says what was tried.
package struct Impossible: Error, CustomStringConvertible {
  package let description: String
  package init(_ description: String) { self.description = description }
}
