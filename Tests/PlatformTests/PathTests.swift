import Platform
import Testing

/// Paths are shown so that no name can write to a terminal.
@Suite(.timeLimit(.minutes(15))) struct PathTests {
  @Test(arguments: [
    (Array("größe 画.jpg".utf8), "größe 画.jpg"),
    (Array("a\nb\u{1B}[2J\u{7F}".utf8), "a\\x0ab\\x1b[2J\\x7f"),
    ([0x61, 0xFF, 0xC3, 0x62], "a\\xff\\xc3b"),
    (Array("a\u{9B}2J".utf8), "a\\xc2\\x9b2J"),
    (Array("gpj\u{202E}.exe".utf8), "gpj\\xe2\\x80\\xae.exe"),
    (Array("a\u{2028}b".utf8), "a\\xe2\\x80\\xa8b"),
  ])
  func whatATerminalWouldObeyIsEscaped(bytes: [UInt8], shown: String) {
    #expect(Path(bytes).displayed == shown)
  }
}
