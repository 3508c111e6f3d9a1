internal import Engine
internal import Glibc
internal import Imaging
internal import Platform
internal import Synchronization

/// What is measured inside this process: the network alone, and the way from a file's bytes to its input.
struct ComputeBenches {
  /// How long one sample runs.
  let seconds: Double
  /// How many samples.
  let rounds: Int

  /// Images a second of one network: each thread has a plan of its own and runs batch after batch.
  func engine(_ model: PictureModel, batch: Int, threads: Int) throws(Failure) -> Measurement {
    var plans: [BatchRunner] = []
    do throws(EngineError) {
      for _ in 0..<threads { plans.append(try BatchRunner(network: model.network, batch: batch)) }
    } catch {
      throw .data("\(model.name): \(error)")
    }
    for plan in plans { plan.runOnce() }
    let samples = rates(of: plans.map { plan in { plan.runOnce() } }, each: batch)
    return Measurement(
      "engine", [("network", model.name), ("batch", "batch \(batch)"), ("threads", "\(threads) threads")],
      unit: "images/s", samples: samples)
  }

  /// What each step of a network takes of an image's processor time on one thread, the slowest first.
  func layers(_ model: PictureModel, batch: Int) throws(Failure) -> [Measurement] {
    guard let network = model.network as? CompiledNetwork else {
      throw .usage("layers are measured of networks in fp32, and \(model.name) was quantized")
    }
    let times: [Double]
    do throws(EngineError) {
      let plan = try InferencePlan(network: network, batchCapacity: batch)
      times = BatchRunner(plan, batch: batch).withImages { images in
        plan.stepTimes(images: images, repetitions: rounds) { Double(Clock.threadNanoseconds()) / 1000 }
      }
    } catch {
      throw .data("\(model.name): \(error)")
    }
    let steps = network.summary
    return steps.indices.sorted { times[$0] > times[$1] }.map { index in
      Measurement(
        "layer", [("network", model.name), ("layer", steps[index].name), ("algorithm", steps[index].algorithm)],
        unit: "µs/image", samples: [times[index] / Double(batch)])
    }
  }

  /// Photos a second on one thread, from bytes in memory to the network's input.
  func decode(_ photos: BenchPhotos, _ model: PictureModel, isFull: Bool) throws(Failure) -> Measurement {
    let preparer = Preparer(model.preprocessing, photos.photos, isFull: isFull)
    for number in photos.photos.indices where !preparer.prepare(number) {
      throw .data("photo \(number + 1) of \(photos.photos.count) cannot be decoded")
    }
    return Measurement(
      "decode and prepare", [("decoding", isFull ? "full" : "reduced"), ("network", model.name)], unit: "images/s",
      samples: rates(of: [{ preparer.prepareNext() }], each: 1))
  }

  /// Images a second if the same threads decoded each photo and computed it in whole batches, and did nothing else.
  func parts(_ photos: BenchPhotos, _ model: PictureModel, batch: Int, threads: Int) throws(Failure) -> Double {
    let once = ComputeBenches(seconds: seconds, rounds: 1)
    let decoded = try once.decode(photos, model, isFull: false).quantile(0.5) * Double(threads)
    let computed = try once.engine(model, batch: batch, threads: threads).quantile(0.5)
    return 1 / (1 / decoded + 1 / computed)
  }

  /// How fast this machine multiplies at this moment: the limit that other measurements are read against.
  func machine(threads: Int) throws(Failure) -> Measurement {
    var products: [MatrixLibrary.Exercise] = []
    do throws(EngineError) {
      for _ in 0..<threads { products.append(try MatrixLibrary.Exercise(side: 384)) }
    } catch {
      throw .data("\(error)")
    }
    for product in products { product.run() }
    let rates = rates(of: products.map { product in { product.run() } }, each: 1)
    return Measurement(
      "matrix products", [("threads", "\(threads) threads")], unit: "Gflop/s",
      samples: rates.map { $0 * products[0].operations / 1e9 })
  }

