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
}
