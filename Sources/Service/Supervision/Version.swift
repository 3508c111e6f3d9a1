/// The version of every program of this source tree.
package enum Version {
  package static let text = "0.1.0"
}
