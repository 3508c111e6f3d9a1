package import Platform

/// Pictures with their classes.
package struct Dataset: Sendable {
  /// Where a picture's pixels come from.
  package enum Place: Hashable, Sendable {
    case file(Path)
    /// A picture of `packed`, by its number.
    case packed(Int)
  }

  /// What a picture shows, as indices into `classes`.
  package enum Truth: Hashable, Sendable {
    /// This class and no other.
    case one(Int)
    /// Each of these, ascending, and none of the others; may be empty.
    case several([Int])

    package var classes: [Int] {
      switch self {
      case .one(let label): [label]
      case .several(let labels): labels
      }
    }
  }

  package struct Sample: Sendable {
    package let place: Place
    package let truth: Truth

    package init(place: Place, truth: Truth) {
      self.place = place
      self.truth = truth
    }

    package init(place: Place, label: Int) { self.init(place: place, truth: .one(label)) }
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
    for sample in samples { for label in sample.truth.classes { counts[label] += 1 } }
    return counts
  }

  /// Whether a picture may show several classes, or none.
  package var isMultiLabel: Bool { samples.contains { if case .several = $0.truth { true } else { false } } }

  /// For people: the names of what a picture shows.
  package func names(of truth: Truth) -> String {
    truth.classes.isEmpty ? "none" : truth.classes.map { classes[$0] }.joined(separator: "; ")
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
