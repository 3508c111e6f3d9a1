// The body of the KServe V2 protocol's `infer`, with the binary tensor data extension: a JSON head, and behind it the
// tensors that are not in it, as the header `Inference-Header-Content-Length` divides them. Pure; never traps on input.

internal import Engine

/// What somebody wants inferred, checked against the model.
package struct InferenceRequest: Sendable {
  /// Why a body is refused; the text is for its sender.
  package struct Fault: Error, Equatable {
    package let reason: String
  }

  /// Names of the one input and the one output of every model.
  static let inputName = "input"
  static let outputName = "output"
  /// The longest JSON head in bytes; larger tensors go behind it.
  static let headLimit = 8 << 20
  /// The most images of one request.
  static let imageLimit = 256

  /// Sent back as it came.
  package var id: String?
  /// One image each, C, H, W.
  package var images: [[Float]]
  /// Whether the answer's tensor goes behind its JSON.
  package var isBinaryOutput: Bool

  /// Reads a body.
  ///
  /// `headLength`: the value of the header that divides it, nil if it is JSON as a whole. `shape`: the model's C, H, W.
  package init(body: [UInt8], headLength: String?, shape: [Int]) throws(Fault) {
    var length = body.count
    if let headLength {
      guard headLength.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let given = Int(headLength), given <= body.count
      else { throw Fault(reason: "Inference-Header-Content-Length is no length inside the body") }
      length = given
    }
    guard length <= Self.headLimit else {
      throw Fault(reason: "the JSON part is larger than \(Self.headLimit) bytes; send tensors as binary data")
    }
    let head: JSON
    do throws(JSON.Fault) {
      head = try JSON(parsing: String(decoding: body[..<length], as: UTF8.self))
    } catch {
      throw Fault(reason: "JSON, byte \(error.offset): \(error.reason)")
    }
    do throws(JSON.Fault) {
      let head = try Head(head)
      id = head.id
      isBinaryOutput = head.isBinaryOutput
      images = try Self.images(of: head.input, behind: body[length...], shape: shape)
    } catch {
      throw Fault(reason: error.reason)
    }
  }

  /// The members that Lookout knows; others, which the protocol allows, are passed over.
  private struct Head {
    var id: String?
    var isBinaryOutput = false
    var input: Input

    init(_ json: JSON) throws(JSON.Fault) {
      var fields = try json.fields("the request")
      id = try fields.takeIfPresent("id").map { (id) throws(JSON.Fault) in try id.string("id") }
      if let parameters = fields.takeIfPresent("parameters") {
        var parameters = try parameters.fields("parameters")
        if let flag = parameters.takeIfPresent("binary_data_output") {
          isBinaryOutput = try flag.bool("binary_data_output")
        }
      }
      let inputs = try fields.take("inputs").elements("inputs")
      guard inputs.count == 1 else {
        throw JSON.Fault(offset: 0, reason: "there must be one input, \"\(InferenceRequest.inputName)\"")
      }
      input = try Input(inputs[0])
      for output in try fields.takeIfPresent("outputs")?.elements("outputs") ?? [] {
        var output = try output.fields("an output")
        let name = try output.take("name").string("an output's name")
        guard name == InferenceRequest.outputName else {
          throw JSON.Fault(
            offset: 0, reason: "there is no output \"\(name)\"; there is \"\(InferenceRequest.outputName)\"")
        }
        guard let parameters = output.takeIfPresent("parameters") else { continue }
        var read = try parameters.fields("parameters")
        if read.takeIfPresent("classification") != nil {
          throw JSON.Fault(offset: 0, reason: "classification is no extension of this server; see /v1/classify")
        }
        if let flag = read.takeIfPresent("binary_data") { isBinaryOutput = try flag.bool("binary_data") }
      }
    }
  }

  private struct Input {
    var shape: [Int]
    var data: JSON?
    var binarySize: Int?

    init(_ json: JSON) throws(JSON.Fault) {
      var fields = try json.fields("an input")
      let name = try fields.take("name").string("an input's name")
      guard name == InferenceRequest.inputName else {
        throw JSON.Fault(offset: 0, reason: "there is no input \"\(name)\"; there is \"\(InferenceRequest.inputName)\"")
      }
      let type = try fields.take("datatype").string("datatype")
      guard type == "FP32" else { throw JSON.Fault(offset: 0, reason: "datatype must be FP32, not \(type)") }
      shape = []
      for extent in try fields.take("shape").elements("shape") {
        shape.append(try extent.integer("an extent", in: 1...1_000_000))
      }
      data = fields.takeIfPresent("data")
      if let parameters = fields.takeIfPresent("parameters") {
        var parameters = try parameters.fields("parameters")
        binarySize = try parameters.takeIfPresent("binary_data_size").map { (size) throws(JSON.Fault) in
          try size.integer("binary_data_size", in: 0...(1 << 40))
        }
      }
    }
  }

  private static func images(
    of input: Input, behind bytes: ArraySlice<UInt8>, shape: [Int]
  ) throws(JSON.Fault) -> [[Float]] {
    guard input.shape.count == 4, Array(input.shape.dropFirst()) == shape, input.shape[0] <= imageLimit else {
      throw JSON.Fault(
        offset: 0,
        reason: "shape must be [N, \(shape.map(String.init).joined(separator: ", "))], N at most \(imageLimit)")
    }
    let perImage = shape.reduce(1, *)
    let count = input.shape[0] * perImage
    var numbers: [Float] = []
    if let size = input.binarySize {
      guard size == count * 4, bytes.count == size else {
        throw JSON.Fault(
          offset: 0,
          reason: "\(count) numbers are \(count * 4) bytes; binary_data_size says \(size), \(bytes.count) came")
      }
      numbers = bytes.withUnsafeBytes { raw in
        (0..<count).map { index in
          let bits = raw.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self)
          return Float(bitPattern: UInt32(littleEndian: bits))
        }
      }
    } else if let data = input.data {
      numbers.reserveCapacity(count)
      try flatten(data, into: &numbers, atMost: count)
    } else {
      throw JSON.Fault(offset: 0, reason: "the input has neither data nor binary_data_size")
    }
    guard numbers.count == count else {
      throw JSON.Fault(offset: 0, reason: "shape wants \(count) numbers, data has \(numbers.count)")
    }
    return stride(from: 0, to: count, by: perImage).map { Array(numbers[$0..<$0 + perImage]) }
  }

  /// Nested arrays or a flat one, in row-major order; the parser bounds the nesting.
  private static func flatten(_ json: JSON, into numbers: inout [Float], atMost limit: Int) throws(JSON.Fault) {
    if case .array(let elements) = json.value {
      for element in elements { try flatten(element, into: &numbers, atMost: limit) }
      return
    }
    guard numbers.count < limit else {
      throw JSON.Fault(offset: json.offset, reason: "data has more than \(limit) numbers")
    }
    numbers.append(try json.float("a number"))
  }
}
