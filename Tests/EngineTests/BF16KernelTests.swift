import CKernels
import TestSupport
import Testing

/// Products of bf16 operands on every instruction set that this machine has them for, against the definition.
@Suite("Kernels on bf16 add up the products of what was rounded", .timeLimit(.minutes(15)))
struct BF16KernelTests {
  static let instructionSets = [ckernels_portable, ckernels_avx512, ckernels_amx].map { Int32($0) }.filter {
    ckernels_bf16_of($0) != nil
  }

  @Test(arguments: instructionSets) func multipliesAsDefined(_ set: Int32) throws {
    let kernels = try #require(ckernels_bf16_of(set))
    for (turn, rows) in (1...27).enumerated() {
      for depth in [1, 2, 7, 31, 32, 33, 65] {
        var product = SmallProduct(rows: rows, pieces: 1, length: depth, columns: 16 + (turn + depth) % 4 * 16)
        product.activation = Int32((turn + depth) % 8)
        product.hasBias = turn % 2 == 0
        product.hasResidual = turn % 3 == 0
        product.hasFactors = turn % 5 == 0
        product.check(kernels)
      }
    }
  }

  @Test(arguments: instructionSets) func readsRowsInPieces(_ set: Int32) throws {
    let kernels = try #require(ckernels_bf16_of(set))
    for (turn, pieces) in [1, 3, 5, 9].enumerated() {
      for length in [1, 9, 16, 49] {
        for groups in 1...3 {
          var product = SmallProduct(rows: 1 + (turn + length) % 14, pieces: pieces, length: length, columns: 48)
          product.groups = groups
          product.hasResidual = length % 3 == 0
          product.liesInOne = turn % 2 == 0
          product.check(kernels)
        }
      }
    }
  }

  /// More rows than are rounded at a time.
  @Test(arguments: instructionSets) func passesBlockByBlock(_ set: Int32) throws {
    let kernels = try #require(ckernels_bf16_of(set))
    for (rows, depth, groups) in [(1500, 65, 1), (60, 1300, 3)] {
      var product = SmallProduct(rows: rows, pieces: 1, length: depth, columns: 32)
      product.groups = groups
      product.hasResidual = true
      product.check(kernels)
    }
  }

  /// Halves, the largest number, infinities and a NaN, by a product with 1.
  @Test(arguments: instructionSets) func roundsToTheNearest(_ set: Int32) throws {
    let kernels = try #require(ckernels_bf16_of(set))
    let (one, largest) = (Float(1), Float.greatestFiniteMagnitude)
    let steps = Float(1).ulp * 0x8000
    for (number, wanted) in [
      (one + steps, one), (one + 3 * steps, one + 4 * steps), (one + steps + one.ulp, one + 2 * steps),
      (one + steps - one.ulp, one), (-one - steps, -one), (largest, .infinity), (-.infinity, -.infinity), (.nan, .nan),
      (0, 0),
    ] {
      let given = SmallProduct.times(one: number, kernels)
      #expect(given == wanted || (given.isNaN && wanted.isNaN), "\(number) became \(given), not \(wanted)")
    }
  }
}

/// One product with numbers of its own, and what the definition says of it.
private struct SmallProduct {
  let rows: Int
  let pieces: Int
  let length: Int
  let columns: Int
  var groups = 1
  var activation: Int32 = 0
  var hasBias = true
  var hasResidual = false
  var hasFactors = false
  /// Whether one group's results follow another's at once.
  var liesInOne = true

  init(rows: Int, pieces: Int, length: Int, columns: Int) {
    self.rows = rows
    self.pieces = pieces
    self.length = length
    self.columns = columns
  }

  private var depth: Int { pieces * length }
  private var rowStride: Int { depth + 3 }
  private var groupStride: Int { rows * rowStride + 5 }
  private var outStride: Int { liesInOne ? columns : columns + 16 }
  private var outGroupStride: Int { rows * outStride + (liesInOne ? 0 : 32) }

