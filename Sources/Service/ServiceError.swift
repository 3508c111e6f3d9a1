/// Why the service cannot start, or cannot take over what a reload asks for.
package enum ServiceError: Error {
  case model(name: String, file: String, reason: String)
  case sink(name: String, reason: String)
  case state(reason: String)
  case memory(reason: String)
  case watch(reason: String)
  case listen(reason: String)

  /// Whether starting again without a change by the operator cannot help.
  package var isConfigurationFault: Bool {
    switch self {
    case .model, .sink, .memory: true
    case .state, .watch, .listen: false
    }
  }
}

extension ServiceError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .model(let name, let file, let reason): "model \(name) (\(file)): \(reason)"
    case .sink(let name, let reason): "sink \(name): \(reason)"
    case .state(let reason): "state folder: \(reason)"
    case .memory(let reason): reason
    case .watch(let reason): "watching: \(reason)"
    case .listen(let reason): reason
    }
  }
}
