/// One thing that is wrong with a file of settings, where, and what would be right.
package struct SettingsProblem: Equatable, Sendable {
  package var position: FilePosition
  package var reason: String

  package init(position: FilePosition, reason: String) {
    self.position = position
    self.reason = reason
  }
}
