internal import CKernels

/// The vector instructions that the engine's own kernels are made for.
package enum InstructionSet: String, Sendable, CaseIterable {
  /// What every processor of the architecture has (SSE2, or NEON on arm64).
  case portable
  /// x86-64-v3.
  case avx2
  /// x86-64-v4.
  case avx512
  /// The same with tiles of bytes and of bf16 (Sapphire Rapids and newer); floats are AVX-512's.
  case amx

  /// Those that this processor has, the best last.
  package static let available = allCases.filter { ckernels_of($0.code) != nil }

  package static let best = available.last ?? .portable

  /// Whether this processor has instructions for bf16 beside these (AVX512_BF16).
  package var hasBF16: Bool { self != .portable && ckernels_bf16_of(code) != nil }

  /// Whether they also multiply faster than those for floats do; found out when it is first asked for.
  package var gainsByBF16: Bool { BF16Gain.isThere(self) }

  private var code: Int32 {
    switch self {
    case .portable: 0
    case .avx2: 1
    case .avx512: 2
    case .amx: 3
    }
  }

  /// The kernels; those of the best available set if this processor lacks the instructions.
  var kernels: Kernels {
    guard let table = ckernels_of(code) ?? ckernels_of(Self.best.code),
      let bf16 = ckernels_bf16_of(code) ?? ckernels_bf16_of(Self.portable.code)
    else { preconditionFailure("the portable kernels are always there") }
    return Kernels(table: table, bf16: bf16)
  }

  /// The kernels on bytes; those of the best lesser set that has any and that this processor knows.
  var byteKernels: ByteKernels {
    for set in Self.allCases.reversed() where set.code <= code {
      if let table = ckernels_int8_of(set.code) { return ByteKernels(table: table) }
    }
    preconditionFailure("the portable kernels are always there")
  }
}

/// A set of C kernels, by the names of `ckernels.h` and `ckernels_bf16.h`; constant for the life of the process.
struct Kernels: @unchecked Sendable {
  let table: UnsafePointer<ckernels_table>
  /// Products of bf16 operands, the portable ones where the processor has no instructions for them.
  let bf16: UnsafePointer<ckernels_bf16_table>

  /// Columns of a panel of packed weights.
  func panelColumns(_ kind: MatrixProduct.Kind) -> Int {
    kind == .bf16 ? bf16.pointee.panel_columns : table.pointee.panel_columns
  }
}

/// A set of C kernels on bytes, by the names of `ckernels_int8.h`; constant for the life of the process.
struct ByteKernels: @unchecked Sendable {
  let table: UnsafePointer<ckernels_int8_table>
}
