internal import Engine

/// A classifier's tools: a plan and its output for each model in use.
struct Bench {
  struct Place {
    /// Kept, so that no later model can be taken for this one.
    let model: LoadedModel
    let plan: any NetworkPlan
    var scores: [Float]
  }

  private(set) var places: [Place] = []
  /// The most pictures of a batch; nil for as many as a model's batches may have.
  private let capacity: Int?
  private let lanes: LaneGroup

  init(capacity: Int? = nil, lanes: LaneGroup = .alone) {
    self.capacity = capacity
    self.lanes = lanes
  }

  /// The place of a model, set up when it is met first; places of models that went out of service are cleared then.
  mutating func place(of model: LoadedModel, shelf: ModelShelf) throws(EngineError) -> Int {
    if let known = places.firstIndex(where: { $0.model === model }) { return known }
    clear(but: shelf)
    let capacity = capacity ?? model.settings.maxBatch
    places.append(
      Place(
        model: model, plan: try model.network.plan(batchCapacity: capacity, lanes: lanes),
        scores: [Float](repeating: 0, count: capacity * model.network.outputCount)))
    return places.count - 1
  }

  /// Clears the places of models that went out of service.
  mutating func clear(but shelf: ModelShelf) { places.removeAll { !shelf.holds($0.model) } }

  /// Runs a place's network; its scores then have a row for each image.
  mutating func run(_ place: Int, images: [UnsafePointer<Float>]) {
    let plan = places[place].plan
    let count = images.count * places[place].model.network.outputCount
    places[place].scores.withUnsafeMutableBufferPointer { scores in
      images.withUnsafeBufferPointer { images in
        plan.run(images: images, output: UnsafeMutableBufferPointer(rebasing: scores[..<count]))
      }
    }
  }
}
