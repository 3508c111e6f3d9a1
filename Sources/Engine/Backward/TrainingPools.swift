internal import CKernels

/// A sliding maximum; remembers which tap of the window won, the first of equals.
final class TrainingMaxPool: TrainingStep {
  let name: String
  var inputs: [StepInput]
  let output: TrainingValue
  private let window: Window
  private let winners: UnsafeMutablePointer<UInt8>

  init(name: String, _ window: Window, input: TrainingValue, output: TrainingValue, batchCapacity: Int) {
    self.name = name
    self.window = window
    inputs = [StepInput(value: input)]
    self.output = output
    winners = .allocate(capacity: batchCapacity * output.shape.countPerImage)
    winners.initialize(repeating: 0, count: batchCapacity * output.shape.countPerImage)
  }

  deinit { winners.deallocate() }

  /// Calls back with each output pixel and the input pixels under its window, by tap.
  private func eachTap(_ body: (_ out: Int, _ tap: UInt8, _ input: Int) -> Void) {
    let (x, y) = (inputs[0].value.shape, output.shape)
    let pad = window.edges(for: x)
    for oy in 0..<y.h {
      for ox in 0..<y.w {
        for ky in 0..<window.kernel.h {
          let row = oy * window.stride.h - pad.top + ky * window.dilation.h
          guard row >= 0, row < x.h else { continue }
          for kx in 0..<window.kernel.w {
            let column = ox * window.stride.w - pad.left + kx * window.dilation.w
            guard column >= 0, column < x.w else { continue }
            body((oy * y.w + ox) * y.c, UInt8(ky * window.kernel.w + kx), (row * x.w + column) * x.c)
          }
        }
      }
    }
  }

  func forward(_ lane: LaneWork) {
    let channels = output.shape.c
    for n in lane.images {
      let (source, out) = (inputs[0].value.image(n), output.image(n))
      let which = winners + n * output.shape.countPerImage
      out.update(repeating: -.infinity, count: output.shape.countPerImage)
      eachTap { pixel, tap, place in training_maximum(source + place, channels, tap, out + pixel, which + pixel) }
    }
  }

  func backward(_ lane: LaneWork) {
    let input = inputs[0]
    guard input.value.wantsGradient else { return }
    let channels = output.shape.c
    for n in lane.images {
      let (gradient, target) = (output.gradient(lane, n), input.value.gradient(lane, n))
      let which = winners + n * output.shape.countPerImage
      if !input.accumulates { target.update(repeating: 0, count: input.value.shape.countPerImage) }
      eachTap { pixel, tap, place in
        training_maximum_input(gradient + pixel, which + pixel, channels, tap, target + place)
      }
    }
  }
}

/// Means of windows, sliding or adaptive: each output pixel is the mean of a rectangle.
final class TrainingMean: TrainingStep {
  let name: String
  var inputs: [StepInput]
  let output: TrainingValue
  private let parts: [Part]

  private struct Part {
    let rows: Range<Int>
    let columns: Range<Int>
    let divisor: Int
  }

  /// `window` nil: adaptive, output pixel i covers the input from ⌊i·in/out⌋ to ⌈(i+1)·in/out⌉.
  init(name: String, _ window: Window?, countIncludePad: Bool, input: TrainingValue, output: TrainingValue) {
    self.name = name
    inputs = [StepInput(value: input)]
    self.output = output
    let (x, y) = (input.shape, output.shape)
    var parts: [Part] = []
    for oy in 0..<y.h {
      for ox in 0..<y.w {
        guard let window else {
          let rows = (oy * x.h / y.h)..<(((oy + 1) * x.h + y.h - 1) / y.h)
          let columns = (ox * x.w / y.w)..<(((ox + 1) * x.w + y.w - 1) / y.w)
          parts.append(Part(rows: rows, columns: columns, divisor: rows.count * columns.count))
          continue
        }
        let pad = window.edges(for: x)
        let (y0, x0) = (oy * window.stride.h - pad.top, ox * window.stride.w - pad.left)
        let (yEnd, xEnd) = (min(y0 + window.kernel.h, x.h + pad.bottom), min(x0 + window.kernel.w, x.w + pad.right))
        let rows = max(0, y0)..<max(0, y0, min(yEnd, x.h))
        let columns = max(0, x0)..<max(0, x0, min(xEnd, x.w))
        parts.append(
          Part(
            rows: rows, columns: columns,
            divisor: countIncludePad ? (yEnd - y0) * (xEnd - x0) : rows.count * columns.count))
      }
    }
    self.parts = parts
  }

  func forward(_ lane: LaneWork) {
    let x = inputs[0].value.shape
    for n in lane.images {
      let (source, out) = (inputs[0].value.image(n), output.image(n))
      for (pixel, part) in parts.enumerated() {
        let target = out + pixel * x.c
        target.update(repeating: 0, count: x.c)
        for row in part.rows {
          training_sum_pixels(source + (row * x.w + part.columns.lowerBound) * x.c, part.columns.count, x.c, target)
        }
        training_scale_add(target, x.c, 1 / Float(part.divisor), target, 0)
      }
    }
  }

  func backward(_ lane: LaneWork) {
    let input = inputs[0]
    guard input.value.wantsGradient else { return }
    let x = input.value.shape
    for n in lane.images {
      let (gradient, target) = (output.gradient(lane, n), input.value.gradient(lane, n))
      if !input.accumulates { target.update(repeating: 0, count: x.countPerImage) }
      for (pixel, part) in parts.enumerated() {
        for row in part.rows {
          for column in part.columns {
            training_scale_add(
              gradient + pixel * x.c, x.c, 1 / Float(part.divisor), target + (row * x.w + column) * x.c, 1)
          }
        }
      }
    }
  }
}
