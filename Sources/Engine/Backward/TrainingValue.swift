/// A tensor of the batch in channels-last memory, with the gradient of the loss by it.
///
/// The numbers of all images stay until the step is done; a lane's gradients share memory with those of other values
/// that are not needed at the same time, so each lane has its own.
final class TrainingValue {
  let name: String
  /// Of one image.
  let shape: Shape
  /// Whether anything before it can learn.
  let wantsGradient: Bool
  /// The batch's numbers; set once memory is laid out.
  var data: UnsafeMutablePointer<Float>
  /// Each lane's gradients, from its first image on.
  var gradients: [UnsafeMutablePointer<Float>] = []

  init(name: String, shape: Shape, wantsGradient: Bool, data: UnsafeMutablePointer<Float>) {
    self.name = name
    self.shape = shape
    self.wantsGradient = wantsGradient
    self.data = data
  }

  var pixels: Int { shape.h * shape.w }

  /// The numbers of one image of the batch.
  func image(_ index: Int) -> UnsafeMutablePointer<Float> { data + index * shape.countPerImage }

  /// The gradient of one image of the batch, which must be this lane's.
  func gradient(_ lane: LaneWork, _ index: Int) -> UnsafeMutablePointer<Float> {
    gradients[lane.number] + (index - lane.images.lowerBound) * shape.countPerImage
  }
}

/// An input of a step, and whether its gradient was begun by another step that used it.
struct StepInput {
  let value: TrainingValue
  /// Add to the gradient that is there; otherwise write it.
  var accumulates = false
}

/// One operation of the graph, forward and backward.
///
/// Called by every lane at once, for its own images.
protocol TrainingStep: AnyObject {
  var name: String { get }
  var inputs: [StepInput] { get set }
  var output: TrainingValue { get }
  /// Floats of the lane's scratch and patch memory that it uses.
  var scratchCount: Int { get }
  var patchCount: Int { get }

  /// Computes the output of the lane's images.
  func forward(_ lane: LaneWork)

  /// From the output's gradient: adds to the weights' gradients, gives the inputs theirs as far as they want any.
  func backward(_ lane: LaneWork)

  /// Prepares what all images share, once a step before the lanes go; weights may have changed.
  func prepare()
}

extension TrainingStep {
  var scratchCount: Int { 0 }
  var patchCount: Int { 0 }
  func prepare() {}
}

/// Places for buffers that live for a while: two share memory only if their times do not touch.
struct IntervalLayout {
  private(set) var count = 0
  private(set) var offsets: [Int] = []

  /// - Parameter buffers: length in floats, and the first and last moment of use.
  init(_ buffers: [(length: Int, first: Int, last: Int)]) {
    offsets = [Int](repeating: 0, count: buffers.count)
    var placed: [Int] = []
    for index in buffers.indices.sorted(by: { buffers[$0].length > buffers[$1].length }) {
      let length = (buffers[index].length + 15) / 16 * 16
      let others = placed.filter {
        buffers[$0].first <= buffers[index].last && buffers[index].first <= buffers[$0].last
      }.sorted { offsets[$0] < offsets[$1] }
      var offset = 0
      for other in others {
        if offsets[other] >= offset + length { break }
        offset = max(offset, offsets[other] + (buffers[other].length + 15) / 16 * 16)
      }
      offsets[index] = offset
      placed.append(index)
      count = max(count, offset + length)
    }
  }
}