  private func rates(of steps: [@Sendable () -> Void], each: Int) -> [Double] {
    (0..<rounds).map { _ in WorkRate.measured(of: steps, each: each, seconds: seconds) }
  }
}

/// Work done a second, all threads together: each thread repeats its own step until the time is over.
enum WorkRate {
  /// `each`: how much one step does.
  static func measured(of steps: [@Sendable () -> Void], each: Int, seconds: Double) -> Double {
    let gate = Gate()
    let threads = steps.enumerated().map { number, step in
      OwnedThread(name: "bench-\(number)") {
        while !gate.isOver.load(ordering: .relaxed) {
          step()
          gate.steps.wrappingAdd(1, ordering: .relaxed)
        }
      }
    }
    let begun = Clock.monotonicNanoseconds()
    Clock.pause(milliseconds: Int(seconds * 1000))
    gate.isOver.store(true, ordering: .relaxed)
    for thread in threads { thread.join() }
    // The last steps run past the end, so the time is taken when all threads are done.
    let taken = Double(Clock.monotonicNanoseconds() - begun) / 1e9
    return Double(gate.steps.load(ordering: .relaxed) * each) / taken
  }

  private final class Gate: Sendable {
    let isOver = Atomic(false)
    let steps = Atomic(0)
  }
}

/// One thread's plan, input and output.
///
/// `@unchecked`: only the thread that runs it touches it.
final class BatchRunner: @unchecked Sendable {
  private let plan: any NetworkPlan
  private let memory: UnsafeMutableBufferPointer<Float>
  private let images: UnsafeMutableBufferPointer<UnsafePointer<Float>>
  private let scores: UnsafeMutableBufferPointer<Float>

  convenience init(network: any Network, batch: Int) throws(EngineError) {
    self.init(try network.plan(batchCapacity: batch), batch: batch)
  }

  init(_ plan: any NetworkPlan, batch: Int) {
    self.plan = plan
    let network = plan.answering
    let count = network.inputShape.countPerImage
    memory = .allocate(capacity: batch * count)
    images = .allocate(capacity: batch)
    scores = .allocate(capacity: batch * network.outputCount)
    for index in memory.indices { memory[index] = Float(index &* 37 % 255) / 128 - 1 }
    scores.initialize(repeating: 0)
    for image in 0..<batch {
      guard let base = UnsafeBufferPointer(rebasing: memory[(image * count)...]).baseAddress else { continue }
      images.initializeElement(at: image, to: base)
    }
  }

  deinit {
    memory.deallocate()
    images.deallocate()
    scores.deallocate()
  }

  func withImages<R>(_ body: (UnsafeBufferPointer<UnsafePointer<Float>>) -> R) -> R {
    body(UnsafeBufferPointer(images))
  }

  /// One batch.
  func runOnce() { plan.run(images: UnsafeBufferPointer(images), output: scores) }
}

/// One thread's preprocessor over photos in memory.
///
/// `@unchecked`: only the thread that runs it touches it.
private final class Preparer: @unchecked Sendable {
  private let preprocessor: Preprocessor
  private let photos: [[UInt8]]
  private let isFull: Bool
  private var slot: [Float]
  private var number = 0

  init(_ preprocessing: Preprocessing, _ photos: [[UInt8]], isFull: Bool) {
    preprocessor = Preprocessor(preprocessing)
    self.photos = photos
    self.isFull = isFull
    slot = [Float](repeating: 0, count: preprocessing.outputCount)
  }

  func prepare(_ number: Int) -> Bool {
    photos[number].withUnsafeBytes { bytes in
      slot.withUnsafeMutableBufferPointer { slot in
        (try? preprocessor.prepare(bytes, into: slot, fullDecode: isFull)) != nil
      }
    }
  }

  func prepareNext() {
    _ = prepare(number)
    number = (number + 1) % photos.count
  }
}
