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
      let images = BatchImages(model.network.inputShape, count: batch)
      for _ in 0..<threads { plans.append(BatchRunner(try model.network.plan(batchCapacity: batch), images)) }
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
    let times: [Double]
    do throws(EngineError) {
      let plan = try model.network.plan(batchCapacity: batch)
      let images = BatchImages(model.network.inputShape, count: batch)
      times = plan.stepTimes(images: images.pointers, repetitions: rounds) { Double(Clock.threadNanoseconds()) / 1000 }
    } catch {
      throw .data("\(model.name): \(error)")
    }
    let steps = model.network.summary
    return steps.indices.sorted { times[$0] > times[$1] }.map { index in
      Measurement(
        "layer",
        [
          ("network", model.name), ("batch", "batch \(batch)"), ("layer", steps[index].name),
          ("algorithm", steps[index].algorithm),
        ],
        unit: "µs/image", samples: [times[index] / Double(batch)])
    }
  }

  /// What each algorithm takes of an image's processor time on one thread, for each convolution where there is a choice.
  ///
  /// `known`: keys of problems that are measured already; gets those that are measured here.
  func algorithms(_ model: PictureModel, known: inout Set<String>) throws(Failure) -> [Measurement] {
    guard let network = model.network as? CompiledNetwork else {
      throw .usage(
        "algorithms are measured of networks in floats, and \(model.name) computes in bytes; add --precision fp32")
    }
    var all: [Measurement] = []
    for problem in network.problems where known.insert(problem.key).inserted {
      let times: [Double]
      do throws(EngineError) {
        times = try problem.times(budget: seconds * 1e6) { Double(Clock.threadNanoseconds()) / 1000 }
      } catch {
        throw .data("\(model.name): \(error)")
      }
      for (algorithm, time) in zip(problem.candidates, times) {
        all.append(
          Measurement(
            "algorithm", [("convolution", problem.key), ("algorithm", algorithm.rawValue)], unit: "µs/image",
            samples: [time / Double(problem.images)]))
      }
    }
    return all
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

/// Pictures to measure with, the same for every thread.
///
/// `@unchecked`: nobody writes once they are made.
final class BatchImages: @unchecked Sendable {
  private let memory: UnsafeMutableBufferPointer<Float>
  private let starts: UnsafeMutableBufferPointer<UnsafePointer<Float>>

  var pointers: UnsafeBufferPointer<UnsafePointer<Float>> { UnsafeBufferPointer(starts) }

  init(_ shape: Shape, count: Int) {
    memory = .allocate(capacity: count * shape.countPerImage)
    starts = .allocate(capacity: count)
    for index in memory.indices { memory.initializeElement(at: index, to: Float(index &* 37 % 255) / 128 - 1) }
    for image in 0..<count {
      guard let base = UnsafeBufferPointer(rebasing: memory[(image * shape.countPerImage)...]).baseAddress else {
        continue
      }
      starts.initializeElement(at: image, to: base)
    }
  }

  deinit {
    memory.deallocate()
    starts.deallocate()
  }
}

/// One thread's plan and output.
///
/// `@unchecked`: only the thread that runs it touches it.
final class BatchRunner: @unchecked Sendable {
  private let plan: any NetworkPlan
  private let images: BatchImages
  private let scores: UnsafeMutableBufferPointer<Float>

  init(_ plan: any NetworkPlan, _ images: BatchImages) {
    self.plan = plan
    self.images = images
    scores = .allocate(capacity: images.pointers.count * plan.answering.outputCount)
    scores.initialize(repeating: 0)
  }

  deinit { scores.deallocate() }

  /// One batch.
  func runOnce() { plan.run(images: images.pointers, output: scores) }
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
