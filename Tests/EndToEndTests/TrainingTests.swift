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

  /// What the test at the end cannot read is told or ends the run, as the recipe has it.
  @Test func theTestKeepsToThePolicy() {
    let folder = pictures()
    scratch.folder("test")
    for label in ["one", "two"] {
      scratch.folder("test/\(label)")
      Files.write(TestPicture.bmp(number: 500, width: 28, height: 28), to: scratch("test/\(label)/0.bmp"))
    }
    Files.write(Array("no picture".utf8), to: scratch("test/two/1.bmp"))
    func ran(_ policy: String) -> Ran {
      lookout(
        "train", "--data.train", folder, "--data.test", scratch("test"), "--architecture", "lenet5", "--epochs", "1",
        "--folder", scratch(policy), "--unreadable", policy)
    }
    let skipped = ran("skip")
    #expect(skipped.status == 0 && skipped.output.contains("left out: \(scratch("test/two/1.bmp"))"), "\(skipped)")
    let stopped = ran("stop")
    #expect(stopped.status == 65 && stopped.errors.contains("1.bmp"), "\(stopped)")
  }

  /// Each class is answered with a probability of its own.
  @Test func severalLabelsFromTheFileToTheAnswer() {
    let folder = pictures()
    var text = "filename,labels\n"
    for number in 0..<20 {
      text += "one/\(number).bmp,\(number % 2 == 0 ? "even;small" : "small")\ntwo/\(number).bmp,\n"
    }
    Files.write(Array(text.utf8), to: "\(folder)/labels.csv")
    let trained = lookout(
      "train", "--data.train", "\(folder)/labels.csv", "--architecture", "lenet5", "--epochs", "2", "--loss",
      "binary_cross_entropy", "--folder", scratch("out"))
    #expect(trained.status == 0, "\(trained)")
    let evaluated = lookout("evaluate", scratch("out/model.swiftweights"), "\(folder)/labels.csv", "--json")
    #expect(evaluated.status == 0 && evaluated.output.contains("\"hamming_loss\""), "\(evaluated)")
    // Nothing has been learnt yet but how often each comes, so the answers do not add up to one.
    let answer = lookout("classify", "--model", scratch("out/model.swiftweights"), "\(folder)/two/0.bmp")
    let scores = answer.output.split(separator: " ").compactMap { Double($0.filter { $0 != "," && $0 != "\n" }) }
    #expect(scores.count == 2 && (scores.reduce(0, +) - 1).magnitude > 0.001, "\(answer)")
    let refused = lookout(
      "train", "--data.train", "\(folder)/labels.csv", "--architecture", "lenet5", "--folder", scratch("no"))
    #expect(refused.status == 64 && refused.errors.contains("binary_cross_entropy"), "\(refused)")
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
