// What a sink plugin must do, as checks that run against its shared object through the real sink host. Our own sinks
// pass them in the tests; `lookout plugin test` runs the same.

/// The conformance suite of the sink contract, version 1.
package struct SinkConformance: Sendable {
  /// How a check ended.
  package enum Outcome: Equatable, Sendable {
    case passed
    case failed(String)
    /// It says nothing about this plugin, and why.
    case skipped(String)
  }

  /// One thing that a plugin must do.
  package struct Check: Sendable, CustomStringConvertible {
    package let name: String
    /// What is demanded, one sentence.
    package let demand: String
    let body: @Sendable (Bench) throws(Fault) -> Void

    package var description: String { name }
  }

  /// Why a check does not pass.
  enum Fault: Error {
    case failed(String)
    case skipped(String)
  }

  package let hostPath: String
  package let pluginPath: String
  /// The plugin's options as JSON; `{folder}` stands for a fresh folder of each check.
  package let configuration: String

  /// `configuration`: an output of its own below `{folder}` makes each check independent of the others.
  package init(hostPath: String, pluginPath: String, configuration: String = "{\"path\":\"{folder}/out\"}") {
    self.hostPath = hostPath
    self.pluginPath = pluginPath
    self.configuration = configuration
  }

  /// Runs one check; the sink's processes are gone afterwards.
  package func run(_ check: Check) -> Outcome {
    let bench = Bench(suite: self)
    do throws(Fault) {
      try check.body(bench)
      return .passed
    } catch {
      switch error {
      case .failed(let reason): return .failed(reason)
      case .skipped(let reason): return .skipped(reason)
      }
    }
  }
}
