internal import CKernels

extension QuantizedPlan {
  func perform(_ step: QuantizedStep, _ images: UnsafeBufferPointer<UnsafePointer<Float>>) {
    switch step.kernel {
    case .product(let product): multiply(step, product, count: images.count)
    case .winograd(let window, let weights, let results):
      let input = step.inputs[0]
      var geometry = geometry(window, of: input, to: step.output)
      var epilogue = epilogue(results, image: 0)
      network.kernels.table.pointee.winograd?(
        &geometry, images.count, bytes(input, 0), self.weights(weights), network.values[step.output].shape.c, &epilogue,
        output(step.output, 0), scratch.bytes)
    case .quantize(let scale, let zero):
      let value = network.values[step.output]
      let factors = network.factors.floats
      for n in 0..<images.count {
        ckernels_int8_quantize(
          numbers(step.inputs[0], n, images), value.shape.h * value.shape.w, value.shape.c, factors + scale,
          factors + zero, bytes(step.output, n), value.stride)
      }
    case .softmax:
      let y = network.values[step.output].shape
      for n in 0..<images.count {
        FloatRows.softmax(
          numbers(step.inputs[0], n, images), floats(step.output, n), pixels: y.h * y.w, channels: y.c)
      }
    case .localResponseNorm(let size, let alpha, let beta, let k):
      let y = network.values[step.output].shape
      for n in 0..<images.count {
        FloatRows.localResponseNorm(
          numbers(step.inputs[0], n, images), floats(step.output, n), pixels: y.h * y.w, channels: y.c, size, alpha,
          beta, k)
      }
    default:
      for n in 0..<images.count { perform(step, image: n) }
    }
  }

  /// One image of a value in floats, wherever it lies.
  private func numbers(
    _ number: Int, _ image: Int, _ images: UnsafeBufferPointer<UnsafePointer<Float>>
  ) -> UnsafePointer<Float> {
    number == 0 ? images[image] : UnsafePointer(floats(number, image))
  }

  // MARK: Products

  private func multiply(_ step: QuantizedStep, _ p: QuantizedStep.Product, count: Int) {
    let input = step.inputs[0]
    let (x, y) = (network.values[input], network.values[step.output])
    guard let window = network.window(of: p, in: step) else {
      let (rows, stride) = p.window == nil ? (count, x.byteCount) : (count * y.shape.h * y.shape.w, x.stride)
      let takesAll = network.kernels.table.pointee.takes_all_rows != 0
      let blockRows = takesAll ? max(1, rows) : Self.blockRows(of: rows, depth: p.depth)
      for first in Swift.stride(from: 0, to: rows, by: blockRows) {
        block(
          step, p, group: 0, bytes(input, 0) + first * stride, stride: stride, image: 0, first: first,
          rows: min(blockRows, rows - first))
      }
      return
    }
    var geometry = geometry(window, of: input, to: step.output)
    for group in 0..<p.groups {
      let offset = group * (x.shape.c / p.groups)
      if let convolve = network.kernels.table.pointee.convolve {
        let channel = group * p.columns
        var epilogue = epilogue(p.results, image: 0, channel: channel, block: group * p.paddedColumns)
        geometry.outside = outsidePixel(of: input) + offset
        convolve(
          &geometry, count, bytes(input, 0) + offset, p.length, weights(p.weights[group]), p.columns, &epilogue,
          output(step.output, 0, channel: channel), scratch.bytes)
      } else {
        unfold(step, p, &geometry, group: group, offset: offset, count: count)
      }
    }
  }

  /// The products of a group's windows, unfolded into rows block by block.
  private func unfold(
    _ step: QuantizedStep, _ p: QuantizedStep.Product, _ geometry: inout ckernels_int8_window, group: Int, offset: Int,
    count: Int
  ) {
    let area = geometry.out_height * geometry.out_width
    let blockRows = Self.blockRows(of: area, depth: p.depth)
    for n in 0..<count {
      for first in stride(from: 0, to: area, by: blockRows) {
        let count = min(blockRows, area - first)
        ckernels_int8_unfold(&geometry, bytes(step.inputs[0], n), offset, p.length, first, count, rows.bytes)
        block(step, p, group: group, rows.bytes, stride: p.depth, image: n, first: first, rows: count)
      }
    }
  }

  /// The products of `rows` rows, which are the output pixels from `first` on, counted from an image's start.
  private func block(
    _ step: QuantizedStep, _ p: QuantizedStep.Product, group: Int, _ a: UnsafePointer<UInt8>, stride: Int, image: Int,
    first: Int, rows: Int
  ) {
    let channel = group * p.columns
    let value = network.values[step.output]
    let place = first * (value.scales == nil ? value.shape.c : value.stride) + channel
    var product = ckernels_int8_product(
      rows: rows, depth: p.depth, columns: p.columns, a: a, a_stride: stride, weights: weights(p.weights[group]),
      epilogue: epilogue(p.results, image: image, channel: place, block: group * p.paddedColumns),
      output: output(step.output, image, channel: place), scratch: scratch.bytes)
    network.kernels.table.pointee.multiply(&product)
  }

  // MARK: Image by image

