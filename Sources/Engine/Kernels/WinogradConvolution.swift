internal import CKernels

/// A 3×3 convolution of stride 1 by Winograd's minimal filtering: tiles are transformed, multiplied frequency by
/// frequency, and transformed back, block by block of tiles so that the numbers between stay near.
struct WinogradConvolution: StepKernel {
  private let step: ConvolutionStep
  private let kernels: Kernels
  private let tile: Int
  private let products: [MatrixProduct]
  private let bias: FloatMemory

  init(
    _ step: ConvolutionStep, _ weights: WeightRows, tile: Int, isLibrary: Bool, _ kernels: Kernels
  ) throws(EngineError) {
    self.step = step
    self.kernels = kernels
    self.tile = tile
    let c = step.convolution
    // Padding of the input's channels is transformed with them, and meets rows of zeros.
    let (depth, columns) = (Value.padded(c.inChannels), Value.padded(c.outChannels))
    let frequencies = (tile + 2) * (tile + 2)
    let memory = FloatMemory(count: frequencies * depth * columns)
    try weights.eachPanel(of: kernels.panelColumns(.own)) { outputs, width, numbers, scale in
      let first = outputs.lowerBound
      kernels.table.pointee.winograd_weights(
        tile, numbers, scale, outputs.count, c.inChannels, memory.floats + (isLibrary ? first : first * depth),
        isLibrary ? columns : width, depth * columns)
    }
    products = (0..<frequencies).map {
      MatrixProduct(
        packed: memory, at: $0 * depth * columns, depth: depth, outputs: c.outChannels,
        isLibrary ? .library : .own, kernels: kernels)
    }
    bias = WeightMatrix.padded(weights.bias)
  }

  var inputs: [Int] { step.inputs }
  var outputs: [Int] { [step.output] }
  var replaced: Int? { step.replacedResidual }
  var algorithm: String {
    "winograd F(\(tile)×\(tile))" + (step.takesMaxima ? " + pool" : "") + (products[0].isLibrary ? ", OpenBLAS" : "")
  }
  var weightBytes: Int { products[0].memory.byteCount + bias.byteCount }

  private var depth: Int { products[0].depth }
  private var columns: Int { products[0].columns }
  private var tilesAcross: Int { (step.outputShape.w + tile - 1) / tile }
  private var tilesDown: Int { (step.outputShape.h + tile - 1) / tile }

  /// How many tiles should pass at a time: more where the weights are too many to be fetched often, or OpenBLAS copies them
  /// together each time.
  private var usualBlock: Int {
    let isHeavy = depth * columns > 128 * 128
    return products[0].isLibrary ? (isHeavy ? 256 : MatrixLibrary.hasSmallKernels ? 64 : 96) : (isHeavy ? 96 : 48)
  }
  private var largestBlock: Int { usualBlock + usualBlock / 8 }

  /// Tiles that pass at a time, all blocks about as large: the products of the few that would be left are slow.
  private func blockTiles(of tiles: Int) -> Int {
    let blocks = max(1, (tiles + 2 * usualBlock - largestBlock - 1) / usualBlock)
    return (tiles + blocks - 1) / blocks
  }

  /// Output channels whose products pass at a time: as many as leave them in the second-level cache.
  ///
  /// OpenBLAS would pack the tiles anew for each part.
  private func partColumns(tiles: Int) -> Int {
    if products[0].isLibrary { return columns }
    // Two panels, which products take beside each other.
    let grain = 2 * products[0].grain
    return min(columns, max(grain, 163_840 / (products.count * tiles) / grain * grain))
  }

  /// A few floats more than the block, lest all frequencies meet in the same cache sets.
  private func stride(_ tiles: Int, _ channels: Int) -> Int { tiles * channels + 16 }

  /// Room for any block: one of fewer tiles takes more channels at a time, and may need more.
  func scratchFloats(batch: Int, lanes: Int) -> Int {
    let perImage = tilesAcross * tilesDown
    let largest = lanes > 1 ? largestBlock : (1...batch).map { blockTiles(of: $0 * perImage) }.max() ?? 0
    let tiles = min(largest, batch * perImage)
    let most = (1...max(1, tiles)).map { stride($0, depth) + stride($0, partColumns(tiles: $0)) }
    return products.count * (most.max() ?? 0)
  }

