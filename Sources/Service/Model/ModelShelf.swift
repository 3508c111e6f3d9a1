internal import Synchronization

/// The models in service by name; a swap takes effect with the next picture that is decoded.
package final class ModelShelf: Sendable {
  private let models: Mutex<[String: LoadedModel]>

  package init(_ models: [String: LoadedModel]) { self.models = Mutex(models) }

  package func model(named name: String) -> LoadedModel? { models.withLock { $0[name] } }

  /// Whether this very model is in service, not only one of its name.
  func holds(_ model: LoadedModel) -> Bool { models.withLock { $0[model.name] === model } }

  package var all: [String: LoadedModel] { models.withLock { $0 } }

  /// Puts one model in the place of that with its name.
  func replace(_ model: LoadedModel) { models.withLock { $0[model.name] = model } }

  /// Puts new models in the place of all old ones.
  package func replace(by new: [String: LoadedModel]) { models.withLock { $0 = new } }
}
