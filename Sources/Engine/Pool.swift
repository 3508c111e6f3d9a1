/// Pooling of one image in channels-last memory, with PyTorch's arithmetic.
enum Pool {
  /// Calls back with the rows and columns of the input under each output pixel's window.
  private static func eachWindow(
    _ x: Shape, _ y: Shape, _ window: Window, _ body: (_ pixel: Int, _ y0: Int, _ x0: Int) -> Void
  ) {
    let pad = window.edges(for: x)
    for oy in 0..<y.h {
      for ox in 0..<y.w { body(oy * y.w + ox, oy * window.stride.h - pad.top, ox * window.stride.w - pad.left) }
    }
  }

  /// A NaN under the window is its maximum.
  static func maximum(
    _ source: UnsafePointer<Float>, _ x: Shape, _ out: UnsafeMutablePointer<Float>, _ y: Shape, _ window: Window
  ) {
    eachWindow(x, y, window) { pixel, y0, x0 in
      let target = out + pixel * x.c
      target.update(repeating: -.infinity, count: x.c)
      for ky in 0..<window.kernel.h {
        let row = y0 + ky * window.dilation.h
        guard row >= 0, row < x.h else { continue }
        for kx in 0..<window.kernel.w {
          let column = x0 + kx * window.dilation.w
          guard column >= 0, column < x.w else { continue }
          let values = source + (row * x.w + column) * x.c
          for c in 0..<x.c { target[c] = values[c] > target[c] || values[c].isNaN ? values[c] : target[c] }
        }
      }
    }
  }

  /// Divides by the window's part within the padded picture, or within the picture alone.
  static func average(
    _ source: UnsafePointer<Float>, _ x: Shape, _ out: UnsafeMutablePointer<Float>, _ y: Shape, _ window: Window,
    countIncludePad: Bool
  ) {
    let pad = window.edges(for: x)
    eachWindow(x, y, window) { pixel, y0, x0 in
      let (yEnd, xEnd) = (min(y0 + window.kernel.h, x.h + pad.bottom), min(x0 + window.kernel.w, x.w + pad.right))
      let rows = max(0, y0)..<max(0, y0, min(yEnd, x.h))
      let columns = max(0, x0)..<max(0, x0, min(xEnd, x.w))
      let count = countIncludePad ? (yEnd - y0) * (xEnd - x0) : rows.count * columns.count
      mean(source, x, rows, columns, over: count, to: out + pixel * x.c)
    }
  }

  /// Output pixel i covers the input from ⌊i·in/out⌋ to ⌈(i+1)·in/out⌉.
  static func adaptiveAverage(
    _ source: UnsafePointer<Float>, _ x: Shape, _ out: UnsafeMutablePointer<Float>, _ y: Shape
  ) {
    for oy in 0..<y.h {
      let rows = (oy * x.h / y.h)..<(((oy + 1) * x.h + y.h - 1) / y.h)
      for ox in 0..<y.w {
        let columns = (ox * x.w / y.w)..<(((ox + 1) * x.w + y.w - 1) / y.w)
        mean(source, x, rows, columns, over: rows.count * columns.count, to: out + (oy * y.w + ox) * x.c)
      }
    }
  }

  private static func mean(
    _ source: UnsafePointer<Float>, _ x: Shape, _ rows: Range<Int>, _ columns: Range<Int>, over count: Int,
    to target: UnsafeMutablePointer<Float>
  ) {
    target.update(repeating: 0, count: x.c)
    for row in rows {
      for column in columns {
        let values = source + (row * x.w + column) * x.c
        for c in 0..<x.c { target[c] += values[c] }
      }
    }
    let divisor = Float(count)
    for c in 0..<x.c { target[c] /= divisor }
  }
}
