internal import Hashing
internal import Imaging
internal import Platform

/// What is wrong with a data set before a run spends hours on it.
package struct DatasetCheck: Sendable {
  /// One of the parts that were looked at together.
  package struct Part: Sendable {
    package let name: String
    package let dataset: Dataset
    package init(name: String, dataset: Dataset) {
      self.name = name
      self.dataset = dataset
    }
  }

  /// The parts that a run by a recipe has: what is set aside to validate is one of its own.
  ///
  /// - Throws: `TrainingError` if one of them cannot be listed.
  package static func parts(of recipe: Recipe) throws(TrainingError) -> [Part] {
    let data = recipe.data
    let train = try DatasetSource.read(data.train, part: .train, images: data.images)
    func other(_ path: String, _ part: DatasetSource.Part) throws(TrainingError) -> Part {
      let dataset = try DatasetSource.read(path, part: part, images: data.images, classes: train.classes)
      return Part(name: part.rawValue, dataset: dataset)
    }
    var parts = [Part(name: "train", dataset: train)]
    if let path = data.validationPath {
      parts.append(try other(path, .validation))
    } else if data.validationRatio > 0 {
      let split = train.split(ratio: data.validationRatio, seed: UInt64(recipe.train.seed))
      parts = [Part(name: "train", dataset: split.kept), Part(name: "validation", dataset: split.aside)]
    }
    if !data.test.isEmpty {
      parts.append(try other(data.test, .test))
    } else if DatasetSource.parts(of: data.train).contains(.test) {
      parts.append(try other(data.train, .test))
    }
    return parts
  }

  /// Pictures of the same pixels.
  package struct Twins: Equatable, Sendable {
    /// `part: name (class)` of each.
    package let members: [String]
    /// They stand in different parts: what is tested was learnt.
    package let isLeak: Bool
    /// They have different classes: one of them is wrong.
    package let isContradiction: Bool
  }

  package let parts: [Part]
  package let unreadable: [UnreadablePicture]
  package let twins: [Twins]

  /// Reads every picture of every part; `tell` hears how many are done.
  package init(_ parts: [Part], tell: (_ done: Int, _ of: Int) -> Void = { _, _ in }) {
    self.parts = parts
    var unreadable: [UnreadablePicture] = []
    var seen: [String: [(part: String, name: String, truth: Dataset.Truth, title: String)]] = [:]
    let total = parts.reduce(0) { $0 + $1.dataset.samples.count }
    var done = 0
    for part in parts {
      let reader = PictureReader(part.dataset, preprocessing: .torchvisionImageNet)
      for sample in part.dataset.samples {
        let name = part.dataset.name(of: sample)
        do throws(UnreadablePicture) {
          let picture = try reader.picture(of: sample, isResized: false)
          let title = "\(part.name): \(name) (\(part.dataset.names(of: sample.truth)))"
          seen[Self.digest(picture), default: []].append((part.name, name, sample.truth, title))
        } catch {
          unreadable.append(error)
        }
        done += 1
        if done % 64 == 0 || done == total { tell(done, total) }
      }
    }
    self.unreadable = unreadable
    twins = seen.values.filter { $0.count > 1 }.map { members in
      Twins(
        members: members.map(\.title), isLeak: Set(members.map(\.part)).count > 1,
        isContradiction: Set(members.map(\.truth)).count > 1)
    }.sorted { ($0.members.first ?? "") < ($1.members.first ?? "") }
  }

  /// Of size and pixels, so that the same picture in another file is the same.
  private static func digest(_ picture: Picture) -> String {
    let hash = SHA256()
    let size = "\(picture.width) \(picture.height) \(picture.channels)"
    Array(size.utf8).withUnsafeBytes { hash.update($0) }
    picture.samples.withUnsafeBytes { hash.update($0) }
    return hash.hexDigest()
  }

  package var leaks: [Twins] { twins.filter(\.isLeak) }
  package var contradictions: [Twins] { twins.filter(\.isContradiction) }

  /// Nothing that would make a run's result wrong.
  package var isSound: Bool { unreadable.isEmpty && leaks.isEmpty && contradictions.isEmpty }
}
