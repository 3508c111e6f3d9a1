internal import FoundationEssentials

/// A key of any name, to see those that do not belong.
private struct AnyKey: CodingKey {
  var stringValue: String
  var intValue: Int? { nil }

  init(stringValue: String) { self.stringValue = stringValue }
  init?(intValue: Int) { nil }
}

extension Decoder {
  /// The keyed container, after a look that no key is unknown.
  fileprivate func strict<Key: CodingKey & CaseIterable>(_ type: Key.Type) throws -> KeyedDecodingContainer<Key> {
    let known = Key.allCases.map(\.stringValue)
    for key in try container(keyedBy: AnyKey.self).allKeys where !known.contains(key.stringValue) {
      let place = (codingPath.map(\.stringValue) + [key.stringValue]).joined(separator: ".")
      throw ImagingError.preprocessing(
        key: place, reason: "unknown; allowed are \(known.joined(separator: ", "))")
    }
    return try container(keyedBy: type)
  }
}

extension Preprocessing.Extent: Codable {
  private enum CodingKeys: String, CodingKey, CaseIterable { case height, width }

  package init(from decoder: any Decoder) throws {
    let values = try decoder.strict(CodingKeys.self)
    self.init(height: try values.decode(Int.self, forKey: .height), width: try values.decode(Int.self, forKey: .width))
  }

  package func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(height, forKey: .height)
    try values.encode(width, forKey: .width)
  }
}

private struct CropRule: Codable {
  var ratio: Double

  private enum CodingKeys: String, CodingKey, CaseIterable { case ratio }

  init(ratio: Double) { self.ratio = ratio }

  init(from decoder: any Decoder) throws {
    ratio = try decoder.strict(CodingKeys.self).decode(Double.self, forKey: .ratio)
  }
}

private struct ResizeRule: Codable {
  enum Mode: String, Codable { case exact, shortSide = "short_side", pad }

  var mode: Mode
  var height: Int?
  var width: Int?
  var size: Int?
  var filter: ResampleFilter

  private enum CodingKeys: String, CodingKey, CaseIterable { case mode, height, width, size, filter }

  init(_ resize: Preprocessing.Resize, _ filter: ResampleFilter) {
    self.filter = filter
    switch resize {
    case .exact(let extent): (mode, height, width) = (.exact, extent.height, extent.width)
    case .pad(let extent): (mode, height, width) = (.pad, extent.height, extent.width)
    case .shortSide(let side): (mode, size) = (.shortSide, side)
    }
  }

  init(from decoder: any Decoder) throws {
    let values = try decoder.strict(CodingKeys.self)
    mode = try values.decode(Mode.self, forKey: .mode)
    filter = try values.decode(ResampleFilter.self, forKey: .filter)
    if mode == .shortSide {
      size = try values.decode(Int.self, forKey: .size)
      for key in [CodingKeys.height, .width] where values.contains(key) {
        throw ImagingError.preprocessing(key: "resize.\(key.rawValue)", reason: "not allowed with mode short_side")
      }
    } else {
      height = try values.decode(Int.self, forKey: .height)
      width = try values.decode(Int.self, forKey: .width)
      if values.contains(.size) {
        throw ImagingError.preprocessing(key: "resize.size", reason: "only allowed with mode short_side")
      }
    }
  }

  var resize: Preprocessing.Resize {
    switch mode {
    case .exact: .exact(.init(height: height ?? 0, width: width ?? 0))
    case .pad: .pad(.init(height: height ?? 0, width: width ?? 0))
    case .shortSide: .shortSide(size ?? 0)
    }
  }
}

extension Preprocessing: Codable {
  private enum CodingKeys: String, CodingKey, CaseIterable {
    case crop, resize
    case centerCrop = "center_crop"
    case channels, scale, mean, std
  }

  package init(from decoder: any Decoder) throws {
    let values = try decoder.strict(CodingKeys.self)
    let rule = try values.decode(ResizeRule.self, forKey: .resize)
    try self.init(
      cropRatio: try values.decodeIfPresent(CropRule.self, forKey: .crop)?.ratio,
      resize: rule.resize, filter: rule.filter,
      centerCrop: try values.decodeIfPresent(Extent.self, forKey: .centerCrop),
      channels: try values.decode(Channels.self, forKey: .channels),
      scale: try values.decode(Double.self, forKey: .scale),
      mean: try values.decode([Double].self, forKey: .mean), std: try values.decode([Double].self, forKey: .std))
  }

  package func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(cropRatio.map(CropRule.init(ratio:)), forKey: .crop)
    try values.encode(ResizeRule(resize, filter), forKey: .resize)
    try values.encode(centerCrop, forKey: .centerCrop)
    try values.encode(channels, forKey: .channels)
    try values.encode(scale, forKey: .scale)
    try values.encode(mean, forKey: .mean)
    try values.encode(std, forKey: .std)
  }

  /// Reads the JSON of a weights file's `preprocessing`.
  /// - Throws: `ImagingError.preprocessing` naming the key: the model's file must be made anew.
  package init(json: String) throws(ImagingError) {
    do {
      self = try JSONDecoder().decode(Preprocessing.self, from: Data(json.utf8))
    } catch let error as ImagingError {
      throw error
    } catch let error as DecodingError {
      throw Self.told(error)
    } catch {
      throw .preprocessing(key: "", reason: "\(error)")
    }
  }

  /// The JSON of a weights file's `preprocessing`, keys sorted.
  package func json() throws(ImagingError) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
      return String(decoding: try encoder.encode(self), as: UTF8.self)
    } catch {
      throw .preprocessing(key: "", reason: "\(error)")
    }
  }

  private static func told(_ error: DecodingError) -> ImagingError {
    func place(_ path: [any CodingKey]) -> String {
      path.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: ".")
    }
    return switch error {
    case .keyNotFound(let key, let context):
      .preprocessing(key: place(context.codingPath + [key]), reason: "missing")
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
      .preprocessing(key: place(context.codingPath), reason: context.debugDescription)
    @unknown default: .preprocessing(key: "", reason: "\(error)")
    }
  }
}
