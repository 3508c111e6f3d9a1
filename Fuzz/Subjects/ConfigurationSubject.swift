internal import Service
internal import TOML

/// `lookout.toml`: syntax, keys, values, and what they contradict.
package struct ConfigurationSubject: Subject {
  package init() {}

  package func take(_ bytes: UnsafeRawBufferPointer) -> String? {
    do throws(ConfigurationError) {
      _ = try Configuration.parse(Array(bytes), file: "lookout.toml")
      return nil
    } catch {
      for problem in error.problems {
        precondition(problem.position.line > 0 && problem.position.column > 0, "a problem has no place")
        precondition(!problem.reason.isEmpty, "a problem has no reason")
      }
      return "\(error)"
    }
  }
}