  func check(_ kernels: UnsafePointer<ckernels_bf16_table>) {
    var generator = Seeded(seed: UInt64(rows * 1000 + depth))
    let a = generator.floats(groups * groupStride, in: -2...2)
    let b = generator.floats(depth * columns)
    let bias = generator.floats(columns)
    let factors = generator.floats(depth, in: 0...1)
    let residual = generator.floats(groups * outGroupStride)
    // The last piece lies first.
    let offsets = (0..<pieces).map { (pieces - 1 - $0) * length }
    let untouched: Float = -777
    var out = [Float](repeating: untouched, count: groups * outGroupStride)
    var panels = [UInt32](repeating: .max, count: (depth + 1) / 2 * columns)
    var scratch = [UInt32](repeating: .max, count: ckernels_bf16_scratch(groups * rows, depth))
    a.withUnsafeBufferPointer { a in
      offsets.withUnsafeBufferPointer { offsets in
        bias.withUnsafeBufferPointer { bias in
          residual.withUnsafeBufferPointer { residual in
            out.withUnsafeMutableBufferPointer { out in
              guard let a = a.baseAddress, let offsets = offsets.baseAddress, let out = out.baseAddress else { return }
              var product = ckernels_product(
                a: a, row_stride: rowStride, group_stride: groupStride, segments: offsets, segment_count: pieces,
                segment_length: length, panels: a, ahead: nil, bias: hasBias ? bias.baseAddress : nil,
                residual: hasResidual ? residual.baseAddress : nil, residual_row_stride: outStride,
                residual_group_stride: outGroupStride, out: out, out_row_stride: outStride,
                out_group_stride: outGroupStride, rows: rows, groups: groups, columns: columns, padding: 0,
                activation: activation)
              kernels.pointee.pack(b, depth, columns, &panels)
              if hasFactors {
                kernels.pointee.multiply(&product, panels, factors, &scratch)
              } else {
                kernels.pointee.multiply(&product, panels, nil, &scratch)
              }
            }
          }
        }
      }
    }
    for place in out.indices {
      let (group, rest) = place.quotientAndRemainder(dividingBy: outGroupStride)
      let (row, column) = rest.quotientAndRemainder(dividingBy: outStride)
      guard row < rows, column < columns else {
        #expect(out[place] == untouched, "written outside")
        continue
      }
      var (sum, size) = (0.0, 0.0)
      func add(_ term: Double) {
        sum += term
        size += abs(term)
      }
      if hasBias { add(Double(bias[column])) }
      for k in 0..<depth {
        let number = a[group * groupStride + row * rowStride + offsets[k / length] + k % length]
        let factor = b[k * columns + column]
        add(Double((hasFactors ? number * factors[k] : number).roundedToBF16) * Double(factor.roundedToBF16))
      }
      if hasResidual { add(Double(residual[place])) }
      // Each addition rounds once; no activation is steeper than 1.1.
      let allowed = 1.1 * Double(depth + 4) * Double(Float.ulpOfOne) / 2 * size + 1e-6
      let difference = abs(Double(out[place]) - activated(sum))
      #expect(difference <= allowed, "\(self): row \(row) of group \(group), column \(column) is off by \(difference)")
    }
  }

  private func activated(_ x: Double) -> Double {
    switch Int(activation) {
    case ckernels_relu: max(0, x)
    case ckernels_relu6: min(6, max(0, x))
    case ckernels_silu: x / (1 + exponential(-x))
    case ckernels_hard_swish: x * min(6, max(0, x + 3)) / 6
    case ckernels_hard_sigmoid: min(6, max(0, x + 3)) / 6
    case ckernels_sigmoid: 1 / (1 + exponential(-x))
    case ckernels_tanh: 1 - 2 / (1 + exponential(2 * x))
    default: x
    }
  }

  /// A number times 1.
  static func times(one number: Float, _ kernels: UnsafePointer<ckernels_bf16_table>) -> Float {
    var panels = [UInt32](repeating: 0, count: 16)
    var scratch = [UInt32](repeating: 0, count: ckernels_bf16_scratch(1, 1))
    var out = [Float](repeating: 0, count: 16)
    kernels.pointee.pack([Float](repeating: 1, count: 16), 1, 16, &panels)
    withUnsafePointer(to: number) { number in
      withUnsafePointer(to: 0) { start in
        out.withUnsafeMutableBufferPointer { out in
          guard let out = out.baseAddress else { return }
          var product = ckernels_product(
            a: number, row_stride: 1, group_stride: 1, segments: start, segment_count: 1, segment_length: 1,
            panels: number, ahead: nil, bias: nil, residual: nil, residual_row_stride: 0, residual_group_stride: 0,
            out: out,
            out_row_stride: 16, out_group_stride: 16, rows: 1, groups: 1, columns: 16, padding: 0, activation: 0)
          kernels.pointee.multiply(&product, panels, nil, &scratch)
        }
      }
    }
    return out[15]
  }
}

extension Float {
  /// The nearest number that has 8 digits in binary, the even one of two.
  fileprivate var roundedToBF16: Float {
    guard isFinite, self != 0 else { return self }
    let step = binade.magnitude * 0x1p-7
    return (self / step).rounded(.toNearestOrEven) * step
  }
}

private func exponential(_ x: Double) -> Double {
  var (term, sum) = (1.0, 1.0)
  for n in 1...16 {
    term *= x / 1024 / Double(n)
    sum += term
  }
  for _ in 0..<10 { sum *= sum }
  return sum
}
