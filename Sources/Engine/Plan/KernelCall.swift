internal import Synchronization

/// Where the images of a value lie while a plan runs: channels last, `pixelStride` floats from pixel to pixel.
struct TensorView {
  var base: UnsafeMutablePointer<Float>
  var imageStride: Int
  var pixelStride: Int
}

/// What one lane needs to compute its part of a step.
struct KernelCall {
  /// The pictures of the batch: H×W×C floats each, without padding.
  let pictures: UnsafeBufferPointer<UnsafePointer<Float>>
  /// By value number; the first, the picture's, is not to be used.
  let views: UnsafePointer<TensorView>
  /// This lane's own memory, as much as the step's kernel asked for.
  let scratch: UnsafeMutablePointer<Float>
  let lane: Int
  let lanes: Int
  /// How much of the step's work the lanes have taken so far, where they take it piece by piece; a lane alone needs none.
  var taken: UnsafeMutablePointer<Atomic<Int>>?

  var count: Int { pictures.count }

  func view(_ value: Int) -> TensorView { views[value] }

  /// An image of a value, or a picture (value 0).
  func image(_ value: Int, _ n: Int) -> UnsafePointer<Float> {
    value == 0 ? pictures[n] : UnsafePointer(views[value].base + n * views[value].imageStride)
  }

  func target(_ value: Int, _ n: Int) -> UnsafeMutablePointer<Float> {
    views[value].base + n * views[value].imageStride
  }

  /// This lane's part of so many things.
  func share(of things: Int, grain: Int = 1) -> Range<Int> {
    Share.of(things, lane: lane, lanes: lanes, grain: grain)
  }

  /// Calls `body` with one piece of so many things after the other, until this and the other lanes have taken all; once at
  /// most in a step.
  ///
  /// A lane that is slowed down takes less. Pieces begin large and become smaller, in multiples of `grain`, but not below
  /// `least`; where that makes too few of them, lanes share evenly. No answer may depend on where pieces begin.
  func eachPart(of things: Int, grain: Int = 1, least: Int = 1, _ body: (Range<Int>) -> Void) {
    guard lanes > 1, let taken, things >= 8 * lanes * max(grain, least) else {
      let mine = share(of: things, grain: grain)
      if !mine.isEmpty { body(mine) }
      return
    }
    var start = taken.pointee.load(ordering: .relaxed)
    while start < things {
      let size = (max(least, 2 * (things - start) / (3 * lanes)) + grain - 1) / grain * grain
      let end = min(things, start + size)
      let (isMine, now) = taken.pointee.weakCompareExchange(expected: start, desired: end, ordering: .relaxed)
      if isMine { body(start..<end) }
      start = isMine ? taken.pointee.load(ordering: .relaxed) : now
    }
  }
}
