/// The strings of a weights file's `__metadata__`, read.
extension WeightsFile {
  struct Texts {
    let digest: String
    /// The first of the digest's digits, counted from the file's start.
    let digestOffset: Int
    let graph: Graph
    let labels: [String]
    let preprocessing: String
    let canary: Canary?
    let provenance: String
    let quantization: Quantization?

    /// Reads the strings strictly.
    ///
    /// - Throws: `JSON.Fault` counted from the file's start; for a text inside a string, where that string begins.
    init(_ metadata: [JSON.Member]) throws(JSON.Fault) {
      guard !metadata.isEmpty else {
        throw JSON.Fault(
          offset: 8, reason: "a safetensors file without Lookout's metadata: make one with 'lookout import'")
      }
      do throws(JSON.Fault) {
        var fields = try JSON(.object(metadata)).fields("the metadata")
        try Texts.expect(WeightsFile.format, in: fields.take("format"), as: "format")
        try Texts.expect(WeightsFile.version, in: fields.take("version"), as: "version")
        let digestValue = try fields.take("digest")
        digest = try digestValue.string("the digest")
        guard digest.utf8.count == 64,
          digest.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
        else {
          throw JSON.Fault(offset: digestValue.offset, reason: "the digest must be 64 lower-case hexadecimal digits")
        }
        digestOffset = 8 + digestValue.offset + 1
        graph = try Texts.inside(fields.take("graph"), "graph") { text throws(JSON.Fault) in
          do throws(EngineError) {
            return try Graph(json: text)
          } catch {
            throw JSON.Fault(offset: 0, reason: "\(error)")
          }
        }
        labels = try Texts.inside(fields.take("labels"), "labels") { text throws(JSON.Fault) in
          var labels: [String] = []
          for label in try JSON(parsing: text).elements("labels") { labels.append(try label.string("a label")) }
          return labels
        }
        preprocessing = try Texts.inside(fields.take("preprocessing"), "preprocessing") { text throws(JSON.Fault) in
          _ = try JSON(parsing: text).fields("preprocessing")
          return text
        }
        canary = try Texts.inside(fields.take("canary"), "canary") { text throws(JSON.Fault) in
          let json = try JSON(parsing: text)
          if case .null = json.value { return nil }
          return try Canary(json: json)
        }
        provenance = try fields.take("provenance").string("provenance")
        quantization =
          if let value = fields.takeIfPresent("quantization") {
            try Texts.inside(value, "quantization") { text throws(JSON.Fault) in
              try Quantization(json: JSON(parsing: text))
            }
          } else {
            nil
          }
        try fields.finish()
      } catch {
        throw JSON.Fault(offset: 8 + error.offset, reason: error.reason)
      }
    }

    private static func expect(_ text: String, in value: JSON, as name: String) throws(JSON.Fault) {
      let found = try value.string(name)
      guard found == text else {
        throw JSON.Fault(offset: value.offset, reason: "\(name) is '\(found)', this program reads '\(text)'")
      }
    }

    private static func inside<Result>(
      _ value: JSON, _ name: String, read: (String) throws(JSON.Fault) -> Result
    ) throws(JSON.Fault) -> Result {
      let text = try value.string(name)
      do throws(JSON.Fault) {
        return try read(text)
      } catch {
        throw JSON.Fault(offset: value.offset, reason: "\(name): \(error.reason) (byte \(error.offset) of that text)")
      }
    }
  }
}
