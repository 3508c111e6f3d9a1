package import TOML

/// Everything that is wrong with a configuration file, all of it at once.
package struct ConfigurationError: Error, CustomStringConvertible {
  package typealias Problem = SettingsProblem

  package let file: String
  package let problems: [Problem]

  package var description: String {
    problems.map { "\(file):\($0.position.line):\($0.position.column): \($0.reason)" }.joined(separator: "\n")
  }
}