  func run(_ call: KernelCall) {
    let perImage = tilesAcross * tilesDown
    let tiles = call.count * perImage
    // With many weights or few tiles each lane takes some of the output channels, and fetches only their weights.
    let isByColumns =
      call.lanes > 1 && columns >= call.lanes * products[0].grain && tiles <= largestBlock
      && (tiles < 24 * call.lanes || products.count * depth * columns > 6 << 20)
    if isByColumns {
      transform(call, tiles: 0..<tiles)
      call.eachPart(of: columns, grain: products[0].grain) { multiply(call, tiles: 0..<tiles, columns: $0) }
    } else {
      call.eachPart(of: tiles, grain: 6, least: usualBlock / 4) { mine in
        let block = blockTiles(of: mine.count)
        for first in Swift.stride(from: mine.lowerBound, to: mine.upperBound, by: block) {
          let some = first..<min(mine.upperBound, first + block)
          transform(call, tiles: some)
          multiply(call, tiles: some, columns: 0..<columns)
        }
      }
    }
  }

  private func geometry(_ call: KernelCall) -> ckernels_winograd {
    ckernels_winograd(
      height: step.inputShape.h, width: step.inputShape.w, pixel_stride: call.view(step.input).pixelStride,
      channels: depth, out_height: step.outputShape.h, out_width: step.outputShape.w,
      out_pixel_stride: call.view(step.output).pixelStride, out_channels: 0, top: step.edges.top,
      left: step.edges.left, tiles_across: tilesAcross, takes_maxima: step.takesMaxima ? 1 : 0)
  }

  /// Brings the input of a block to the scratch memory's start, frequency by frequency.
  private func transform(_ call: KernelCall, tiles: Range<Int>) {
    let x = call.view(step.input)
    var geometry = geometry(call)
    eachImage(tiles) { n, first, count, place in
      kernels.table.pointee.winograd_input(
        tile, &geometry, x.base + n * x.imageStride, first, count, call.scratch + place * depth,
        stride(tiles.count, depth))
    }
  }

  /// Some output channels of a block whose input is transformed, as many at a time as fit.
  private func multiply(_ call: KernelCall, tiles: Range<Int>, columns mine: Range<Int>) {
    var geometry = geometry(call)
    let width = partColumns(tiles: tiles.count)
    for first in Swift.stride(from: mine.lowerBound, to: mine.upperBound, by: width) {
      let part = first..<min(mine.upperBound, first + width)
      geometry.out_channels = part.count
      multiply(call, tiles: tiles, part, geometry)
    }
  }

  /// Some output channels of a block whose input is transformed.
  private func multiply(_ call: KernelCall, tiles: Range<Int>, _ part: Range<Int>, _ geometry: ckernels_winograd) {
    let y = call.view(step.output)
    let (inStride, outStride) = (stride(tiles.count, depth), stride(tiles.count, part.count))
    let v = call.scratch
    let p = v + products.count * inStride
    for (frequency, product) in products.enumerated() {
      // The result has only the part's columns, so its first column stands where column 0 would.
      let target = p + frequency * outStride - part.lowerBound
      var factors = ckernels_product(
        rows: tiles.count, depth: depth, from: v + frequency * inStride, stride: depth, to: target, stride: part.count,
        bias: nil, activation: 0)
      factors.ahead =
        frequency + 1 < products.count
        ? products[frequency + 1].panels(from: part.lowerBound) : products[0].panels(from: part.upperBound)
      product.run(factors, columns: part, scratch: call.scratch)
    }
    eachImage(tiles) { n, first, count, place in
      let residual = step.residual.map { call.image($0, n) + part.lowerBound }
      var geometry = geometry
      kernels.table.pointee.winograd_output(
        tile, &geometry, p + place * part.count, outStride, first, count, bias.floats + part.lowerBound, residual,
        step.residual.map { call.view($0).pixelStride } ?? 0, y.base + n * y.imageStride + part.lowerBound,
        step.activation?.code ?? 0)
    }
  }

  /// The tiles of a block, image by image: `first` within the image, `place` within the block.
  private func eachImage(_ tiles: Range<Int>, _ body: (_ n: Int, _ first: Int, _ count: Int, _ place: Int) -> Void) {
    let perImage = tilesAcross * tilesDown
    var next = tiles.lowerBound
    while next < tiles.upperBound {
      let (n, first) = (next / perImage, next % perImage)
      let count = min(perImage - first, tiles.upperBound - next)
      body(n, first, count, next - tiles.lowerBound)
      next += count
    }
  }
}
