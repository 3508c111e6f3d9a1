import CKernels
import TestSupport
import Testing

/// What a product of floats leaves out where its last columns are of no meaning; networks show the products themselves.
@Suite(.timeLimit(.minutes(15)))
struct ProductKernelTests {
  static let instructionSets = [ckernels_portable, ckernels_avx2, ckernels_avx512].map { Int32($0) }.filter {
    ckernels_of($0) != nil
  }

  /// On every processor, though networks leave halves out only where that pays.
  @Test(arguments: instructionSets) func halfAVectorLeftOutChangesNoResult(_ set: Int32) throws {
    let kernels = try #require(ckernels_of(set))
    for rows in 1...25 {
      for (depth, columns) in [(1, 16), (5, 32), (16, 48), (27, 64), (40, 80)] {
        for padding in [8, 11, 15] {
          let all = product(kernels, rows, depth, columns, meaningless: padding, told: 0)
          let some = product(kernels, rows, depth, columns, meaningless: padding, told: padding)
          #expect(all == some, "\(rows) rows of \(depth) by \(columns) columns, \(padding) of them padding")
        }
      }
    }
  }

  /// With a residual panels pass whole: one of zeros tells what the sums should be.
  @Test(arguments: instructionSets) func panelsThatPassInPartsGiveTheSameSums(_ set: Int32) throws {
    let kernels = try #require(ckernels_of(set))
    let deep = (1 << 17) / kernels.pointee.panel_columns
    for (rows, columns, padding) in [(1, 80, 8), (9, 48, 0), (13, 64, 0)] {
      let depth = deep + deep / 4 + 7
      let zeros = [Float](repeating: 0, count: rows * columns)
      let whole = product(
        kernels, rows, depth, columns, meaningless: padding, told: padding, residual: zeros)
      let parts = product(kernels, rows, depth, columns, meaningless: padding, told: padding, residual: [])
      #expect(whole == parts, "\(rows) rows of \(depth) by \(columns) columns, \(padding) of them padding")
    }
  }

  /// The rows of a product with bias, residual and ReLU6; its last `meaningless` columns are zeros.
  ///
  /// `residual` is used instead of some numbers; empty: none is added.
  private func product(
    _ kernels: UnsafePointer<ckernels_table>, _ rows: Int, _ depth: Int, _ columns: Int, meaningless: Int, told: Int,
    residual given: [Float]? = nil
  ) -> [Float] {
    var generator = Seeded(seed: UInt64(rows * 1000 + depth))
    func zeroed(_ matrix: [Float]) -> [Float] {
      matrix.enumerated().map { $0.offset % columns < columns - meaningless ? $0.element : 0 }
    }
    let a = generator.floats(rows * depth, in: -2...2)
    let b = zeroed(generator.floats(depth * columns))
    let bias = zeroed(generator.floats(columns))
    let residual = given ?? zeroed(generator.floats(rows * columns))
    var panels = [Float](repeating: .nan, count: depth * columns)
    var out = [Float](repeating: .nan, count: rows * columns)
    kernels.pointee.pack(b, depth, columns, &panels)
    a.withUnsafeBufferPointer { a in
      panels.withUnsafeBufferPointer { panels in
        bias.withUnsafeBufferPointer { bias in
          residual.withUnsafeBufferPointer { residual in
            out.withUnsafeMutableBufferPointer { out in
              withUnsafePointer(to: 0) { start in
                guard let a = a.baseAddress, let panels = panels.baseAddress, let out = out.baseAddress else { return }
                var product = ckernels_product(
                  a: a, row_stride: depth, group_stride: 0, segments: start, segment_count: 1, segment_length: depth,
                  panels: panels, ahead: nil, bias: bias.baseAddress,
                  residual: residual.isEmpty ? nil : residual.baseAddress,
                  residual_row_stride: columns, residual_group_stride: 0, out: out, out_row_stride: columns,
                  out_group_stride: 0, rows: rows, groups: 1, columns: columns, padding: told,
                  activation: Int32(ckernels_relu6))
                kernels.pointee.multiply(&product)
              }
            }
          }
        }
      }
    }
    return out
  }
}
