internal import CMicroHTTPD
internal import Platform

/// One request while it comes in, and what will be answered; the server's thread only.
final class Exchange {
  var request: Request
  let reply: Reply
  let limits: Limits
  /// Monotonic nanoseconds.
  let began = Clock.monotonicNanoseconds()
  /// What the head or the body was refused with; the rest of the body is read and dropped.
  var refusal: Response?
  var isHandedOver = false
  /// Bytes of the body that came, kept or not.
  private(set) var received = 0
  /// Bytes of the body that are held in memory.
  private(set) var held = 0
  private(set) var isMalformed = false
  private var form: OpaquePointer?

  init(request: Request, reply: Reply, limits: Limits) {
    self.request = request
    self.reply = reply
    self.limits = limits
  }

  deinit {
    if let form { MHD_destroy_post_processor(form) }
  }

  /// Begins to take the body apart if it is a form.
  func expectForm(_ connection: OpaquePointer) {
    guard request.mediaType == "multipart/form-data" else { return }
    form = MHD_create_post_processor(
      connection, 16 << 10,
      { context, _, key, fileName, contentType, _, data, offset, count in
        guard let context else { return .NO }
        let exchange = Unmanaged<Exchange>.fromOpaque(context).takeUnretainedValue()
        return exchange.takePart(
          name: key.map { String(cString: $0) } ?? "", fileName: fileName.map { String(cString: $0) },
          contentType: contentType.map { String(cString: $0) }, UnsafeRawBufferPointer(start: data, count: count),
          at: offset) ? .YES : .NO
      }, Unmanaged.passUnretained(self).toOpaque())
    if form == nil { isMalformed = true }
  }

  private func takePart(
    name: String, fileName: String?, contentType: String?, _ bytes: UnsafeRawBufferPointer, at offset: UInt64
  ) -> Bool {
    // The library tells of a file before its first bytes too, both times at offset 0.
    let part = Request.Part(name: name, fileName: fileName, contentType: contentType, bytes: [])
    if offset == 0, request.parts.last != part {
      guard request.parts.count < limits.parts else { return false }
      request.parts.append(part)
    }
    guard !request.parts.isEmpty else { return false }
    request.parts[request.parts.count - 1].bytes.append(contentsOf: bytes)
    return true
  }

  /// Takes a piece of the body; `isKept` false drops it.
  func take(_ bytes: UnsafeRawBufferPointer, isKept: Bool) {
    received += bytes.count
    guard isKept else {
      release()
      return
    }
    held += bytes.count
    if let form {
      if MHD_post_process(form, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count) != .YES {
        isMalformed = true
      }
    } else {
      request.body.append(contentsOf: bytes)
    }
  }

  /// Gives the memory of the body back.
  func release() {
    request.body = []
    request.parts = []
    held = 0
  }

  /// The body is there whole: a form that ends early is malformed.
  func finishBody() {
    guard let ended = form else { return }
    form = nil
    if MHD_destroy_post_processor(ended) != .YES { isMalformed = true }
  }
}
