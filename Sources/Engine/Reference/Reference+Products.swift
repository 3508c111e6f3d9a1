extension Reference {
  static func convolution(_ x: Planar, _ y: Shape, _ c: Convolution, weight: [Float], bias: [Float]) -> Planar {
    let (top, left) = leadingEdges(x.shape, c.kernel, c.stride, c.padding, c.dilation)
    let inGroup = c.inChannels / c.groups
    let outGroup = c.outChannels / c.groups
    return Planar(shape: y) { out, oy, ox in
      var sum = c.bias ? Double(bias[out]) : 0
      for i in 0..<inGroup {
        for ky in 0..<c.kernel.h {
          for kx in 0..<c.kernel.w {
            let row = oy * c.stride.h - top + ky * c.dilation.h
            let column = ox * c.stride.w - left + kx * c.dilation.w
            guard x.holds(row, column) else { continue }
            let factor = weight[((out * inGroup + i) * c.kernel.h + ky) * c.kernel.w + kx]
            sum += Double(factor) * Double(x[out / outGroup * inGroup + i, row, column])
          }
        }
      }
      return Float(sum)
    }
  }

  static func linear(_ x: Planar, _ y: Shape, _ l: Linear, weight: [Float], bias: [Float]) -> Planar {
    Planar(shape: y) { out, _, _ in
      var sum = l.bias ? Double(bias[out]) : 0
      for i in 0..<l.inFeatures { sum += Double(weight[out * l.inFeatures + i]) * Double(x.values[i]) }
      return Float(sum)
    }
  }

  /// What padding puts above and to the left; `.same` puts the odd row and column on the other sides.
  static func leadingEdges(
    _ x: Shape, _ kernel: Extent2D, _ stride: Extent2D, _ padding: Padding, _ dilation: Extent2D
  ) -> (top: Int, left: Int) {
    func same(_ x: Int, _ kernel: Int, _ stride: Int, _ dilation: Int) -> Int {
      let lastStart = (x - 1) / stride * stride
      return max(0, lastStart + dilation * (kernel - 1) + 1 - x) / 2
    }
    switch padding {
    case .explicit(let top, let left, _, _): return (top, left)
    case .same:
      return (same(x.h, kernel.h, stride.h, dilation.h), same(x.w, kernel.w, stride.w, dilation.w))
    }
  }
}
