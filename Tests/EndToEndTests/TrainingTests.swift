import Glibc
import TestSupport
import Testing

/// `lookout train` as who sits before it sees it.
@Suite(.timeLimit(.minutes(10)))
struct TrainingTests {
  private let scratch = Scratch()
  private let digits =
    "\(#filePath.dropLast("EndToEndTests/TrainingTests.swift".count))TrainingTests/Fixtures/digits"

  /// What a training of one epoch shows on a terminal of so many columns.
  private func shown(columns: UInt16) throws -> String {
    let terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
    try #require(terminal >= 0)
    defer { close(terminal) }
    var size = winsize(ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
    try #require(ioctl(terminal, UInt(TIOCSWINSZ), &size) == 0)
    // TIOCSPTLCK and TIOCGPTN, which Swift does not see: let the other side be opened, and ask for its number.
    var (lock, number): (Int32, UInt32) = (0, 0)
    try #require(ioctl(terminal, 0x4004_5431, &lock) == 0 && ioctl(terminal, 0x8004_5430, &number) == 0)
    let words = [
      "\(DaemonProcess.products)/lookout", "train", "--data.train", digits, "--architecture", "lenet5", "--epochs", "1",
      "--batch_size", "4", "--folder", scratch("out"),
    ]
    let process = Program.start(words, environment: [], log: "/dev/pts/\(number)")
    var text: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = read(terminal, &chunk, chunk.count)
      guard count > 0 else { break }
      text += chunk[..<count]
    }
    var status: Int32?
    #expect(
      eventually {
        status = status ?? Program.reap(process)
        return status != nil
      })
    #expect(status == 0, "\(String(decoding: text, as: UTF8.self))")
    return String(decoding: text, as: UTF8.self)
  }

  /// The moving line fits into its row, or what is written over it leaves the rest of it there.
  @Test(arguments: [40, 200]) func theMovingLineFitsTheTerminal(columns: UInt16) throws {
    let clear = "\r\u{1B}[K"
    let lines = try shown(columns: columns).components(behind: clear).filter {
      $0.hasPrefix("epoch 1/1  ") && !$0.utf8.contains(10)
    }
    #expect(lines.count > 1)
    #expect(lines.allSatisfy { $0.count < Int(columns) }, "\(lines)")
    #expect(lines.contains { $0.contains("images/s") } == (columns == 200))
  }

  /// Two classes of pictures; every one of class `one` is the same if `isOne`, and none can be read if `isBroken`.
  private func pictures(isOne: Bool = false, isBroken: Bool = false) -> String {
    let folder = scratch.folder("pictures")
    for (index, label) in ["one", "two"].enumerated() {
      scratch.folder("pictures/\(label)")
      for number in 0..<20 {
        let picture = TestPicture.bmp(number: index * 100 + (isOne && index == 0 ? 0 : number), width: 28, height: 28)
        Files.write(isBroken ? Array("no picture".utf8) : picture, to: "\(folder)/\(label)/\(number).bmp")
      }
    }
    return folder
  }

  private func lookout(_ arguments: String...) -> Ran {
    Ran("\(DaemonProcess.products)/lookout", arguments, in: scratch)
  }

  @Test func aRunThatLearntNothingFails() {
    let ran = lookout(
      "train", "--data.train", pictures(isBroken: true), "--architecture", "lenet5", "--folder", scratch("out"))
    #expect(ran.status == 65 && ran.errors.contains("lookout dataset check"), "\(ran)")
    #expect(!Files.exists(scratch("out/model.swiftweights")))
  }

  /// Equal pictures that the run would learn and validate by are found before it, as those of two folders are.
  @Test func whatTheValidationRatioTearsApartIsALeak() {
    let folder = pictures(isOne: true)
    let ran = lookout("dataset", "check", folder)
    #expect(ran.status == 65 && ran.output.contains("1 leaks between parts"), "\(ran)")
    let whole = lookout("dataset", "check", folder, "--validation-ratio", "0")
    #expect(whole.status == 0 && whole.output.contains("1 harmless duplicates: sound"), "\(whole)")
    #expect(lookout("dataset", "check", folder, "--validation-ratio", "2").status == 64)
  }
}

extension String {
  /// The parts that stand behind a text, each up to the next.
  fileprivate func components(behind text: String) -> [String] {
    split(separator: text, omittingEmptySubsequences: false).dropFirst().map(String.init)
  }
}
