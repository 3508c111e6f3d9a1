internal import Glibc

extension Reference {
  static func activate(_ value: Float, _ activation: Activation) -> Float {
    let x = Double(value)
    func relu6(_ x: Double) -> Double { x.isNaN ? x : min(max(x, 0), 6) }
    switch activation {
    case .relu: return x < 0 ? 0 : value
    case .relu6: return Float(relu6(x))
    case .silu: return Float(x / (1 + exp(-x)))
    case .hardSwish: return Float(x * relu6(x + 3) / 6)
    case .hardSigmoid: return Float(relu6(x + 3) / 6)
    case .sigmoid: return Float(1 / (1 + exp(-x)))
    case .tanh: return Float(tanh(x))
    }
  }

  static func batchNorm(
    _ x: Planar, _ epsilon: Float, weight: [Float], bias: [Float], mean: [Float], variance: [Float]
  ) -> Planar {
    Planar(shape: x.shape) { c, h, w in
      let deviation = (Double(variance[c]) + Double(epsilon)).squareRoot()
      return Float((Double(x[c, h, w]) - Double(mean[c])) / deviation * Double(weight[c]) + Double(bias[c]))
    }
  }

  static func softmax(_ x: Planar) -> Planar {
    Planar(shape: x.shape) { c, h, w in
      let column = (0..<x.shape.c).map { Double(x[$0, h, w]) }
      let most = column.max() ?? 0
      return Float(exp(column[c] - most) / column.reduce(0) { $0 + exp($1 - most) })
    }
  }

  static func localResponseNorm(_ x: Planar, _ size: Int, _ alpha: Float, _ beta: Float, _ k: Float) -> Planar {
    Planar(shape: x.shape) { c, h, w in
      var sum = 0.0
      for other in (c - size / 2)..<(c - size / 2 + size) where other >= 0 && other < x.shape.c {
        sum += Double(x[other, h, w]) * Double(x[other, h, w])
      }
      return Float(Double(x[c, h, w]) / pow(Double(k) + Double(alpha) * sum / Double(size), Double(beta)))
    }
  }
}
