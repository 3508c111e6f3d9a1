extension Reference {
  static func maxPool(_ x: Planar, _ y: Shape, _ p: Pooling) -> Planar {
    let (top, left) = leadingEdges(x.shape, p.kernel, p.stride, p.padding, p.dilation)
    return Planar(shape: y) { c, oy, ox in
      var most = -Float.infinity
      for ky in 0..<p.kernel.h {
        for kx in 0..<p.kernel.w {
          let row = oy * p.stride.h - top + ky * p.dilation.h
          let column = ox * p.stride.w - left + kx * p.dilation.w
          guard x.holds(row, column) else { continue }
          let value = x[c, row, column]
          if value > most || value.isNaN { most = value }
        }
      }
      return most
    }
  }

  /// Ceil mode's windows may pass the padded picture; what lies beyond it never counts.
  static func averagePool(_ x: Planar, _ y: Shape, _ p: Pooling) -> Planar {
    let (top, left) = leadingEdges(x.shape, p.kernel, p.stride, p.padding, p.dilation)
    var (bottom, right) = (0, 0)
    switch p.padding {
    case .explicit(_, _, let below, let after): (bottom, right) = (below, after)
    case .same:
      bottom = max(0, (y.h - 1) * p.stride.h - top + p.kernel.h - x.shape.h)
      right = max(0, (y.w - 1) * p.stride.w - left + p.kernel.w - x.shape.w)
    }
    return Planar(shape: y) { c, oy, ox in
      var sum = 0.0
      var count = 0
      for row in (oy * p.stride.h - top)..<(oy * p.stride.h - top + p.kernel.h) {
        for column in (ox * p.stride.w - left)..<(ox * p.stride.w - left + p.kernel.w) {
          let isInPicture = x.holds(row, column)
          if isInPicture { sum += Double(x[c, row, column]) }
          let isInPadding = row < x.shape.h + bottom && column < x.shape.w + right
          if isInPicture || (p.countIncludePad && isInPadding) { count += 1 }
        }
      }
      return Float(sum / Double(count))
    }
  }

  static func adaptiveAveragePool(_ x: Planar, _ y: Shape) -> Planar {
    func span(_ index: Int, _ from: Int, _ to: Int) -> Range<Int> {
      let start = Double(index * from) / Double(to)
      let end = Double((index + 1) * from) / Double(to)
      return Int(start.rounded(.down))..<Int(end.rounded(.up))
    }
    return Planar(shape: y) { c, oy, ox in
      let (rows, columns) = (span(oy, x.shape.h, y.h), span(ox, x.shape.w, y.w))
      var sum = 0.0
      for row in rows {
        for column in columns { sum += Double(x[c, row, column]) }
      }
      return Float(sum / Double(rows.count * columns.count))
    }
  }
}
