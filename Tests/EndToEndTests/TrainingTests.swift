import Glibc
import TestSupport
import Testing

/// `lookout train` as who sits before it sees it.
@Suite(.timeLimit(.minutes(10)))
struct TrainingTests {
  private let scratch = Scratch()
  private let digits =
    "\(#filePath.dropLast("EndToEndTests/TrainingTests.swift".count))TrainingTests/Fixtures/digits"

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
}

extension String {
  /// The parts that stand behind a text, each up to the next.
  fileprivate func components(behind text: String) -> [String] {
    split(separator: text, omittingEmptySubsequences: false).dropFirst().map(String.init)
  }
}
