/// How a network is to be computed; decided once, when it is compiled.
package struct EngineOptions: Sendable {
  /// Who computes matrix products.
  package enum Products: String, Sendable, CaseIterable {
    /// The faster one for each layer.
    case automatic = "auto"
    /// The engine's packed kernels everywhere.
    case own
    /// OpenBLAS everywhere.
    case openBLAS = "openblas"
  }

  package var products: Products
  /// Forgoes Winograd's algorithm: 1e-4 instead of 1e-3 is then the bound of the relative error.
  package var isExact: Bool
  package var instructionSet: InstructionSet
  /// Lets products be of operands rounded to bf16; slowly, where `instructionSet.hasBF16` is false.
  package var usesBF16: Bool
  /// How many images a run will usually have; the choice of algorithms depends on it, no answer does.
  package var expectedBatch: Int
  /// The fastest algorithm of convolutions by `ConvolutionProblem.key`; rules choose for those that are missing.
  package var measured: [String: ConvolutionAlgorithm]
  /// Names one algorithm for all convolutions that it can compute; for tests and measurements.
  package var forcedAlgorithm: ConvolutionAlgorithm?

  package init(
    products: Products = .automatic, isExact: Bool = false, instructionSet: InstructionSet = .best,
    usesBF16: Bool = false, expectedBatch: Int = 8, measured: [String: ConvolutionAlgorithm] = [:],
    forcedAlgorithm: ConvolutionAlgorithm? = nil
  ) {
    self.products = products
    self.isExact = isExact
    self.instructionSet = instructionSet
    self.usesBF16 = usesBF16
    self.expectedBatch = expectedBatch
    self.measured = measured
    self.forcedAlgorithm = forcedAlgorithm
  }

  /// What computes the products of layers that have no other choice.
  var productKind: MatrixProduct.Kind { products == .openBLAS ? .library : usesBF16 ? .bf16 : .own }

  var wantsMatrixLibrary: Bool { products == .openBLAS || forcedAlgorithm?.isLibrary == true }
}
