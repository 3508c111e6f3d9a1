package import Platform

/// Pictures with their classes.
package struct Dataset: Sendable {
  /// Where a picture's pixels come from.
  package enum Place: Hashable, Sendable {
    case file(Path)
    /// A picture of `packed`, by its number.
    case packed(Int)
  }

  package struct Sample: Sendable {
    package let place: Place
    /// Its class, an index into `classes`.
    package let label: Int

    package init(place: Place, label: Int) {
      self.place = place
      self.label = label
    }
  }

  /// In the order of the network's outputs.
  package var classes: [String]
  package var samples: [Sample]
  /// Small pictures that came together in one file.
  package var packed: PackedPictures?

  package init(classes: [String], samples: [Sample], packed: PackedPictures? = nil) {
    self.classes = classes
    self.samples = samples
    self.packed = packed
  }

  /// How many samples each class has.
  package var counts: [Int] {
    var counts = [Int](repeating: 0, count: classes.count)
    for sample in samples { counts[sample.label] += 1 }
    return counts
  }

  /// For people: the file, or the number within its packed file.
  package func name(of sample: Sample) -> String {
    switch sample.place {
    case .file(let path): path.displayed
    case .packed(let number): "\(packed?.path ?? "") picture \(number)"
    }
  }

  /// The same classes with some of the samples.
  package func with(samples: [Sample]) -> Dataset { Dataset(classes: classes, samples: samples, packed: packed) }

  /// Takes about `ratio` of each class aside, chosen by the seed; at least one of a class that has two.
  package func split(ratio: Double, seed: UInt64) -> (kept: Dataset, aside: Dataset) {
    var kept: [Sample] = []
    var aside: [Sample] = []
    for label in classes.indices {
      var own = samples.filter { $0.label == label }
      var generator = KeyedGenerator(seed: seed, .split, index: label)
      generator.shuffle(&own)
      var count = Int((Double(own.count) * ratio).rounded())
      if ratio > 0, ratio < 1, own.count > 1 { count = min(own.count - 1, max(1, count)) }
      aside += own.prefix(count)
      kept += own.dropFirst(count)
    }
    return (with(samples: kept), with(samples: aside))
  }
}

/// Pictures of one size in memory: rows top down, samples interleaved.
package final class PackedPictures: Sendable {
  package let path: String
  package let width: Int
  package let height: Int
  /// 1 for grey, 3 for RGB.
  package let channels: Int
  package let bytes: [UInt8]

  init(path: String, width: Int, height: Int, channels: Int, bytes: [UInt8]) {
    self.path = path
    self.width = width
    self.height = height
    self.channels = channels
    self.bytes = bytes
  }

  package var count: Int { bytes.count / (width * height * channels) }

  package func picture(_ index: Int) -> Picture {
    let size = width * height * channels
    return Picture(
      width: width, height: height, channels: channels, samples: Array(bytes[(index * size)..<((index + 1) * size)]))
  }
}

/// One picture's 8-bit samples: rows top down, channels interleaved.
package struct Picture: Equatable, Sendable {
  package var width: Int
  package var height: Int
  /// 1 for grey, 3 for RGB.
  package var channels: Int
  package var samples: [UInt8]

  package init(width: Int, height: Int, channels: Int, samples: [UInt8]) {
    precondition(samples.count == width * height * channels, "as many samples as the size says")
    self.width = width
    self.height = height
    self.channels = channels
    self.samples = samples
  }

  subscript(x: Int, y: Int, channel: Int) -> UInt8 {
    get { samples[(y * width + x) * channels + channel] }
    set { samples[(y * width + x) * channels + channel] = newValue }
  }
}
