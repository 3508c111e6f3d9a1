import HostileSubjects
import TestSupport
import Testing

/// Replays the inputs of `Fuzz/Corpus`: cases that fuzzers and damaged files gave, the smallest of their kind.
@Suite(.timeLimit(.minutes(15))) struct CorpusTests {
  /// The folder beside the tests' own.
  private static let corpus = String(#filePath.dropLast("Tests/HostileTests/CorpusTests.swift".count)) + "Fuzz/Corpus/"

  @Test(arguments: Subjects.all.map(\.name)) func everyCaseEndsInAnAnswer(name: String) throws {
    let entry = try #require(Subjects.all.first { $0.name == name })
    let subject = entry.make()
    let cases = Files.names(in: Self.corpus + name)
    try #require(cases.count >= 5, "the corpus of \(name) is missing")
    var refused = 0
    for file in cases {
      let bytes = try #require(Files.read("\(Self.corpus)\(name)/\(file)"))
      let answer = bytes.withUnsafeBytes { subject.take($0) }
      let again = bytes.withUnsafeBytes { subject.take($0) }
      #expect(answer == again, "\(name)/\(file) is answered differently the second time")
      guard let answer else { continue }
      refused += 1
      #expect(!answer.isEmpty && answer.utf8.count < 4096, "\(name)/\(file): \(answer)")
      #expect(!answer.contains { $0.isNewline } || name == "configuration", "\(name)/\(file): \(answer)")
    }
    #expect(refused > 0, "no case of \(name) was refused")
  }

  /// The daemon and the tool print these as they are, so each has to say which file and where in it.
  @Test(arguments: [
    ("weights", "/proc/self/fd/"), ("checkpoint", "/proc/self/fd/"), ("ledger", "/dev/shm/"), ("onnx", "/dev/shm/"),
    ("script", "/proc/self/fd/"),
  ])
  func aRefusalNamesItsFile(name: String, folder: String) throws {
    let entry = try #require(Subjects.all.first { $0.name == name })
    let subject = entry.make()
    for file in Files.names(in: Self.corpus + name) {
      let bytes = try #require(Files.read("\(Self.corpus)\(name)/\(file)"))
      guard let answer = bytes.withUnsafeBytes({ subject.take($0) }) else { continue }
      // What contradicts itself inside a sound file is told by its node, tensor or key.
      let isInside = ["node '", "tensor '", "the graph: ", "preprocessing, key "].contains { answer.hasPrefix($0) }
      #expect(answer.contains(folder) || isInside, "\(name)/\(file): \(answer)")
    }
  }
}
