internal import Engine

// The service's answers are read loosely: a member that is not there shows as nothing.
extension JSON {
  subscript(name: String) -> JSON? {
    guard case .object(let members) = value else { return nil }
    return members.first { $0.name == name }?.value
  }

  var asText: String? { if case .string(let text) = value { text } else { nil } }

  var flag: Bool { if case .bool(let flag) = value { flag } else { false } }

  var number: Double? { if case .number(let digits) = value { Double(digits) } else { nil } }

  var whole: Int { if case .number(let digits) = value { Int(digits) ?? 0 } else { 0 } }

  var items: [JSON] { if case .array(let items) = value { items } else { [] } }
}
