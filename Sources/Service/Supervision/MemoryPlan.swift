package import Imaging

/// How much memory a configuration may take at most, and what of it the limit allows: a value.
///
/// The bound is what is held at once: the weights, a slot for each decoded picture, a workspace for each classifier's
/// plan and for the one that all share, one file's bytes for each decoder, and the pixels of as many pictures as may be
/// decoded at the same time. Requests at the socket bring their own bytes beside it.
package struct MemoryPlan: Equatable, Sendable {
  /// What a model costs.
  package struct Model: Equatable, Sendable {
    package var name: String
    /// Of the weights as the engine holds them, in bytes.
    package var weightBytes: Int
    package var slots: Int
    package var floatsPerSlot: Int
    /// Of one classifier's plan.
    package var workspaceBytes: Int
    /// Of the plan on which all classifiers' processors compute one picture; 0 if there is none.
    package var jointWorkspaceBytes: Int

    package init(
      name: String, weightBytes: Int, slots: Int, floatsPerSlot: Int, workspaceBytes: Int, jointWorkspaceBytes: Int
    ) {
      self.name = name
      self.weightBytes = weightBytes
      self.slots = slots
      self.floatsPerSlot = floatsPerSlot
      self.workspaceBytes = workspaceBytes
      self.jointWorkspaceBytes = jointWorkspaceBytes
    }
  }

  /// Pictures that may be decoded at the same time.
  package private(set) var decodes: Int
  /// What one picture may cost.
  package private(set) var limits: ImageLimits
  package private(set) var fixedBytes: Int
  private let workers: Int

  /// The least number of pixels that a limit may leave: any usual camera's.
  package static let leastPixels = 16_000_000

  /// Fits a configuration into a limit, in bytes; 0 for none.
  ///
  /// What is too much is taken first from the number of pictures decoded at a time, then from the size of the pictures
  /// that are decoded at all, down to 16 megapixels.
  ///
  /// - Throws: `ServiceError.memory` with the least limit that would do.
  package init(
    models: [Model], workers: Int, limit: Int, limits standard: ImageLimits = .standard
  ) throws(ServiceError) {
    self.workers = workers
    decodes = workers
    limits = standard
    fixedBytes = models.reduce(0) {
      $0 + $1.weightBytes + $1.slots * $1.floatsPerSlot * 4 + workers * $1.workspaceBytes + $1.jointWorkspaceBytes
    }
    guard limit > 0 else { return }
    while decodes > 1, totalBytes > limit { decodes -= 1 }
    guard totalBytes > limit else { return }
    let share = Double(limit - fixedBytes) / Double(max(1, totalBytes - fixedBytes))
    let least = Double(Self.leastPixels) / Double(standard.maxPixels)
    guard share >= least else {
      let needed = fixedBytes + Int((Double(totalBytes - fixedBytes) * least).rounded(.up))
      throw .memory(
        reason: "memory_limit is \(Self.text(limit)), and \(Self.text(needed)) is the least that will do: "
          + "\(Self.text(fixedBytes)) for models, slots and workspaces, the rest to decode one picture of "
          + "\(Self.leastPixels / 1_000_000) megapixels; raise it, or lower workers or max_batch")
    }
    func scaled(_ value: Int) -> Int { Int(Double(value) * share) }
    limits.maxPixels = scaled(standard.maxPixels)
    limits.maxCoefficientBytes = scaled(standard.maxCoefficientBytes)
    limits.maxFileBytes = scaled(standard.maxFileBytes)
  }

  /// Of one picture while it is decoded: four bytes a pixel, and the coefficients of a progressive JPEG.
  private var bytesPerDecode: Int { limits.maxPixels * 4 + limits.maxCoefficientBytes }

  /// The bound.
  package var totalBytes: Int { fixedBytes + workers * limits.maxFileBytes + decodes * bytesPerDecode }

  /// One line for the journal.
  package var line: String {
    "memory stays below \(Self.text(totalBytes)): \(Self.text(fixedBytes)) for models, slots and workspaces, "
      + "\(workers) files of up to \(Self.text(limits.maxFileBytes)), \(decodes) "
      + "\(decodes == 1 ? "picture" : "pictures") decoded at a time, each of up to "
      + "\(limits.maxPixels / 1_000_000) megapixels in \(Self.text(bytesPerDecode))"
  }

  /// What the limit took away, one sentence; nil if nothing.
  package func concession(standard: ImageLimits = .standard) -> String? {
    var parts: [String] = []
    if decodes < workers { parts.append("\(decodes) of \(workers) workers decode at a time") }
    if limits != standard { parts.append("pictures above \(limits.maxPixels / 1_000_000) megapixels are refused") }
    return parts.isEmpty ? nil : "memory_limit: " + parts.joined(separator: ", ")
  }

  static func text(_ bytes: Int) -> String { "\((bytes + (1 << 20) - 1) >> 20) MiB" }
}
