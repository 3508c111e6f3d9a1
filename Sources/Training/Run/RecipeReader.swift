internal import Platform
internal import TOML

/// Everything that is wrong with a recipe, all of it at once, each with its place.
package struct RecipeError: Error, CustomStringConvertible {
  package let problems: [String]
  package var description: String { problems.joined(separator: "\n") }
}

extension Recipe {
  /// Every key, by table, in the order in which it is shown to people.
  package static let keys: [(table: String, keys: [String])] = [
    (
      "data",
      ["train", "validation", "validation_ratio", "test", "images", "classes", "unreadable", "workers", "cache_mb"]
    ),
    (
      "model",
      [
        "architecture", "weights", "height", "width", "channels", "freeze", "thaw_epoch", "norm_momentum",
        "norm_statistics", "normalisation", "mean", "std",
      ]
    ),
    (
      "train",
      [
        "epochs", "batch_size", "seed", "threads", "loss", "label_smoothing", "class_weights", "balanced", "drop_last",
        "dropout", "accumulate", "clip_norm", "clip_value", "average_decay", "patience", "checkpoint_s", "time_limit_s",
      ]
    ),
    (
      "optimizer",
      [
        "kind", "learning_rate", "momentum", "nesterov", "weight_decay", "beta1", "beta2", "alpha", "epsilon",
        "decay_all", "groups",
      ]
    ),
    (
      "schedule",
      [
        "kind", "step_size", "gamma", "milestones", "minimum", "rise", "start_divisor", "end_divisor", "factor",
        "plateau_patience", "threshold", "warm_up_steps", "warm_up_factor",
      ]
    ),
    (
      "augment",
      [
        "resized_crop", "crop_scale", "crop_ratio", "crop_padding", "horizontal_flip", "vertical_flip",
        "rotation_degrees", "affine_degrees", "affine_translate", "affine_scale", "affine_shear_degrees", "brightness",
        "contrast", "saturation", "hue", "grey", "noise_sigma", "blur_kernel", "blur_sigma", "blur", "erasing",
        "erasing_scale", "erasing_ratio", "mixup_alpha",
      ]
    ),
    ("output", ["folder", "name", "tensorboard", "contact_sheet"]),
  ]

  /// The keys whose value is text.
  private static let textKeys: Set = [
    "data.train", "data.validation", "data.test", "data.images", "data.unreadable", "model.architecture",
    "model.weights", "model.norm_statistics", "model.normalisation", "train.loss", "optimizer.kind", "schedule.kind",
    "output.folder", "output.name",
  ]

  /// Reads a recipe file, and then the flags over it.
  ///
  /// - Parameters:
  ///   - text: the file's bytes; empty without a file.
  ///   - file: its name, for messages.
  ///   - flags: `--key value` pairs; a key that stands in two tables needs its table before it: `--optimizer.kind`.
  /// - Returns: the recipe.
  /// - Throws: `RecipeError` with every problem and its place.
  package static func read(
    _ text: [UInt8], file: String, flags: [(name: String, value: String)]
  ) throws(RecipeError) -> Recipe {
    var problems: [String] = []
    var tables: [String: [TOMLValue.Entry]] = [:]
    switch TOMLValue.parse(text) {
    case .failure(let error):
      throw RecipeError(problems: ["\(file):\(error.position.line):\(error.position.column): \(error.reason)"])
    case .success(let root):
      var reader = TableReader("", root)
      for (table, _) in keys { if let value = reader.table(table) { tables[table] = entries(value) } }
      problems += reader.finish().map { "\(file):\($0.position.line):\($0.position.column): \($0.reason)" }
    }
    var fromFlags: Set<String> = []
    for flag in flags {
      do throws(RecipeError) {
        let (table, entry) = try entry(flag.name, flag.value)
        tables[table] = (tables[table] ?? []).filter { $0.key != entry.key } + [entry]
        fromFlags.insert("\(table).\(entry.key)")
      } catch {
        problems += error.problems
      }
    }
    var reader = RecipeReader()
    let recipe = reader.read(tables)
    for problem in reader.problems {
      let isFlag = problem.position.line == 0
      problems.append(
        isFlag ? problem.reason : "\(file):\(problem.position.line):\(problem.position.column): \(problem.reason)")
    }
    guard problems.isEmpty else { throw RecipeError(problems: problems) }
    return recipe
  }

  private static func entries(_ value: TOMLValue) -> [TOMLValue.Entry] {
    if case .table(let entries) = value.content { return entries }
    return []
  }

