internal import Platform

/// All that decides a run, as `config/train/*.toml` and the flags of `lookout train` say it.
package struct Recipe: Equatable, Sendable {
  package struct Data: Equatable, Sendable {
    /// A folder a class, a labels file, an IDX file of pictures, a folder of CIFAR batches, or a results database.
    package var train = ""
    /// The same for validation; empty takes what stands beside the training data, or else `validationRatio` of it aside.
    package var validation = ""
    package var validationRatio = 0.1
    /// The same for a last test; empty does none.
    package var test = ""
    /// What names in a labels file are relative to; empty is the file's own folder.
    package var images = ""
    /// Names of the classes, where the data has none.
    package var classes: [String] = []
    package var stopsAtUnreadable = false
    package var workers = 1
    package var cacheMegabytes = 512

    /// Where pictures for validation are; nil if they are among those for training.
    package var validationPath: String? {
      if !validation.isEmpty { return validation }
      return DatasetSource.parts(of: train).contains(.validation) ? train : nil
    }
  }

  package struct Model: Equatable, Sendable {
    package var architecture = ""
    /// A `.swiftweights` file or a `state_dict` to start from; empty starts at random.
    package var weights = ""
    /// 0 is what the architecture was made for.
    package var height = 0
    package var width = 0
    package var channels = 0
    /// Patterns of tensor names that do not learn; one that begins with `!` takes names out again.
    package var freeze: [String] = []
    /// From this epoch on everything learns; 0 is never.
    package var thawEpoch = 0
    package var normMomentum = 0.1
    package var normStatistics = NormStatistics.batch
    package var normalisation = Normalisation.architecture
    package var mean: [Double] = []
    package var std: [Double] = []
  }

  /// What batch norms that learn normalise by.
  package enum NormStatistics: String, CaseIterable, Equatable, Sendable {
    /// Each batch's own mean and variance; the running ones move towards them.
    case batch
    /// The running ones as the weights bring them, which stay: PyTorch's `eval()` of the batch norms alone.
    case kept
  }

  /// Where mean and deviation of the samples come from.
  package enum Normalisation: String, CaseIterable, Equatable, Sendable {
    case architecture
    case data
    case given
  }

  package enum LossKind: String, CaseIterable, Equatable, Sendable {
    case crossEntropy = "cross_entropy"
    case binaryCrossEntropy = "binary_cross_entropy"
    case negativeLogLikelihood = "negative_log_likelihood"
    case meanSquaredError = "mean_squared_error"
  }

  package struct Train: Equatable, Sendable {
    package var epochs = 10
    package var batchSize = 128
    package var seed = 1
    package var threads = 2
    package var loss = LossKind.crossEntropy
    package var labelSmoothing = 0.0
    /// Weigh classes by the inverse of how often they come.
    package var weighsClasses = false
    package var isBalanced = false
    package var dropsLast = false
    package var drops = true
    /// Batches that add up to one step.
    package var accumulate = 1
    /// 0 clips nothing.
    package var clipNorm = 0.0
    package var clipValue = 0.0
    /// 0 keeps no average.
    package var averageDecay = 0.0
    /// Epochs without improvement; 0 never stops early.
    package var patience = 0
    /// 0 writes one after every step.
    package var checkpointSeconds = 300
    /// Stop with a checkpoint after so long; 0 is never.
    package var timeLimitSeconds = 0
  }

  package enum OptimizerKind: String, CaseIterable, Equatable, Sendable {
    case sgd
    case adam
    case adamW = "adamw"
    case rmsProp = "rmsprop"
  }

  package struct Optimizer: Equatable, Sendable {
    package var kind = OptimizerKind.sgd
    package var learningRate = 0.1
    package var momentum = 0.9
    package var isNesterov = false
    package var weightDecay = 5e-4
    package var beta1 = 0.9
    package var beta2 = 0.999
    package var alpha = 0.99
    package var epsilon = 1e-8
    /// Whether biases and the numbers of batch norms shrink too, as PyTorch's optimizers have it.
    package var decaysAll = true
    /// Patterns of tensor names and the factor on their learning rate; the first that fits counts.
    package var groups: [Group] = []

    package struct Group: Equatable, Sendable {
      package var pattern: String
      package var factor: Double
    }
  }

  package struct ScheduleSettings: Equatable, Sendable {
    package var schedule = Schedule.constant
    package var warmUpSteps = 0
    package var warmUpFactor = 1.0 / 3
  }

  package struct Output: Equatable, Sendable {
    /// Gets the model, the checkpoint, the log and the report.
    package var folder = ""
    package var name = "model"
    package var tensorBoard = true
    /// How many augmented samples the contact sheet shows; 0 writes none.
    package var contactSheet = 64
  }

  package var data = Data()
  package var model = Model()
  package var train = Train()
  package var optimizer = Optimizer()
  package var schedule = ScheduleSettings()
  package var augment = AugmentationSettings()
  package var output = Output()

  package init() {}

  /// What must be the same for a checkpoint to go on: all but where results go, when to stop, and how fast to read.
  var fingerprint: String {
    var same = self
    same.output = Output()
    (same.data.workers, same.data.cacheMegabytes) = (0, 0)
    (same.train.timeLimitSeconds, same.train.checkpointSeconds) = (0, 0)
    return String(describing: same)
  }
}

/// Picks tensor names by patterns: `*` and `?` as in a shell; the last pattern that fits decides, `!` before it means no.
package struct NamePatterns: Sendable {
  private let patterns: [String]

  package init(_ patterns: [String]) { self.patterns = patterns }

  package func contains(_ name: String) -> Bool {
    var isIn = false
    for pattern in patterns {
      let isNo = pattern.hasPrefix("!")
      if Self.fits(Array(name.utf8)[...], Array((isNo ? pattern.dropFirst() : pattern[...]).utf8)[...]) { isIn = !isNo }
    }
    return isIn
  }

  static func fits(_ name: ArraySlice<UInt8>, _ pattern: ArraySlice<UInt8>) -> Bool {
    guard let first = pattern.first else { return name.isEmpty }
    if first == UInt8(ascii: "*") {
      return fits(name, pattern.dropFirst()) || !name.isEmpty && fits(name.dropFirst(), pattern)
    }
    guard let letter = name.first, first == UInt8(ascii: "?") || first == letter else { return false }
    return fits(name.dropFirst(), pattern.dropFirst())
  }
}
