package import Engine
package import Platform

/// Why a data set cannot be used, or a run cannot go on.
package enum TrainingError: Error, Equatable {
  /// A file breaks its format's rules; `place` is a line (`line 7`) or a byte (`byte 16`).
  case dataset(path: String, place: String, reason: String)
  /// What was asked for makes no sense for this data or network.
  case settings(reason: String)
  /// The loss is no number any more: the step, the layer where it began, and the checkpoint from before.
  case unsound(step: Int, layer: String, checkpoint: String?)
  /// After a step a tensor holds what is no finite number, though the loss was one.
  case unsoundTensor(step: Int, name: String, checkpoint: String?)
  /// A checkpoint that is damaged or of another run.
  case checkpoint(path: String, reason: String)
  /// Asked to stop where there is no state to keep: while it sets itself up or tests.
  case stopped
  case engine(EngineError)
  case platform(PlatformError)
}

extension TrainingError {
  /// Of all the pictures of a data set none can be read, so that what comes of it is worth nothing.
  static func unreadable(_ path: String, count: Int) -> TrainingError {
    .dataset(
      path: path, place: "its pictures",
      reason: "none of the \(count) can be read; lookout dataset check says why of each")
  }
}

extension TrainingError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .dataset(let path, let place, let reason): "\(path), \(place): \(reason)"
    case .settings(let reason): reason
    case .unsound(let step, let layer, let checkpoint):
      "step \(step): the loss is no number; the first bad value is the output of \(layer). " + Self.remedy(checkpoint)
    case .unsoundTensor(let step, let name, let checkpoint):
      "after \(step) steps the tensor \(name) holds numbers that are infinite or none. " + Self.remedy(checkpoint)
    case .checkpoint(let path, let reason): "\(path): \(reason)"
    case .stopped: "stopped"
    case .engine(let error): "\(error)"
    case .platform(let error): "\(error)"
    }
  }

  private static func remedy(_ checkpoint: String?) -> String {
    (checkpoint.map { "The last good state is \($0). " } ?? "No checkpoint was written yet. ")
      + "Try a lower learning rate, gradient clipping, or look for pictures without content"
  }
}
