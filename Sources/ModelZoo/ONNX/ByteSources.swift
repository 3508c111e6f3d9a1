internal import Engine

/// A mapped file from whose folder neighbours may be read.
struct MappedFile: ByteSource {
  private let mapping: MappedBytes
  private let neighbours = Neighbours()

  init(path: String) throws(ModelZooError) {
    do throws(EngineError) {
      mapping = try MappedBytes(path: path)
    } catch {
      if case .damaged(let path, let offset, let reason) = error {
        throw .damaged(path: path, offset: offset, reason: reason)
      }
      throw .engine(error)
    }
  }

  func withBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try mapping.withBytes(body)
  }

  func release(_ range: Range<Int>) { mapping.release(range) }

  /// Runs a reader and tells its faults with the file's name.
  func read<Result>(
    _ body: (UnsafeRawBufferPointer) throws(FormatFault) -> Result
  ) throws(ModelZooError) -> Result {
    do throws(FormatFault) {
      return try mapping.withBytes(body)
    } catch {
      throw error.error(path: mapping.path)
    }
  }

  func companion(_ entry: [String: String], offset: Int) throws(FormatFault) -> (any ByteSource, Range<Int>) {
    func fault(_ reason: String) -> FormatFault { FormatFault(offset: offset, reason: reason) }
    guard let location = entry["location"], !location.isEmpty else { throw fault("external data without a file name") }
    let parts = location.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.allSatisfy({ !$0.isEmpty && $0 != ".." && !$0.contains("\0") }) else {
      throw FormatFault(
        offset: offset, reason: "external data outside the model's folder: '\(location)'", isRefusal: true)
    }
    let folder = mapping.path.lastIndex(of: "/").map { String(mapping.path[...$0]) } ?? ""
    guard let file = neighbours.file(folder + location) else {
      throw fault("the weights' file '\(folder + location)' cannot be read; it belongs beside the model")
    }
    let start = entry["offset"].map { Int($0) ?? -1 } ?? 0
    let length = entry["length"].map { Int($0) ?? -1 } ?? file.count - start
    guard start >= 0, length >= 0, start <= file.count, length <= file.count - start else {
      throw fault("external data beyond the end of '\(location)'")
    }
    return (file, start..<(start + length))
  }
}

/// The mapped neighbours of a file, each mapped once.
private final class Neighbours: @unchecked Sendable {
  private var files: [String: NeighbourFile] = [:]

  func file(_ path: String) -> NeighbourFile? {
    if let file = files[path] { return file }
    guard let mapping = try? MappedBytes(path: path) else { return nil }
    files[path] = NeighbourFile(mapping: mapping)
    return files[path]
  }
}

/// A mapped file that names no others.
struct NeighbourFile: ByteSource {
  let mapping: MappedBytes

  var count: Int { mapping.count }

  func withBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try mapping.withBytes(body)
  }

  func release(_ range: Range<Int>) { mapping.release(range) }

  func companion(_ entry: [String: String], offset: Int) throws(FormatFault) -> (any ByteSource, Range<Int>) {
    throw FormatFault(offset: offset, reason: "external data of external data", isRefusal: true)
  }
}

/// Bytes in memory.
struct MemoryBytes: ByteSource {
  private let bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  func withBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let outcome: Swift.Result<Result, Failure> = bytes.withUnsafeBytes { memory in
      do throws(Failure) { return .success(try body(memory)) } catch { return .failure(error) }
    }
    return try outcome.get()
  }

  func release(_ range: Range<Int>) {}

  func companion(_ entry: [String: String], offset: Int) throws(FormatFault) -> (any ByteSource, Range<Int>) {
    throw FormatFault(offset: offset, reason: "external data, which bytes in memory cannot have", isRefusal: true)
  }
}
