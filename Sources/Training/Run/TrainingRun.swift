package import Engine
package import Imaging
internal import ModelZoo
package import Platform
internal import Synchronization

/// Asks a run to end cleanly; any thread may.
package final class StopRequest: Sendable {
  private let flag = Atomic(false)
  package init() {}
  package func ask() { flag.store(true, ordering: .relaxed) }
  package var isAsked: Bool { flag.load(ordering: .relaxed) }
}

/// What a run tells while it goes.
package enum TrainingEvent: Sendable {
  /// Before the first step: what is about to happen, for people.
  case start([String])
  case step(StepRecord)
  case epoch(EpochRecord, of: Int)
  /// The state was written.
  case checkpoint(path: String)
  /// A picture that could not be read and was left out.
  case unreadable(UnreadablePicture)
  case note(String)
}

/// How the running epoch goes.
package struct StepRecord: Sendable {
  /// From 1.
  package var epoch: Int
  package var epochs: Int
  /// Batches of the epoch done, of so many.
  package var batch: Int
  package var batches: Int
  /// Steps since the run's beginning.
  package var step: Int
  package var loss: Double
  package var meanLoss: Double
  package var accuracy: Double
  package var learningRate: Double
  package var imagesPerSecond: Double
  package var secondsLeft: Double
}

/// Why a run came to its end.
package enum TrainingEnd: String, Sendable {
  case finished
  /// No improvement for as long as the recipe allows.
  case early
  /// Asked to, or out of time; a checkpoint holds the state.
  case interrupted
}

