import Engine
import TestSupport
import Testing

/// The default model, of trained weights, with products of bf16 operands.
@Suite("A trained model in bf16 answers nearly as in floats", .timeLimit(.minutes(15)))
struct RoundedModelTests {
  private static let path =
    "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/") + "/models/default.swiftweights"

  @Test func answersNearly() throws {
    let (file, network) = try WeightsFile.load(path: Self.path, options: EngineOptions(isExact: true))
    let exact = try network.plan(batchCapacity: 1)
    let rounded = try file.network(options: EngineOptions(usesBF16: true)).plan(batchCapacity: 1)
    var same = 0
    for seed in UInt32(1)...12 {
      let wanted = exact.answers(toSeed: seed)
      let given = rounded.answers(toSeed: seed)
      let products = zip(wanted, given).reduce(into: (0.0, 0.0, 0.0)) { sums, pair in
        let (x, y) = (Double(pair.0), Double(pair.1))
        sums = (sums.0 + x * y, sums.1 + x * x, sums.2 + y * y)
      }
      #expect(products.0 / (products.1 * products.2).squareRoot() > 0.999, "seed \(seed)")
      if Self.best(wanted) == Self.best(given) { same += 1 }
    }
    #expect(same >= 10)
    #expect(rounded.discrepancy(to: try #require(file.canary)) == nil)
  }

  /// What only rounding explains is let pass, and nothing more.
  @Test func theCanaryGuardsARoundedNetwork() throws {
    let (file, network) = try WeightsFile.load(path: Self.path)
    let canary = try #require(file.canary)
    let rounded = try file.network(options: EngineOptions(usesBF16: true))
    let size = try #require(canary.answers.map(\.value.magnitude).max())
    for (error, inFloats, inBF16) in [(Float(0.01), true, true), (0.05, false, true), (0.15, false, false)] {
      let answers = canary.answers.map { Canary.Answer(index: $0.index, value: $0.value + error * size) }
      let off = Canary(seed: canary.seed, tolerance: canary.tolerance, answers: answers)
      #expect((try network.plan(batchCapacity: 1).discrepancy(to: off) == nil) == inFloats, "\(error)")
      #expect((try rounded.plan(batchCapacity: 1).discrepancy(to: off) == nil) == inBF16, "\(error)")
    }
  }

  /// What was quantized has a canary that was computed in bytes; floats are off by what bytes lose.
  @Test func theCanaryOfAQuantizedFileGuardsItInFloats() throws {
    let file = try WeightsFile.load(path: Self.path).file
    let canary = try #require(file.canary)
    let plan = try CompiledNetwork(graph: file.graph, weights: file, isOfBytes: true).plan(batchCapacity: 1)
    let size = try #require(canary.answers.map(\.value.magnitude).max())
    for (error, passes) in [(Float(0.2), true), (0.9, false)] {
      let answers = canary.answers.map { Canary.Answer(index: $0.index, value: $0.value + error * size) }
      let off = Canary(seed: canary.seed, tolerance: canary.tolerance, answers: answers)
      #expect((plan.discrepancy(to: off) == nil) == passes, "\(error)")
    }
  }

  private static func best(_ answers: [Float]) -> Int? { answers.indices.max { answers[$0] < answers[$1] } }

  /// The instructions are not asked for where they are not.
  @Test(arguments: InstructionSet.allCases) func roundsWhereTheProcessorCan(_ set: InstructionSet) throws {
    let options = EngineOptions(instructionSet: set)
    let network = try WeightsFile.load(path: Self.path, precision: .bf16, options: options).network
    #expect((network as? CompiledNetwork)?.usesBF16 == set.gainsByBF16)
    #expect(!set.gainsByBF16 || set.hasBF16)
    #expect(!set.hasBF16 || set == .avx512 || set == .amx)
    for precision in [Precision.automatic, .fp32] {
      let network = try WeightsFile.load(path: Self.path, precision: precision, options: options).network
      #expect((network as? CompiledNetwork)?.usesBF16 == false)
    }
  }
}
