package import Imaging

/// Mean and standard deviation of each channel over all pixels of a data set, samples from 0 to 1.
package struct PixelStatistics: Equatable, Sendable {
  package let mean: [Double]
  package let std: [Double]

  /// Reads every picture once, resized as the network gets it; unreadable ones do not count.
  ///
  /// - Throws: `TrainingError.dataset`, naming it by `path`, if no picture can be read; `.stopped` if `stop` is asked.
  package init(
    of dataset: Dataset, path: String, preprocessing: Preprocessing, stop: StopRequest = StopRequest()
  ) throws(TrainingError) {
    let reader = PictureReader(dataset, preprocessing: preprocessing)
    let channels = preprocessing.channels.count
    // Whole numbers: the sums are exact, whatever their order.
    var sums = [Int](repeating: 0, count: channels)
    var squares = [Int](repeating: 0, count: channels)
    var pixels = 0
    for sample in dataset.samples {
      if stop.isAsked { throw .stopped }
      guard let picture = try? reader.picture(of: sample, isResized: true) else { continue }
      for (index, value) in picture.samples.enumerated() {
        sums[index % channels] += Int(value)
        squares[index % channels] += Int(value) * Int(value)
      }
      pixels += picture.width * picture.height
    }
    guard pixels > 0 else { throw .unreadable(path, count: dataset.samples.count) }
    mean = sums.map { Double($0) / Double(pixels) / 255 }
    std = zip(sums, squares).map { sum, square in
      let mean = Double(sum) / Double(pixels)
      return max(1e-6, (Double(square) / Double(pixels) - mean * mean).squareRoot() / 255)
    }
  }

  /// The preprocessing with these numbers instead of its own.
  ///
  /// - Throws: `TrainingError.settings` if they make no sense to it.
  package func applied(to preprocessing: Preprocessing) throws(TrainingError) -> Preprocessing {
    let isReversed = preprocessing.channels == .bgr
    do throws(ImagingError) {
      return try Preprocessing(
        cropRatio: preprocessing.cropRatio, resize: preprocessing.resize, filter: preprocessing.filter,
        centerCrop: preprocessing.centerCrop, channels: preprocessing.channels, scale: 1 / 255.0,
        mean: isReversed ? mean.reversed() : mean, std: isReversed ? std.reversed() : std)
    } catch {
      throw .settings(reason: "\(error)")
    }
  }
}
