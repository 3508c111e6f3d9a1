/// Comma-separated records as RFC 4180 has them.
enum CSV {
  static func records(_ text: String, _ path: String) throws(TrainingError) -> [(line: Int, fields: [String])] {
    var records: [(line: Int, fields: [String])] = []
    var (line, start) = (1, 1)
    var fields: [String] = []
    var field: [UInt8] = []
    var isQuoted = false
    var isBlank = true
    let bytes = Array(text.utf8)
    var index = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
    func end() {
      fields.append(String(decoding: field, as: UTF8.self))
      field = []
    }
    while index < bytes.count {
      let byte = bytes[index]
      index += 1
      if byte == UInt8(ascii: "\n") { line += 1 }
      if isQuoted {
        if byte != UInt8(ascii: "\"") {
          field.append(byte)
        } else if index < bytes.count, bytes[index] == byte {
          field.append(byte)
          index += 1
        } else {
          isQuoted = false
        }
        continue
      }
      switch byte {
      case UInt8(ascii: "\"") where field.isEmpty:
        isQuoted = true
        isBlank = false
      case UInt8(ascii: ","):
        end()
        isBlank = false
      case UInt8(ascii: "\r") where index < bytes.count && bytes[index] == UInt8(ascii: "\n"): continue
      case UInt8(ascii: "\n"):
        end()
        if !isBlank { records.append((start, fields)) }
        (fields, start, isBlank) = ([], line, true)
      default:
        field.append(byte)
        isBlank = false
      }
    }
    guard !isQuoted else { throw .dataset(path: path, place: "line \(start)", reason: "a quote is never closed") }
    if !isBlank {
      end()
      records.append((start, fields))
    }
    return records
  }
}
