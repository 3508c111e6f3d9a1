/// The header of a safetensors file: which tensor lies where, and the free strings beside them.
///
/// A file is the header's length (8 bytes, little-endian), the header (a JSON object), and the tensors' bytes without
/// holes. Each entry of the table has been checked against the file's length, so its range can be read.
package struct TensorTable: Sendable {
  package struct Entry: Sendable {
    package let name: String
    package let type: ElementType
    /// In PyTorch's order; empty for a single number.
    package let extents: [Int]
    /// Bytes of the file.
    package let range: Range<Int>
  }

  /// Longest header that is looked at; a network of thousands of layers needs a tenth of it.
  package static let maximumHeaderBytes = 16 << 20
  static let metadataName = "__metadata__"

  /// In the order of their bytes.
  package let entries: [Entry]
  /// The strings of `__metadata__`; offsets count from the header's first byte.
  package let metadata: [JSON.Member]
  /// Where the tensors' bytes begin.
  package let dataStart: Int
  private let indices: [String: Int]

  package subscript(name: String) -> Entry? { indices[name].map { entries[$0] } }

  /// Reads and checks the table of a whole file.
  ///
  /// - Throws: `JSON.Fault` whose offset counts from the file's first byte.
  package init(file: UnsafeRawBufferPointer) throws(JSON.Fault) {
    guard file.count >= 8 else { throw JSON.Fault(offset: 0, reason: "too short for a safetensors file") }
    let length = UInt64(littleEndian: file.loadUnaligned(as: UInt64.self))
    guard length >= 2, length <= UInt64(TensorTable.maximumHeaderBytes) else {
      throw JSON.Fault(offset: 0, reason: "a header of \(length) bytes: no safetensors file")
    }
    guard Int(length) <= file.count - 8 else {
      throw JSON.Fault(offset: 0, reason: "a header of \(length) bytes in a file of \(file.count): cut short")
    }
    dataStart = 8 + Int(length)
    do throws(JSON.Fault) {
      let header = UnsafeRawBufferPointer(rebasing: file[8..<(8 + Int(length))])
      guard header[0] == UInt8(ascii: "{") else {
        throw JSON.Fault(offset: 0, reason: "the header must start with '{'")
      }
      let json = try JSON(parsing: header)
      (entries, metadata) = try TensorTable.read(json, dataStart: dataStart, fileCount: file.count)
    } catch {
      throw JSON.Fault(offset: 8 + error.offset, reason: error.reason)
    }
    var indices: [String: Int] = [:]
    for (index, entry) in entries.enumerated() { indices[entry.name] = index }
    self.indices = indices
  }

  private static func read(
    _ json: JSON, dataStart: Int, fileCount: Int
  ) throws(JSON.Fault) -> ([Entry], [JSON.Member]) {
    guard case .object(let members) = json.value else { throw JSON.Fault(offset: 0, reason: "no JSON object") }
    var placed: [(entry: Entry, offset: Int)] = []
    var metadata: [JSON.Member] = []
    for member in members {
      if member.name == metadataName {
        guard case .object(let strings) = member.value.value else {
          throw JSON.Fault(offset: member.value.offset, reason: "'\(metadataName)' must be an object of strings")
        }
        for string in strings { _ = try string.value.string("'\(string.name)' in '\(metadataName)'") }
        metadata = strings
      } else {
        placed.append((try entry(member, dataStart: dataStart, fileCount: fileCount), member.value.offset))
      }
    }
    placed.sort {
      ($0.entry.range.lowerBound, $0.entry.range.upperBound) < ($1.entry.range.lowerBound, $1.entry.range.upperBound)
    }
    var end = dataStart
    for (entry, offset) in placed {
      guard entry.range.lowerBound == end else {
        let what = entry.range.lowerBound < end ? "overlaps the tensor before it" : "leaves a hole before it"
        throw JSON.Fault(offset: offset, reason: "tensor '\(entry.name)' \(what)")
      }
      end = entry.range.upperBound
    }
    guard end == fileCount else {
      throw JSON.Fault(offset: end - 8, reason: "\(fileCount - end) bytes behind the last tensor")
    }
    return (placed.map(\.entry), metadata)
  }

  private static func entry(_ member: JSON.Member, dataStart: Int, fileCount: Int) throws(JSON.Fault) -> Entry {
    let what = "tensor '\(member.name)'"
    var fields = try member.value.fields(what)
    let typeValue = try fields.take("dtype")
    let typeName = try typeValue.string("the dtype of \(what)")
    guard let type = ElementType(rawValue: typeName) else {
      throw JSON.Fault(offset: typeValue.offset, reason: "\(what) has type \(typeName), which cannot be read")
    }
    let shape = try fields.take("shape")
    var extents: [Int] = []
    var byteCount = type.width
    for extent in try shape.elements("the shape of \(what)") {
      let number = try extent.integer("an extent of \(what)", in: 0...Int(Int32.max))
      let (product, overflow) = byteCount.multipliedReportingOverflow(by: number)
      guard !overflow, extents.count < 8 else { throw JSON.Fault(offset: shape.offset, reason: "\(what) is too large") }
      byteCount = product
      extents.append(number)
    }
    let offsets = try fields.take("data_offsets")
    try fields.finish()
    let bounds = try offsets.elements("the data_offsets of \(what)")
    guard bounds.count == 2 else { throw JSON.Fault(offset: offsets.offset, reason: "\(what) needs two data_offsets") }
    let dataCount = fileCount - dataStart
    let begin = try bounds[0].integer("the begin of \(what)", in: 0...dataCount)
    let end = try bounds[1].integer("the end of \(what)", in: 0...dataCount)
    guard begin <= end, end - begin == byteCount else {
      throw JSON.Fault(
        offset: offsets.offset, reason: "\(what) takes \(byteCount) bytes by its shape, \(end - begin) by its offsets")
    }
    return Entry(name: member.name, type: type, extents: extents, range: (dataStart + begin)..<(dataStart + end))
  }
}
