internal import Glibc
package import Imaging
internal import Platform
internal import Synchronization

/// Pictures and targets of one step.
package final class TrainingBatch: @unchecked Sendable {
  /// For each picture H×W×C floats, normalised.
  package let images: UnsafeMutableBufferPointer<Float>
  package fileprivate(set) var count = 0
  package fileprivate(set) var targets = Targets.classes([])
  /// What each picture shows, before mixing.
  package fileprivate(set) var truths: [Dataset.Truth] = []
  /// Which samples of the data set they are.
  package fileprivate(set) var samples: [Int] = []
  /// What could not be read; the batch is smaller by these.
  package fileprivate(set) var unreadable: [UnreadablePicture] = []

  fileprivate init(capacity: Int) {
    images = .allocate(capacity: capacity)
    images.initialize(repeating: 0)
  }

  deinit { images.deallocate() }
}

/// How batches are made of a data set.
package struct LoaderSettings: Sendable {
  package var batchSize = 32
  /// The order and every augmentation come from it.
  package var seed: UInt64 = 0
  /// A new order each epoch; otherwise the data set's own.
  package var isShuffled = true
  /// Leave out a last batch that is not full.
  package var dropsLast = false
  /// Draw a picture of each class equally often, with replacement; an epoch keeps its length.
  ///
  /// Pictures of no class are drawn as if they were one.
  package var isBalanced = false
  package var workers = 1
  /// Batches that are ready or being made; bounds the memory.
  package var ahead = 4
  /// Bytes of decoded pictures that are kept for the next epoch; 0 keeps none.
  package var cacheBytes = 0
  package var augmentation = AugmentationSettings.none

  package init() {}
}

/// Makes batches on threads of its own, ahead of who takes them.
///
/// What a batch holds depends on seed, epoch and data alone, not on the number of workers. Take batches from one
/// thread, and give each back when it is used up.
package final class DataLoader: @unchecked Sendable {
  package let dataset: Dataset
  package let settings: LoaderSettings
  package let preprocessing: Preprocessing
  private let cache: PictureCache

  package init(_ dataset: Dataset, preprocessing: Preprocessing, settings: LoaderSettings) {
    self.dataset = dataset
    self.preprocessing = preprocessing
    self.settings = settings
    cache = PictureCache(limit: settings.cacheBytes)
  }

  /// Batches of an epoch.
  package var batchesPerEpoch: Int {
    let count = dataset.samples.count
    return settings.dropsLast ? count / settings.batchSize : (count + settings.batchSize - 1) / settings.batchSize
  }

  /// The samples of an epoch in their order.
  package func order(epoch: Int) -> [Int] {
    var order = Array(dataset.samples.indices)
    var generator = KeyedGenerator(seed: settings.seed, .order, epoch: epoch)
    if settings.isBalanced {
      var members = [[Int]](repeating: [], count: dataset.classes.count + 1)
      for index in order {
        let own = dataset.samples[index].truth.classes
        for label in own.isEmpty ? [dataset.classes.count] : own { members[label].append(index) }
      }
      let classes = members.filter { !$0.isEmpty }
      order = order.map { _ in
        let own = classes[generator.below(classes.count)]
        return own[generator.below(own.count)]
      }
    } else if settings.isShuffled {
      generator.shuffle(&order)
    }
    return order
  }

  /// Starts to make the batches of an epoch, from one of them on.
  package func epoch(_ epoch: Int, from first: Int = 0) -> EpochBatches {
    EpochBatches(self, epoch: epoch, first: first)
  }

  fileprivate func fill(
    _ batch: TrainingBatch, epoch: Int, number: Int, positions: [Int], reader: PictureReader, augmenter: Augmenter
  ) {
    (batch.count, batch.truths, batch.samples, batch.unreadable) = (0, [], [], [])
    let size = preprocessing.outputCount
    let span = zip(preprocessing.mean, preprocessing.std).map { mean, std in
      Float(-mean / std)...Float((255 * preprocessing.scale - mean) / std)
    }
    let first = number * settings.batchSize
    for (offset, index) in positions.enumerated() {
      let sample = dataset.samples[index]
      var generator = KeyedGenerator(seed: settings.seed, .augmentation, epoch: epoch, index: first + offset)
      guard let base = batch.images.baseAddress else { return }
      do throws(UnreadablePicture) {
        let picture = augmenter.augment(try picture(sample, index, reader), &generator)
        let target = base + batch.count * size
        normalise(picture, to: target)
        augmenter.disturb(target, channels: picture.channels, span: span, &generator)
        batch.truths.append(sample.truth)
        batch.samples.append(index)
        batch.count += 1
      } catch {
        batch.unreadable.append(error)
      }
    }
    batch.targets = Targets(batch.truths, classes: dataset.classes.count)
    if settings.augmentation.mixupAlpha > 0, batch.count > 0 { mix(batch, epoch: epoch, number: number) }
  }

  private func picture(_ sample: Dataset.Sample, _ index: Int, _ reader: PictureReader) throws(UnreadablePicture)
    -> Picture
  {
    if let kept = cache[index] { return kept }
    let picture = try reader.picture(of: sample, isResized: settings.augmentation.resizedCrop == nil)
    cache.keep(picture, index)
    return picture
  }

  private func normalise(_ picture: Picture, to target: UnsafeMutablePointer<Float>) {
    let isReversed = preprocessing.channels == .bgr
    for c in 0..<picture.channels {
      let scale = Float(preprocessing.scale / preprocessing.std[c])
      let shift = Float(-preprocessing.mean[c] / preprocessing.std[c])
      let source = isReversed ? picture.channels - 1 - c : c
      for p in 0..<(picture.width * picture.height) {
        target[p * picture.channels + c] = Float(picture.samples[p * picture.channels + source]) * scale + shift
      }
    }
  }

  /// Each picture with the one before it, in one proportion for the batch, as torchvision's `MixUp` does.
  private func mix(_ batch: TrainingBatch, epoch: Int, number: Int) {
    var generator = KeyedGenerator(seed: settings.seed, .mixing, epoch: epoch, index: number)
    let alpha = settings.augmentation.mixupAlpha
    let (a, b) = (generator.gamma(alpha), generator.gamma(alpha))
    let part = Float(a + b > 0 ? a / (a + b) : 0.5)
    let size = preprocessing.outputCount
    let classes = dataset.classes.count
    let before = Array(batch.images[..<(batch.count * size)])
    var rows = [Float](repeating: 0, count: batch.count * classes)
    for n in 0..<batch.count {
      let other = (n + batch.count - 1) % batch.count
      for i in 0..<size {
        batch.images[n * size + i] = part * before[n * size + i] + (1 - part) * before[other * size + i]
      }
      for label in batch.truths[n].classes { rows[n * classes + label] += part }
      for label in batch.truths[other].classes { rows[n * classes + label] += 1 - part }
    }
    batch.targets = .rows(rows)
  }
}