  /// A flag as an entry of its table; its place is line 0.
  private static func entry(
    _ name: String, _ value: String
  ) throws(RecipeError) -> (table: String, entry: TOMLValue.Entry) {
    let plain = String(name.map { $0 == "-" ? "_" : $0 })
    let parts = plain.split(separator: ".", maxSplits: 1).map(String.init)
    let key = parts.last ?? plain
    let owners = keys.filter { $0.keys.contains(key) && (parts.count == 1 || $0.table == parts[0]) }.map(\.table)
    guard owners.count == 1 else {
      throw RecipeError(
        problems: [
          owners.isEmpty
            ? "there is no option --\(name); lookout train --help lists them"
            : "--\(name) could be \(owners.map { "--\($0).\(key)" }.joined(separator: " or "))"
        ])
    }
    let nowhere = FilePosition(line: 0, column: 0)
    // What is valid TOML is taken as it is, anything else as text; where text is wanted, so are a number and a date.
    var content = TOMLValue.Content.string(value)
    if case .success(let root) = TOMLValue.parse(Array("x = \(value)".utf8)),
      case .table(let entries) = root.content, let first = entries.first, entries.count == 1
    {
      if case .string = first.value.content {
        content = first.value.content
      } else if !textKeys.contains("\(owners[0]).\(key)") {
        content = first.value.content
      }
    }
    return (
      owners[0],
      TOMLValue.Entry(key: key, position: nowhere, value: TOMLValue(content: content, position: nowhere))
    )
  }
}

/// Turns tables into a recipe and collects what is wrong with them.
private struct RecipeReader {
  private(set) var problems: [SettingsProblem] = []

  mutating func read(_ tables: [String: [TOMLValue.Entry]]) -> Recipe {
    var recipe = Recipe()
    func table(_ name: String) -> TableReader {
      let entries = tables[name] ?? []
      let position = entries.first?.position ?? FilePosition(line: 1, column: 1)
      return TableReader(name, TOMLValue(content: .table(entries), position: position))
    }
    data(table("data"), &recipe.data)
    model(table("model"), &recipe.model)
    train(table("train"), &recipe.train)
    optimizer(table("optimizer"), &recipe.optimizer)
    schedule(table("schedule"), &recipe.schedule)
    augment(table("augment"), &recipe.augment)
    output(table("output"), &recipe.output)
    return recipe
  }

  private mutating func finish(_ reader: TableReader) {
    var reader = reader
    problems += reader.finish()
  }

  private mutating func data(_ table: TableReader, _ data: inout Recipe.Data) {
    var t = table
    data.train = t.requiredString("train")
    data.validation = t.string("validation", default: "")
    data.validationRatio = t.number("validation_ratio", default: data.validationRatio, in: 0...0.9)
    data.test = t.string("test", default: "")
    data.images = t.string("images", default: "")
    let classes = t.placedStrings("classes") ?? []
    data.classes = classes.map(\.text)
    for (index, name) in classes.enumerated() where data.classes[..<index].contains(name.text) {
      t.problem(name.position, "[data] classes names \"\(name.text)\" twice")
    }
    let place = t.place(of: "unreadable")
    let policy = t.string("unreadable", default: "skip")
    if !["skip", "stop"].contains(policy) { t.problem(place, "[data] unreadable must be \"skip\" or \"stop\"") }
    data.stopsAtUnreadable = policy == "stop"
    data.workers = t.integer("workers", default: data.workers, in: 1...64)
    data.cacheMegabytes = t.integer("cache_mb", default: data.cacheMegabytes, in: 0...1_000_000)
    finish(t)
  }

  private mutating func model(_ table: TableReader, _ model: inout Recipe.Model) {
    var t = table
    let place = t.position
    model.architecture = t.string("architecture", default: "")
    model.weights = t.string("weights", default: "")
    if model.architecture.isEmpty, !model.weights.hasSuffix(".swiftweights") {
      t.problem(place, "[model] needs an architecture, or weights that are a .swiftweights file")
    }
    model.height = t.integer("height", default: 0, in: 0...4096)
    model.width = t.integer("width", default: model.height, in: 0...4096)
    model.channels = t.integer("channels", default: 0, in: 0...3)
    model.freeze = t.strings("freeze", default: [])
    model.thawEpoch = t.integer("thaw_epoch", default: 0, in: 0...1_000_000)
    model.normMomentum = t.number("norm_momentum", default: model.normMomentum, in: 0...1)
    let statisticsPlace = t.place(of: "norm_statistics")
    model.normStatistics = t.choice("norm_statistics", default: model.normStatistics)
    if model.normStatistics == .kept, model.weights.isEmpty {
      t.problem(statisticsPlace, "[model] norm_statistics = \"kept\" needs weights that bring statistics")
    }
    let meanPlace = t.place(of: "mean")
    model.normalisation = t.choice("normalisation", default: model.normalisation)
    model.mean = t.numbers("mean", default: [])
    model.std = t.numbers("std", default: [])
    if model.mean.count != model.std.count { t.problem(meanPlace, "[model] mean and std need equally many numbers") }
    if model.normalisation == .given, model.mean.isEmpty {
      t.problem(meanPlace, "[model] normalisation = \"given\" needs mean and std, of samples from 0 to 1")
    }
    finish(t)
  }

