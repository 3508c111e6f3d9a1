package import Engine
package import Imaging
internal import Platform
internal import Synchronization

/// A model that proved itself and can answer: network, labels, what a picture must go through, and its name in results.
///
/// Immutable but for its pool of slots and its timing; shared by every decoder and classifier thread. A reload makes a
/// new one beside it, and this one goes when the last picture decoded for it is answered.
package final class LoadedModel: Sendable {
  package let name: String
  /// Path of the weights file.
  package let file: String
  /// SHA-256 over graph and tensors, as written in every result.
  package let digest: String
  package let labels: [String]
  package let preprocessing: Preprocessing
  package let network: any Network
  package let settings: ModelSettings
  package let slots: SlotPool
  /// What the weights file was when it was read.
  package let identity: FileIdentity
  /// Of the weights as the engine holds them, in bytes.
  package let weightBytes: Int
  /// Of one replica's plan, in bytes.
  package let workspaceBytes: Int
  /// Of the plan on which all workers compute a picture that comes alone, in bytes; 0 if none is worth while.
  package let jointWorkspaceBytes: Int
  /// How long the network took here for its first image, in nanoseconds.
  package let imageNanoseconds: Int64
  /// What its batches cost.
  let timing = Mutex(BatchTiming())

  /// Opens, validates and compiles a weights file, and proves it on its canary.
  ///
  /// `slotCount`: how many decoded pictures may be in memory at once. `workers`: how many threads make the network ready,
  /// and compute a picture together that comes alone. `measured`: what this machine knows of algorithms.
  ///
  /// - Throws: `ServiceError.model` naming the file and what is wrong; nothing else is changed by a bad file.
  package init(
    settings: ModelSettings, slotCount: Int, workers: Int = 1, measured: [String: ConvolutionAlgorithm] = [:]
  ) throws(ServiceError) {
    var place = settings.file
    do {
      // From a copy, as a writer may cut the file short at any time, which ends a process that has it mapped.
      let snapshot = try FileSnapshot(of: Path(settings.file))
      place = snapshot.path
      identity = snapshot.status.identity
      let pool = LanePool(count: workers, name: "load")
      let lanes = LaneGroup(pool)
      let weights: WeightsFile
      (weights, network) = try WeightsFile.load(
        path: snapshot.path, precision: settings.precision, options: settings.engineOptions(measured: measured),
        lanes: lanes)
      weightBytes = network.weightBytes
      preprocessing = try Preprocessing(json: weights.preprocessingJSON)
      labels = weights.labels
      digest = weights.digest
      name = settings.name
      file = settings.file
      self.settings = settings
      slots = SlotPool(count: slotCount, floatsPerSlot: network.inputShape.countPerImage)
      // As large as the classifiers make theirs, so that one that cannot be made is refused here.
      let plan = try network.plan(batchCapacity: settings.maxBatch)
      workspaceBytes = plan.workspaceBytes
      let start = Clock.monotonicNanoseconds()
      let answers = plan.answers(toSeed: weights.canary?.seed ?? 1)
      imageNanoseconds = Clock.monotonicNanoseconds() - start
      let isShared = workers > 1 && network is CompiledNetwork && imageNanoseconds > Self.worthSharingNanoseconds
      jointWorkspaceBytes = isShared ? try network.plan(batchCapacity: 1, lanes: lanes).workspaceBytes : 0
      if let reason = weights.canary?.discrepancy(in: answers, rounding: network.canaryRounding) {
        guard network.canaryRounding > 0 else { throw EngineError.unsound(reason: reason) }
        // A quantized network's canary was computed in bytes.
        let remedy = weights.quantization == nil ? Precision.fp32 : .automatic
        throw EngineError.unsound(reason: "\(reason); set precision = \"\(remedy.rawValue)\"")
      }
    } catch {
      let reason = "\(error)".replacing("\(place): ", with: "").replacing(place, with: settings.file)
      throw .model(name: settings.name, file: settings.file, reason: reason)
    }
    Memory.giveBack()
    guard preprocessing.outputCount == network.inputShape.countPerImage else {
      throw .model(
        name: settings.name, file: settings.file,
        reason: "preprocessing gives \(preprocessing.outputCount) numbers, the network takes \(network.inputShape)")
    }
  }
}

extension LaneGroup {
  /// The pool's threads.
  init(_ pool: LanePool) { self.init(count: pool.count, run: pool.run, synchronize: pool.synchronize) }
}

extension LoadedModel {
  /// A network that takes less is done before other threads are awake.
  private static let worthSharingNanoseconds: Int64 = 2_000_000

  /// Whether all workers compute a picture that comes alone.
  var isShared: Bool { jointWorkspaceBytes > 0 }

  /// The convolutions of a network in floats that several algorithms may compute.
  var problems: [ConvolutionProblem] { (network as? CompiledNetwork)?.problems ?? [] }

  /// Whether products of bf16 are asked for that this processor has no instructions for, or slow ones.
  var lacksBF16: Bool { settings.precision == .bf16 && !InstructionSet.best.gainsByBF16 }

  /// One line on models that lack bf16; nil if there are none.
  static func lackOfBF16(_ models: [LoadedModel]) -> String? {
    let names = models.filter(\.lacksBF16).map(\.name).sorted()
    guard !names.isEmpty else { return nil }
    let why = InstructionSet.best.hasBF16 ? "only slower instructions" : "no instructions"
    return "this processor has \(why) for precision = \"bf16\", computed in fp32: " + names.joined(separator: ", ")
  }

  /// What the model costs.
  var cost: MemoryPlan.Model {
    MemoryPlan.Model(
      name: name, weightBytes: weightBytes, slots: slots.count, floatsPerSlot: network.inputShape.countPerImage,
      workspaceBytes: workspaceBytes, jointWorkspaceBytes: jointWorkspaceBytes)
  }
}
