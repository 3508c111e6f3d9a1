package import Engine

/// One of the engine's axes.
enum Axis: Sendable, Equatable {
  case n, c, h, w
}

/// Rows and columns added around a picture.
struct Edges: Equatable, Sendable {
  var top = 0
  var left = 0
  var bottom = 0
  var right = 0

  var isEmpty: Bool { self == Edges() }

  static func + (a: Edges, b: Edges) -> Edges {
    Edges(top: a.top + b.top, left: a.left + b.left, bottom: a.bottom + b.bottom, right: a.right + b.right)
  }
}

/// A value of a foreign network while it is followed: where it stands in the graph, and how its owner sees it.
///
/// The owner's axes may be ordered, joined or dropped as they like: each is a list of engine axes, slowest first, those
/// of extent 1 left out. What can wait is not yet in the graph: the channels of `node` are first selected, then scaled
/// and shifted, then zeros are put around.
struct FeatureMap {
  var node: String
  /// C, H and W with everything that waits.
  var shape: Shape
  var axes: [[Axis]]
  /// Channels of the node, in order.
  var selection: [Int]?
  /// Factor and summand a channel.
  var affine: (scale: [Float], shift: [Float])?
  var padding = Edges()

  init(node: String, shape: Shape, axes: [[Axis]]) {
    self.node = node
    self.shape = shape
    self.axes = axes
  }

  var isPlain: Bool { selection == nil && affine == nil && padding.isEmpty }

  func extent(_ axis: Axis, batch: Int) -> Int {
    switch axis {
    case .n: batch
    case .c: shape.c
    case .h: shape.h
    case .w: shape.w
    }
  }

  /// The shape as the owner sees it.
  func extents(batch: Int) -> [Int] { axes.map { $0.reduce(1) { $0 * extent($1, batch: batch) } } }
}

/// Why a foreign network cannot be followed; the place is told by whoever knows it.
struct TraceFault: Error {
  let reason: String

  init(_ reason: String) { self.reason = reason }
}

/// The weights of a followed network, each read from its file and rearranged only when it is asked for.
struct TracedTensors: TensorSource, Sendable {
  struct Entry: Sendable {
    let extents: [Int]
    /// How many numbers are best asked for at a time; nil if it does not matter.
    let floatsAtOnce: Int?
    /// The numbers of some rows, counted along the first axis.
    let rows: @Sendable (Range<Int>) -> [Float]

    func floats() -> [Float] { rows(0..<(extents.first ?? 1)) }
  }

  var entries: [String: Entry] = [:]

  func extents(ofTensor name: String) -> [Int]? { entries[name]?.extents }

  var readsRows: Bool { true }

  func floatsAtOnce(ofTensor name: String) -> Int? { entries[name]?.floatsAtOnce }

  func floats(ofTensor name: String) throws(EngineError) -> [Float] {
    try floats(ofTensor: name, rows: 0..<(entries[name]?.extents.first ?? 1))
  }

  func floats(ofTensor name: String, rows: Range<Int>) throws(EngineError) -> [Float] {
    guard let entry = entries[name] else { throw .tensor(name: name, reason: "is not in the network") }
    return entry.rows(rows)
  }
}

/// A network read from a foreign file.
package struct ImportedNetwork: Sendable {
  package let graph: Graph
  package let tensors: any TensorSource & Sendable
  /// What the user should know about how it was read; sentences.
  package let notes: [String]
}
