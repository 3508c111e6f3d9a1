internal import CCrypto

/// A running SHA-256 (FIPS 180-4), computed by libcrypto with the processor's SHA instructions where it has them.
///
/// One owner, one thread at a time.
package struct SHA256: ~Copyable {
  private let context: UnsafeMutablePointer<SHA256_CTX>

  package init() {
    context = .allocate(capacity: 1)
    precondition(SHA256_Init(context) == 1, "SHA256_Init failed")
  }

  deinit { context.deallocate() }

  /// Adds bytes to what is hashed (`SHA256_Update`).
  package func update(_ bytes: UnsafeRawBufferPointer) {
    precondition(SHA256_Update(context, bytes.baseAddress, bytes.count) == 1, "SHA256_Update failed")
  }

  /// Ends the hash and gives it as 64 lower-case hexadecimal digits.
  package consuming func hexDigest() -> String {
    var digest = [UInt8](repeating: 0, count: 32)
    precondition(SHA256_Final(&digest, context) == 1, "SHA256_Final failed")
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    text.reserveCapacity(64)
    for byte in digest {
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// The hash of bytes that lie together in memory.
  package static func hexDigest(of bytes: UnsafeRawBufferPointer) -> String {
    let hash = Self()
    hash.update(bytes)
    return hash.hexDigest()
  }
}