  private func perform(_ step: QuantizedStep, image n: Int) {
    let input = step.inputs[0]
    let x = network.values[input]
    let factors = network.factors.floats
    switch step.kernel {
    case .depthwise(let window, let weights, let results):
      var geometry = geometry(window, of: input, to: step.output)
      var epilogue = epilogue(results, image: n)
      network.kernels.table.pointee.depthwise(
        &geometry, bytes(input, n), self.weights(weights), &epilogue, output(step.output, n))
    case .maximum(let window):
      var geometry = geometry(window, of: input, to: step.output)
      ckernels_int8_maximum(&geometry, bytes(input, n), bytes(step.output, n))
    case .average(let window, let countIncludePad):
      if let window {
        average(step, window, countIncludePad: countIncludePad, image: n)
      } else {
        averageAdaptively(step, image: n)
      }
    case .add(let first, let second, let bias, let low, let high):
      let y = network.values[step.output]
      ckernels_int8_add(
        bytes(input, n), factors + first, bytes(step.inputs[1], n), factors + second, factors + bias, low, high,
        bytes(step.output, n), y.shape.h * y.shape.w, y.stride)
    case .gate(let first, let second, let scale, let zero):
      let (other, y) = (network.values[step.inputs[1]], network.values[step.output])
      ckernels_int8_gate(
        bytes(input, n), factors + first, bytes(step.inputs[1], n), factors + second,
        other.shape == x.shape ? other.stride : 0, factors + scale, factors + zero, bytes(step.output, n),
        y.shape.h * y.shape.w, y.stride)
    case .concatenate: concatenate(step, image: n)
    case .lookUp(let table):
      let (source, target) = (bytes(input, n), bytes(step.output, n))
      let entries = network.weights.bytes + table
      for p in 0..<x.shape.h * x.shape.w {
        for c in 0..<x.shape.c { target[p * x.stride + c] = entries[c * 256 + Int(source[p * x.stride + c])] }
      }
    case .flatten:
      let (source, target) = (bytes(input, n), bytes(step.output, n))
      let area = x.shape.h * x.shape.w
      for p in 0..<area {
        for c in 0..<x.shape.c { target[c * area + p] = source[p * x.stride + c] }
      }
    case .dequantize:
      let target = floats(step.output, n)
      for p in 0..<x.shape.h * x.shape.w {
        for c in 0..<x.shape.c { target[p * x.shape.c + c] = number(of: input, n, pixel: p, channel: c) }
      }
    case .product, .winograd, .quantize, .softmax, .localResponseNorm:
      preconditionFailure("these go through perform with all images")
    }
  }

  private func concatenate(_ step: QuantizedStep, image n: Int) {
    let y = network.values[step.output]
    var channel = 0
    for input in step.inputs {
      let part = network.values[input]
      for p in 0..<y.shape.h * y.shape.w {
        (bytes(step.output, n) + p * y.stride + channel).update(
          from: bytes(input, n) + p * part.stride, count: part.shape.c)
      }
      channel += part.shape.c
    }
  }

  /// What a byte of a value stands for.
  func number(of value: Int, _ image: Int, pixel: Int, channel: Int) -> Float {
    guard let scale = network.values[value].scales?[channel] else { return 0 }
    return (Float(bytes(value, image)[pixel * network.values[value].stride + channel]) - scale.zeroPoint) * scale.scale
  }

  // MARK: Means

  private func average(_ step: QuantizedStep, _ window: Window, countIncludePad: Bool, image n: Int) {
    let (x, y) = (network.values[step.inputs[0]].shape, network.values[step.output].shape)
    let pad = window.edges(for: x)
    for oy in 0..<y.h {
      let y0 = oy * window.stride.h - pad.top
      let yEnd = min(y0 + window.kernel.h, x.h + pad.bottom)
      let rows = max(0, y0)..<max(0, y0, min(yEnd, x.h))
      for ox in 0..<y.w {
        let x0 = ox * window.stride.w - pad.left
        let xEnd = min(x0 + window.kernel.w, x.w + pad.right)
        let columns = max(0, x0)..<max(0, x0, min(xEnd, x.w))
        let divisor = countIncludePad ? (yEnd - y0) * (xEnd - x0) : rows.count * columns.count
        mean(step, image: n, rows, columns, divisor: divisor, pixel: oy * y.w + ox)
      }
    }
  }

  private func averageAdaptively(_ step: QuantizedStep, image n: Int) {
    let (x, y) = (network.values[step.inputs[0]].shape, network.values[step.output].shape)
    for oy in 0..<y.h {
      let rows = (oy * x.h / y.h)..<(((oy + 1) * x.h + y.h - 1) / y.h)
      for ox in 0..<y.w {
        let columns = (ox * x.w / y.w)..<(((ox + 1) * x.w + y.w - 1) / y.w)
        mean(step, image: n, rows, columns, divisor: rows.count * columns.count, pixel: oy * y.w + ox)
      }
    }
  }

  private func mean(
    _ step: QuantizedStep, image n: Int, _ rows: Range<Int>, _ columns: Range<Int>, divisor: Int, pixel: Int
  ) {
    let (x, y) = (network.values[step.inputs[0]], network.values[step.output])
    guard let scales = x.scales else { return }
    let source = bytes(step.inputs[0], n) + (rows.lowerBound * x.shape.w + columns.lowerBound) * x.stride
    ckernels_int8_sum(source, x.shape.w * x.stride, x.stride, x.shape.c, rows.count, columns.count, sums)
    let (factors, offsets) = (constants.floats, constants.floats + channelCapacity)
    let count = Float(rows.count * columns.count)
    for c in 0..<x.shape.c {
      factors[c] = scales[c].scale / Float(divisor) / (y.scales?[c].scale ?? 1)
      offsets[c] = (y.scales?[c].zeroPoint ?? 0) - scales[c].zeroPoint * count * factors[c]
    }
    var epilogue = ckernels_int8_epilogue(
      scale: factors, bias: offsets, residual: nil, residual_scale: nil, activation: 0, quanta: 1, zero: 0, low: 0,
      high: 255)
    let place = pixel * (y.scales == nil ? y.shape.c : y.stride)
    ckernels_int8_finish(sums, x.shape.c, &epilogue, output(step.output, n, channel: place))
  }
}
