import Hashing
import Testing

private func digest(_ text: String, repeated: Int = 1) -> String {
  let hash = SHA256()
  let bytes = Array(text.utf8)
  for _ in 0..<repeated { bytes.withUnsafeBytes { hash.update($0) } }
  return hash.hexDigest()
}

/// The examples of FIPS 180-4.
@Suite(.timeLimit(.minutes(15)))
struct HashingTests {
  private static let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
  private static let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
  private static let million = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"

  @Test func hashesNothing() {
    #expect(SHA256().hexDigest() == Self.empty)
    #expect(SHA256.hexDigest(of: UnsafeRawBufferPointer(start: nil, count: 0)) == Self.empty)
  }

  @Test func hashesTheShortExample() {
    #expect(digest("abc") == Self.abc)
    #expect(Array("abc".utf8).withUnsafeBytes { SHA256.hexDigest(of: $0) } == Self.abc)
  }

  @Test func hashesTheExampleOfTwoBlocks() {
    #expect(
      digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")
        == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
  }

  @Test func hashesAMillionLetters() {
    let bytes = [UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000)
    #expect(bytes.withUnsafeBytes { SHA256.hexDigest(of: $0) } == Self.million)
  }

  @Test(arguments: [1, 63, 64, 65, 1000])
  func doesNotDependOnHowTheBytesAreCut(_ length: Int) {
    let bytes = [UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000)
    let hash = SHA256()
    bytes.withUnsafeBytes { all in
      for start in stride(from: 0, to: all.count, by: length) {
        hash.update(UnsafeRawBufferPointer(rebasing: all[start..<min(start + length, all.count)]))
      }
    }
    #expect(hash.hexDigest() == Self.million)
  }

  @Test func emptyUpdatesChangeNothing() {
    let hash = SHA256()
    hash.update(UnsafeRawBufferPointer(start: nil, count: 0))
    Array("abc".utf8).withUnsafeBytes { hash.update($0) }
    hash.update(UnsafeRawBufferPointer(start: nil, count: 0))
    #expect(hash.hexDigest() == Self.abc)
  }
}