extension KeyedGenerator {
  /// Gamma-distributed with scale 1 (Marsaglia and Tsang 2000).
  mutating func gamma(_ shape: Double) -> Double {
    if shape < 1 { return gamma(shape + 1) * pow(1 - unit(), 1 / shape) }
    let d = shape - 1.0 / 3
    let c = 1 / (9 * d).squareRoot()
    while true {
      let normal = (-2 * log(1 - unit())).squareRoot() * cos(2 * .pi * unit())
      let v = 1 + c * normal
      guard v > 0 else { continue }
      let cube = v * v * v
      if log(1 - unit()) < 0.5 * normal * normal + d - d * cube + d * log(cube) { return d * cube }
    }
  }
}

/// Decoded pictures by sample, as many as fit.
private final class PictureCache: Sendable {
  private let limit: Int
  private let kept = Mutex((pictures: [Int: Picture](), bytes: 0))

  init(limit: Int) { self.limit = limit }

  subscript(index: Int) -> Picture? { limit > 0 ? kept.withLock { $0.pictures[index] } : nil }

  func keep(_ picture: Picture, _ index: Int) {
    guard limit > 0 else { return }
    kept.withLock { kept in
      guard kept.bytes + picture.samples.count <= limit, kept.pictures[index] == nil else { return }
      kept.pictures[index] = picture
      kept.bytes += picture.samples.count
    }
  }
}

/// The batches of one epoch, in order, while threads make the next ones.
package final class EpochBatches {
  private let exchange: Exchange
  private let end: Int
  private var nextToGive: Int
  private let threads: [OwnedThread]

  /// What the threads share; outlives the owner until they have ended.
  private final class Exchange: Sendable {
    let free: BoundedQueue<TrainingBatch>
    let ready = Mutex<[Int: TrainingBatch]>([:])
    let bell = BoundedQueue<Bool>(capacity: 1)
    let nextToMake: Mutex<Int>

    init(ahead: Int, first: Int) {
      free = BoundedQueue(capacity: ahead + 1)
      nextToMake = Mutex(first)
    }
  }

  fileprivate init(_ loader: DataLoader, epoch: Int, first: Int) {
    let settings = loader.settings
    let ahead = max(settings.ahead, settings.workers)
    let exchange = Exchange(ahead: ahead, first: first)
    self.exchange = exchange
    nextToGive = first
    end = loader.batchesPerEpoch
    for _ in 0..<ahead {
      _ = exchange.free.put(TrainingBatch(capacity: settings.batchSize * loader.preprocessing.outputCount))
    }
    let order = loader.order(epoch: epoch)
    threads = (0..<max(1, settings.workers)).map { worker in
      OwnedThread(name: "load-\(worker)") { Self.make(loader, epoch, order, exchange) }
    }
  }

  private static func make(_ loader: DataLoader, _ epoch: Int, _ order: [Int], _ exchange: Exchange) {
    let settings = loader.settings
    let output = loader.preprocessing.output
    let reader = PictureReader(loader.dataset, preprocessing: loader.preprocessing)
    let augmenter = Augmenter(
      settings.augmentation, width: output.width, height: output.height, filter: loader.preprocessing.filter)
    while let batch = exchange.free.take() {
      // Numbers are given out to who holds a buffer, so the earliest one missing is always in the making.
      let number = exchange.nextToMake.withLock { number in
        defer { number += 1 }
        return number
      }
      guard number < loader.batchesPerEpoch else { return }
      let start = number * settings.batchSize
      loader.fill(
        batch, epoch: epoch, number: number,
        positions: Array(order[start..<min(order.count, start + settings.batchSize)]), reader: reader,
        augmenter: augmenter)
      exchange.ready.withLock { $0[number] = batch }
      _ = exchange.bell.tryPut(true)
    }
  }

  deinit {
    _ = exchange.free.abort()
    for thread in threads { thread.join() }
  }

  /// The next batch in order; nil after the last.
  ///
  /// Give it back with `recycle`.
  package func next() -> TrainingBatch? {
    guard nextToGive < end else { return nil }
    while true {
      if let batch = exchange.ready.withLock({ $0.removeValue(forKey: nextToGive) }) {
        nextToGive += 1
        return batch
      }
      _ = exchange.bell.take()
    }
  }

  /// Lets the batch's memory be used again.
  package func recycle(_ batch: TrainingBatch) { _ = exchange.free.put(batch) }
}
