import CShims
import Engine
import Testing

/// A warm run leaves no memory behind.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct AllocationTests {
  @Test(arguments: Vector.all.filter { $0.name.hasPrefix("squeeze") || $0.name.hasPrefix("conv groups") })
  func warmRunsLeaveNothingBehind(vector: Vector) throws {
    let network = try CompiledNetwork(graph: vector.graph, weights: vector)
    let plan = try InferencePlan(network: network, batchCapacity: 1)
    let picture = UnsafeMutablePointer<Float>.allocate(capacity: network.inputShape.countPerImage)
    picture.initialize(repeating: 0.5, count: network.inputShape.countPerImage)
    let output = UnsafeMutableBufferPointer<Float>.allocate(capacity: network.outputCount)
    let images = UnsafeMutableBufferPointer<UnsafePointer<Float>>.allocate(capacity: 1)
    images.initialize(repeating: UnsafePointer(picture))
    defer {
      picture.deallocate()
      output.deallocate()
      images.deallocate()
    }
    plan.run(images: UnsafeBufferPointer(images), output: output)
    // Other tests run beside this one in the same heap: one quiet round of a few hundred is proof enough, while a run
    // that leaves anything behind has none.
    let isQuiet = (0..<500).contains { _ in
      let before = lookout_heap_bytes_in_use()
      for _ in 0..<10 { plan.run(images: UnsafeBufferPointer(images), output: output) }
      return lookout_heap_bytes_in_use() == before
    }
    #expect(isQuiet, "ten warm runs changed the bytes in use, every time")
  }
}
