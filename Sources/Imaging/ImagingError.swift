/// Why a picture, or the description of how to prepare pictures, cannot be used.
///
/// All cases but `preprocessing` speak of one picture: reject it and go on with the next. Only `truncated` may heal
/// by itself, when the file is still being written; the others stay as they are until the file changes.
package enum ImagingError: Error, Equatable {
  /// The bytes begin as no format that is decoded here; `start` holds the first of them in hexadecimal.
  case unreadableFormat(start: String)
  /// The bytes end before the picture does: wait and read again, or send the file anew.
  case truncated(format: ImageFormat)
  /// The bytes break the format's rules: the file must be made anew.
  case corrupt(format: ImageFormat, reason: String)
  /// The header or the decoder asks for more than `ImageLimits` allow; nothing was allocated for it.
  case limitExceeded(what: String, value: Int, limit: Int)
  /// A sound picture of a kind that is not decoded; save it in a usual kind.
  case unsupported(format: ImageFormat, reason: String)
  /// A model's `preprocessing` is unusable; `key` names the place in its JSON.
  case preprocessing(key: String, reason: String)
}

extension ImagingError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .unreadableFormat(let start):
      start.isEmpty ? "the file is empty" : "not a JPEG, PNG or BMP picture (begins with \(start))"
    case .truncated(let format): "the \(format) data ends before the picture does"
    case .corrupt(let format, let reason): "damaged \(format): \(reason)"
    case .limitExceeded(let what, let value, let limit): "\(what) is \(value), the limit is \(limit)"
    case .unsupported(let format, let reason): "unsupported kind of \(format): \(reason)"
    case .preprocessing(let key, let reason): "preprocessing, key \"\(key)\": \(reason)"
    }
  }
}
