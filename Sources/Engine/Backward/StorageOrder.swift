/// How a weight lies in the memory of the training kernels, against PyTorch's row-major order.
enum StorageOrder: Equatable, Sendable {
  case asPyTorch
  /// out × in × (kh·kw) becomes, for each group, (kh·kw · in) × out.
  case patches(groups: Int, outGroup: Int, inGroup: Int, area: Int)
  /// channels × (kh·kw) becomes (kh·kw) × channels.
  case depthwise(channels: Int, area: Int)
  /// out × (channels · area) becomes (area · channels) × out.
  case features(channels: Int, area: Int, out: Int)

  /// Calls back with each number's place in PyTorch's order and in the kernels'.
  private func eachPlace(count: Int, _ body: (_ torch: Int, _ kernel: Int) -> Void) {
    switch self {
    case .asPyTorch: for index in 0..<count { body(index, index) }
    case .patches(let groups, let outGroup, let inGroup, let area):
      for out in 0..<(groups * outGroup) {
        let (group, column) = (out / outGroup, out % outGroup)
        for i in 0..<inGroup {
          for k in 0..<area {
            body((out * inGroup + i) * area + k, ((group * area + k) * inGroup + i) * outGroup + column)
          }
        }
      }
    case .depthwise(let channels, let area):
      for c in 0..<channels {
        for k in 0..<area { body(c * area + k, k * channels + c) }
      }
    case .features(let channels, let area, let outs):
      for out in 0..<outs {
        for c in 0..<channels {
          for p in 0..<area { body((out * channels + c) * area + p, (p * channels + c) * outs + out) }
        }
      }
    }
  }

  /// Numbers in PyTorch's order, from the kernels' memory.
  func toPyTorch(_ numbers: UnsafePointer<Float>, count: Int) -> [Float] {
    [Float](unsafeUninitializedCapacity: count) { floats, initialized in
      eachPlace(count: count) { floats[$0] = numbers[$1] }
      initialized = count
    }
  }

  /// Puts numbers in PyTorch's order into the kernels' memory.
  func fromPyTorch(_ numbers: [Float], to target: UnsafeMutablePointer<Float>) {
    eachPlace(count: numbers.count) { target[$1] = numbers[$0] }
  }
}

/// Owned floats, 64-byte aligned, zero at first.
package final class TrainingMemory: @unchecked Sendable {
  package let floats: UnsafeMutablePointer<Float>
  package let count: Int

  package init(count: Int) {
    self.count = count
    let raw = UnsafeMutableRawPointer.allocate(byteCount: max(64, count * 4), alignment: 64)
    floats = raw.bindMemory(to: Float.self, capacity: count)
    floats.initialize(repeating: 0, count: count)
  }

  deinit { UnsafeMutableRawPointer(floats).deallocate() }
}