/// A training run: data, network, optimizer and their state.
///
/// Everything random comes from the recipe's seed. The run is the same to the bit for the same recipe, data and number
/// of threads, however often it is stopped or killed and resumed. Owned by one thread.
package final class TrainingRun {
  package let recipe: Recipe
  package let start: StartingModel
  package let preprocessing: Preprocessing
  package let training: Dataset
  package let validation: Dataset?
  let lanes: ThreadLanes
  let optimizer: Optimizer
  let loss: Loss
  var plan: TrainingPlan
  var isThawed: Bool
  var average: WeightAverage?
  var stopping: EarlyStopping?
  var state = Checkpoint()
  /// Pictures whose gradients wait for the next step.
  var gathered = 0
  let trainLoader: DataLoader
  let validationLoader: DataLoader?
  let provenance: String
  /// Gets named numbers for plots, if the recipe wants them written.
  var board: TensorBoardLog?

  package var weights: TrainedWeights { start.weights }
  package var history: [EpochRecord] { state.history }

  /// Reads the data, makes the network and everything beside it.
  ///
  /// - Throws: `TrainingError` when the recipe, the data and the model do not fit each other; `.stopped` if `stop` is asked
  ///   before all is made.
  package init(
    _ recipe: Recipe, provenance: String, stop: StopRequest = StopRequest()
  ) throws(TrainingError) {
    self.recipe = recipe
    self.provenance = provenance
    let seed = UInt64(recipe.train.seed)
    let data = recipe.data
    let all = try DatasetSource.read(
      data.train, part: .train, images: data.images, classes: data.classes.isEmpty ? nil : data.classes)
    if let path = data.validationPath {
      training = all
      validation = try DatasetSource.read(path, part: .validation, images: data.images, classes: all.classes)
    } else if data.validationRatio > 0 {
      let split = all.split(ratio: data.validationRatio, seed: seed)
      (training, validation) = (split.kept, split.aside.samples.isEmpty ? nil : split.aside)
    } else {
      (training, validation) = (all, nil)
    }
    let isMultiLabel = training.isMultiLabel || validation?.isMultiLabel == true
    guard !isMultiLabel || [.binaryCrossEntropy, .meanSquaredError].contains(recipe.train.loss) else {
      throw .settings(
        reason: "train.loss: the pictures of \(data.train) show several classes or none; binary_cross_entropy asks for "
          + "each class by itself")
    }
    guard training.samples.count >= 2, training.classes.count >= (isMultiLabel ? 1 : 2) else {
      throw .settings(
        reason: "\(data.train): \(training.samples.count) pictures of \(training.classes.count) classes are too few")
    }
    start = try StartingModel(recipe.model, classes: training.classes.count, seed: seed)
    preprocessing =
      recipe.model.normalisation == .data
      ? try PixelStatistics(of: training, path: data.train, preprocessing: start.preprocessing, stop: stop)
        .applied(to: start.preprocessing)
      : start.preprocessing
    lanes = ThreadLanes(count: recipe.train.threads)
    loss = Self.loss(recipe.train, training)
    trainLoader = DataLoader(training, preprocessing: preprocessing, settings: Self.loading(recipe, isTraining: true))
    guard trainLoader.batchesPerEpoch > 0 else {
      throw .dataset(
        path: data.train, place: "its pictures",
        reason: "drop_last leaves all \(training.samples.count) of them out, which do not fill a batch of "
          + "\(recipe.train.batchSize); lower batch_size or do without drop_last")
    }
    let fed = preprocessing
    validationLoader = validation.map {
      DataLoader($0, preprocessing: fed, settings: Self.loading(recipe, isTraining: false))
    }
    do throws(EngineError) {
      try MatrixLibrary.prove()
      isThawed = recipe.model.freeze.isEmpty
      plan = try Self.plan(recipe, start.weights, lanes, isThawed: isThawed)
      optimizer = Optimizer(
        recipe.rule, groups: Self.groups(recipe, start.weights, isThawed: isThawed), count: start.weights.count,
        movesMomentum: recipe.schedule.schedule.movesMomentum)
    } catch {
      throw .engine(error)
    }
    if recipe.train.averageDecay > 0 { average = WeightAverage(decay: Float(recipe.train.averageDecay)) }
    if recipe.train.patience > 0 { stopping = EarlyStopping(patience: recipe.train.patience) }
    if stop.isAsked { throw .stopped }
  }

  private static func loading(_ recipe: Recipe, isTraining: Bool) -> LoaderSettings {
    var settings = LoaderSettings()
    settings.batchSize = recipe.train.batchSize
    settings.seed = UInt64(recipe.train.seed)
    settings.workers = recipe.data.workers
    settings.ahead = recipe.data.workers + 2
    settings.cacheBytes = recipe.data.cacheMegabytes << 20
    settings.isShuffled = isTraining
    settings.isBalanced = isTraining && recipe.train.isBalanced
    settings.dropsLast = isTraining && recipe.train.dropsLast
    if isTraining { settings.augmentation = recipe.augment }
    return settings
  }

  private static func loss(_ train: Recipe.Train, _ dataset: Dataset) -> Loss {
    let total = Float(dataset.samples.count)
    let counts = dataset.counts.map { Float($0) }
    var weights: [Float]?
    if train.weighsClasses { weights = counts.map { $0 == 0 ? 0 : total / ($0 * Float(dataset.classes.count)) } }
    switch train.loss {
    case .crossEntropy: return .crossEntropy(classWeights: weights, labelSmoothing: Float(train.labelSmoothing))
    case .binaryCrossEntropy:
      // As many negative as positive examples of each class, in effect.
      return .binaryCrossEntropy(
        positiveWeights: train.weighsClasses ? counts.map { $0 == 0 ? 1 : (total - $0) / $0 } : nil)
    // The networks here end in scores; behind a LogSoftmax the likelihood is this.
    case .negativeLogLikelihood: return .crossEntropy(classWeights: weights, labelSmoothing: 0)
    case .meanSquaredError: return .meanSquaredError
    }
  }

  /// How answers are read while the run goes: they are the scores that the loss looks at.
  var decision: Decision {
    switch recipe.train.loss {
    case .crossEntropy, .negativeLogLikelihood: .largest
    case .binaryCrossEntropy: .from(0)
    case .meanSquaredError: training.isMultiLabel ? .from(0.5) : .largest
    }
  }

  /// The network that is written: each class's probability of its own is part of it where the loss took it for that.
  var servedGraph: Graph { recipe.train.loss == .binaryCrossEntropy ? start.graph.endingInSigmoid() : start.graph }

  /// What does not learn now; what the architecture holds constant never does.
  static func frozen(_ recipe: Recipe, _ weights: TrainedWeights, isThawed: Bool) -> Set<String> {
    let patterns = NamePatterns(isThawed ? [] : recipe.model.freeze)
    return Set(weights.parameters.map(\.name).filter { patterns.contains($0) || Graph.isConstant(tensor: $0) })
  }

  static func plan(
    _ recipe: Recipe, _ weights: TrainedWeights, _ lanes: ThreadLanes, isThawed: Bool
  ) throws(EngineError) -> TrainingPlan {
    var options = TrainingOptions()
    options.frozen = frozen(recipe, weights, isThawed: isThawed)
    options.frozenNorms = Set(
      weights.graph.nodes.map(\.name).filter { node in
        recipe.model.normStatistics == .kept || options.frozen.contains("\(node).weight")
      })
    options.normMomentum = recipe.model.normMomentum
    options.drops = recipe.train.drops
    options.seed = UInt64(recipe.train.seed)
    return try TrainingPlan(weights: weights, batchCapacity: recipe.train.batchSize, lanes: lanes, options: options)
  }

  static func groups(_ recipe: Recipe, _ weights: TrainedWeights, isThawed: Bool) -> [ParameterGroup] {
    let frozen = frozen(recipe, weights, isThawed: isThawed)
    return weights.parameters.filter { !frozen.contains($0.name) }.map { parameter in
      let group = recipe.optimizer.groups.first { NamePatterns([$0.pattern]).contains(parameter.name) }
      let decays = recipe.optimizer.decaysAll || parameter.extents.count > 1
      return ParameterGroup(
        ranges: [parameter.range], rateFactor: group?.factor ?? 1,
        weightDecay: decays ? Float(recipe.optimizer.weightDecay) : 0)
    }
  }

  var folder: Path { Path(recipe.output.folder) }
  package var checkpointPath: Path { folder.appending("checkpoint.safetensors") }
  package var modelPath: Path { folder.appending("\(recipe.output.name).swiftweights") }

  /// Optimizer steps of an epoch.
  var stepsPerEpoch: Int { (trainLoader.batchesPerEpoch + recipe.train.accumulate - 1) / recipe.train.accumulate }

  var position: Schedule.Position {
    Schedule.Position(step: state.step, totalSteps: stepsPerEpoch * recipe.train.epochs, epoch: state.epoch)
  }

  /// The learning rate of the next step.
  var rate: Double {
    let warmUp = WarmUp(steps: recipe.schedule.warmUpSteps, startFactor: recipe.schedule.warmUpFactor)
    return recipe.schedule.schedule.rate(
      base: recipe.optimizer.learningRate, at: position, plateau: state.plateau) * warmUp.factor(step: state.step)
  }

  /// The weights that are validated and written: their average if one is kept.
  var servedWeights: any TensorSource {
    guard let average, !average.values.isEmpty else { return weights }
    return AveragedWeights(weights: weights, average: average)
  }
}

/// The average of the weights as tensors.
struct AveragedWeights: TensorSource {
  let weights: TrainedWeights
  let average: WeightAverage

  func extents(ofTensor name: String) -> [Int]? { weights.extents(ofTensor: name) }

  func floats(ofTensor name: String) throws(EngineError) -> [Float] {
    let result = average.values.withUnsafeBufferPointer { values -> Result<[Float], EngineError> in
      guard let base = values.baseAddress else { return .success([]) }
      do throws(EngineError) {
        return .success(try weights.replacingValues(with: base).floats(ofTensor: name))
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }
}

extension Recipe {
  /// The optimizer's rule with the recipe's numbers.
  package var rule: OptimizerRule {
    let o = optimizer
    switch o.kind {
    case .sgd: return .sgd(momentum: Float(o.momentum), nesterov: o.isNesterov)
    case .adam, .adamW:
      return .adam(
        beta1: Float(o.beta1), beta2: Float(o.beta2), epsilon: Float(o.epsilon), isDecoupled: o.kind == .adamW)
    case .rmsProp:
      return .rmsProp(alpha: Float(o.alpha), epsilon: Float(o.epsilon), momentum: Float(o.momentum))
    }
  }
}
