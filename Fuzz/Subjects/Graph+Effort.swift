internal import Engine

extension Graph {
  /// Whether running it takes moments, so that a fuzzer may.
  func takesMoments() throws(EngineError) -> Bool {
    let numbers = try shapes().values.reduce(0) { $0 + $1.countPerImage }
    let parameters = try requiredTensors().reduce(0) { $0 + $1.extents.reduce(1, *) }
    return numbers < 1 << 18 && numbers * (parameters + 1) < 1 << 26
  }
}