  private mutating func train(_ table: TableReader, _ train: inout Recipe.Train) {
    var t = table
    train.epochs = t.integer("epochs", default: train.epochs, in: 1...1_000_000)
    train.batchSize = t.integer("batch_size", default: train.batchSize, in: 1...65_536)
    train.seed = t.integer("seed", default: train.seed, in: 0...Int(Int32.max))
    train.threads = t.integer("threads", default: train.threads, in: 1...64)
    train.loss = t.choice("loss", default: train.loss)
    let smoothingPlace = t.place(of: "label_smoothing")
    train.labelSmoothing = t.number("label_smoothing", default: 0, in: 0...0.99)
    if train.labelSmoothing > 0, train.loss != .crossEntropy {
      t.problem(smoothingPlace, "[train] label_smoothing goes with loss = \"cross_entropy\" alone")
    }
    let weightsPlace = t.place(of: "class_weights")
    train.weighsClasses = t.boolean("class_weights", default: false)
    if train.weighsClasses, train.loss == .meanSquaredError {
      t.problem(weightsPlace, "[train] class_weights does not go with loss = \"mean_squared_error\"")
    }
    train.isBalanced = t.boolean("balanced", default: false)
    train.dropsLast = t.boolean("drop_last", default: false)
    train.drops = t.boolean("dropout", default: true)
    train.accumulate = t.integer("accumulate", default: 1, in: 1...65_536)
    train.clipNorm = t.number("clip_norm", default: 0, in: 0...1e9)
    train.clipValue = t.number("clip_value", default: 0, in: 0...1e9)
    train.averageDecay = t.number("average_decay", default: 0, in: 0...0.999999)
    train.patience = t.integer("patience", default: 0, in: 0...1_000_000)
    train.checkpointSeconds = t.integer("checkpoint_s", default: train.checkpointSeconds, in: 0...1_000_000)
    train.timeLimitSeconds = t.integer("time_limit_s", default: 0, in: 0...100_000_000)
    finish(t)
  }

  private mutating func optimizer(_ table: TableReader, _ optimizer: inout Recipe.Optimizer) {
    var t = table
    optimizer.kind = t.choice("kind", default: optimizer.kind)
    let usualRate = optimizer.kind == .sgd ? 0.1 : optimizer.kind == .rmsProp ? 0.01 : 0.001
    optimizer.learningRate = t.number("learning_rate", default: usualRate, in: 0...1e6)
    optimizer.momentum = t.number("momentum", default: optimizer.kind == .sgd ? 0.9 : 0, in: 0...1)
    optimizer.isNesterov = t.boolean("nesterov", default: false)
    optimizer.weightDecay = t.number("weight_decay", default: optimizer.kind == .sgd ? 5e-4 : 0, in: 0...1e3)
    optimizer.beta1 = t.number("beta1", default: optimizer.beta1, in: 0...1)
    optimizer.beta2 = t.number("beta2", default: optimizer.beta2, in: 0...1)
    optimizer.alpha = t.number("alpha", default: optimizer.alpha, in: 0...1)
    optimizer.epsilon = t.number("epsilon", default: optimizer.epsilon, in: 0...1)
    optimizer.decaysAll = t.boolean("decay_all", default: true)
    if let groups = t.table("groups"), case .table(let entries) = groups.content {
      for entry in entries {
        var factor = TableReader(
          "optimizer.groups", TOMLValue(content: .table([entry]), position: entry.position))
        optimizer.groups.append(
          .init(pattern: entry.key, factor: factor.number(entry.key, default: 1, in: 0...1e6)))
        finish(factor)
      }
    }
    finish(t)
  }

  private enum ScheduleKind: String, CaseIterable {
    case constant
    case step
    case multiStep = "multi_step"
    case exponential
    case cosine
    case oneCycle = "one_cycle"
    case plateau
  }

