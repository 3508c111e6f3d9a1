import Imaging
import TestSupport
import Testing
import Training

/// Batches depend on seed, epoch and data, not on threads.
struct LoaderTests {
  private let dataset: Dataset
  private let preprocessing: Preprocessing

  init() throws {
    dataset = try DatasetSource.read("\(Fixture.folder)/digits", part: .test)
    preprocessing = try Preprocessing(
      resize: .exact(.init(height: 12, width: 12)), filter: .bilinear, channels: .grey, scale: 1 / 255.0, mean: [0.5],
      std: [0.25])
  }

  private func batches(_ settings: LoaderSettings, epoch: Int = 0, from first: Int = 0) -> [[Float]] {
    let loader = DataLoader(dataset, preprocessing: preprocessing, settings: settings)
    let batches = loader.epoch(epoch, from: first)
    var all: [[Float]] = []
    while let batch = batches.next() {
      all.append(Array(batch.images[..<(batch.count * 144)]) + batch.samples.map { Float($0) })
      batches.recycle(batch)
    }
    return all
  }

  @Test func theSameWhateverTheWorkers() {
    var settings = LoaderSettings()
    settings.batchSize = 50
    settings.seed = 4
    settings.augmentation.horizontalFlip = 0.5
    settings.augmentation.rotationDegrees = 20
    settings.augmentation.resizedCrop = .init()
    settings.augmentation.noiseSigma = 0.1
    settings.augmentation.erasing = .init()
    settings.augmentation.mixupAlpha = 0.4
    let alone = batches(settings)
    #expect(alone.count == 8)
    settings.workers = 3
    settings.ahead = 5
    settings.cacheBytes = 1 << 20
    #expect(batches(settings) == alone)
    #expect(batches(settings, from: 3) == Array(alone[3...]))
    #expect(batches(settings, epoch: 1) != alone)
    settings.seed = 5
    #expect(batches(settings) != alone)
  }

  @Test func everySampleOnceAnEpochUnlessBalanced() {
    var settings = LoaderSettings()
    settings.batchSize = 64
    let loader = DataLoader(dataset, preprocessing: preprocessing, settings: settings)
    #expect(loader.order(epoch: 2).sorted() == Array(dataset.samples.indices))
    #expect(loader.batchesPerEpoch == 6)
    settings.dropsLast = true
    #expect(DataLoader(dataset, preprocessing: preprocessing, settings: settings).batchesPerEpoch == 5)
    settings.isBalanced = true
    let few = dataset.with(
      samples: dataset.samples.filter { $0.truth == .one(0) || ($0.truth == .one(1) && $0.place == .packed(0)) })
    let skewed = few.with(samples: few.samples + [.init(place: .packed(0), label: 1)])
    let order = DataLoader(skewed, preprocessing: preprocessing, settings: settings).order(epoch: 0)
    let rare = order.filter { skewed.samples[$0].truth == .one(1) }.count
    #expect(rare > order.count / 4, "\(rare) of \(order.count)")
  }

  /// Noise stays within what a picture can hold, as `GaussianNoise(clip=True)` has it: −2 to 2 by this normalisation.
  @Test func noiseIsClipped() {
    var settings = LoaderSettings()
    settings.batchSize = 50
    settings.augmentation.noiseSigma = 0.5
    let values = batches(settings)[0].prefix(50 * 144)
    #expect(values.min() == -2 && values.max() == 2)
    #expect(values.contains { $0.magnitude < 1.5 })
  }

  @Test func normalisationIsTheDatas() throws {
    let statistics = try PixelStatistics(of: dataset, path: "digits", preprocessing: preprocessing)
    var settings = LoaderSettings()
    settings.batchSize = dataset.samples.count
    let loader = DataLoader(
      dataset, preprocessing: try statistics.applied(to: preprocessing), settings: settings)
    let batches = loader.epoch(0)
    let batch = try #require(batches.next())
    let values = batch.images[..<(batch.count * 144)].map { Double($0) }
    let mean = values.reduce(0, +) / Double(values.count)
    let square = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
    #expect(mean.magnitude < 1e-4 && (square - 1).magnitude < 1e-3)
    batches.recycle(batch)
  }
}
