internal import CKernels

/// The vector instructions that the engine's own kernels are made for.
package enum InstructionSet: String, Sendable, CaseIterable {
  /// What every processor of the architecture has (SSE2, or NEON on arm64).
  case portable
  /// x86-64-v3.
  case avx2
  /// x86-64-v4.
  case avx512

  /// Those that this processor has, the best last.
  package static let available = allCases.filter { ckernels_of($0.code) != nil }

  package static let best = available.last ?? .portable

  private var code: Int32 {
    switch self {
    case .portable: 0
    case .avx2: 1
    case .avx512: 2
    }
  }

  /// The kernels; those of the best available set if this processor lacks the instructions.
  var kernels: Kernels {
    guard let table = ckernels_of(code) ?? ckernels_of(Self.best.code) else {
      preconditionFailure("the portable kernels are always there")
    }
    return Kernels(table: table)
  }

  /// The kernels on bytes; those of the best lesser set that has any and that this processor knows.
  var byteKernels: ByteKernels {
    for set in Self.allCases.reversed() where set.code <= code {
      if let table = ckernels_int8_of(set.code) { return ByteKernels(table: table) }
    }
    preconditionFailure("the portable kernels are always there")
  }
}

/// A set of C kernels, by the names of `ckernels.h`; constant for the life of the process.
struct Kernels: @unchecked Sendable {
  let table: UnsafePointer<ckernels_table>

  /// Floats of a panel of packed weights.
  var panelColumns: Int { table.pointee.panel_columns }
}

/// A set of C kernels on bytes, by the names of `ckernels_int8.h`; constant for the life of the process.
struct ByteKernels: @unchecked Sendable {
  let table: UnsafePointer<ckernels_int8_table>
}