  private mutating func schedule(_ table: TableReader, _ schedule: inout Recipe.ScheduleSettings) {
    var t = table
    let kind = t.choice("kind", default: ScheduleKind.constant)
    let size = t.integer("step_size", default: 30, in: 1...1_000_000)
    let gamma = t.number("gamma", default: 0.1, in: 0...1)
    let milestones = t.numbers("milestones", default: []).map { Int($0) }
    let minimum = t.number("minimum", default: 0, in: 0...1e6)
    let rise = t.number("rise", default: 0.3, in: 0...1)
    let (start, end) = (
      t.number("start_divisor", default: 25, in: 1...1e9), t.number("end_divisor", default: 1e4, in: 1...1e12)
    )
    let factor = t.number("factor", default: 0.1, in: 0...1)
    let patience = t.integer("plateau_patience", default: 10, in: 0...1_000_000)
    let threshold = t.number("threshold", default: 1e-4, in: 0...1)
    switch kind {
    case .constant: schedule.schedule = .constant
    case .step: schedule.schedule = .step(size: size, gamma: gamma)
    case .multiStep: schedule.schedule = .multiStep(milestones: milestones, gamma: gamma)
    case .exponential: schedule.schedule = .exponential(gamma: gamma)
    case .cosine: schedule.schedule = .cosine(minimum: minimum)
    case .oneCycle:
      schedule.schedule = .oneCycle(rise: rise, startDivisor: start, endDivisor: end, momentum: 0.85...0.95)
    case .plateau:
      schedule.schedule = .plateau(factor: factor, patience: patience, threshold: threshold, minimum: minimum)
    }
    schedule.warmUpSteps = t.integer("warm_up_steps", default: 0, in: 0...1_000_000_000)
    schedule.warmUpFactor = t.number("warm_up_factor", default: schedule.warmUpFactor, in: 0...1)
    finish(t)
  }

  private mutating func augment(_ table: TableReader, _ augment: inout AugmentationSettings) {
    var t = table
    let crop = AugmentationSettings.ResizedCrop(
      scale: t.span("crop_scale", default: 0.08...1, within: 0.0001...1),
      ratio: t.span("crop_ratio", default: (3.0 / 4)...(4.0 / 3), within: 0.01...100))
    if t.boolean("resized_crop", default: false) { augment.resizedCrop = crop }
    augment.cropPadding = t.integer("crop_padding", default: 0, in: 0...1024)
    augment.horizontalFlip = t.number("horizontal_flip", default: 0, in: 0...1)
    augment.verticalFlip = t.number("vertical_flip", default: 0, in: 0...1)
    augment.rotationDegrees = t.number("rotation_degrees", default: 0, in: 0...180)
    let affine = AugmentationSettings.Affine(
      degrees: t.number("affine_degrees", default: 0, in: 0...180),
      translate: t.number("affine_translate", default: 0, in: 0...1),
      scale: t.span("affine_scale", default: 1...1, within: 0.01...100),
      shearDegrees: t.number("affine_shear_degrees", default: 0, in: 0...89))
    if affine != AugmentationSettings.Affine(degrees: 0) { augment.affine = affine }
    let jitter = AugmentationSettings.Jitter(
      brightness: t.number("brightness", default: 0, in: 0...10),
      contrast: t.number("contrast", default: 0, in: 0...10),
      saturation: t.number("saturation", default: 0, in: 0...10), hue: t.number("hue", default: 0, in: 0...0.5))
    if jitter != AugmentationSettings.Jitter() { augment.jitter = jitter }
    augment.greyProbability = t.number("grey", default: 0, in: 0...1)
    augment.noiseSigma = t.number("noise_sigma", default: 0, in: 0...1)
    let place = t.place(of: "blur_kernel")
    let kernel = t.integer("blur_kernel", default: 0, in: 0...255)
    let sigma = t.span("blur_sigma", default: 0.1...2, within: 0.001...100)
    let blur = t.number("blur", default: 1, in: 0...1)
    if kernel > 0 {
      if kernel % 2 == 0 { t.problem(place, "[augment] blur_kernel must be odd") }
      augment.blur = .init(kernel: kernel, sigma: sigma, probability: blur)
    }
    let erasing = AugmentationSettings.Erasing(
      probability: t.number("erasing", default: 0, in: 0...1),
      scale: t.span("erasing_scale", default: 0.02...0.33, within: 0.0001...1),
      ratio: t.span("erasing_ratio", default: 0.3...3.3, within: 0.01...100))
    if erasing.probability > 0 { augment.erasing = erasing }
    augment.mixupAlpha = t.number("mixup_alpha", default: 0, in: 0...100)
    finish(t)
  }

  private mutating func output(_ table: TableReader, _ output: inout Recipe.Output) {
    var t = table
    output.folder = t.requiredString("folder")
    let place = t.place(of: "name")
    output.name = t.string("name", default: output.name)
    if output.name.isEmpty || output.name.contains("/") { t.problem(place, "[output] name must be a file's name") }
    output.tensorBoard = t.boolean("tensorboard", default: true)
    output.contactSheet = t.integer("contact_sheet", default: output.contactSheet, in: 0...4096)
    finish(t)
  }
}
