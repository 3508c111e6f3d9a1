internal import Engine
internal import Glibc
internal import Platform
internal import Synchronization

/// `lookout classify`: what is in pictures, without a daemon.
enum ClassifyCommand {
  static func run(_ words: [String]) throws(Failure) {
    let arguments = try Arguments(
      words, options: ["--model", "--top", "--precision"], switches: ["--json", "--full-decode"])
    guard !arguments.operands.isEmpty else { throw .usage("classify takes pictures or folders") }
    guard let topK = Int(arguments["--top"] ?? "5"), (1...1000).contains(topK) else {
      throw .usage("--top takes a number from 1 to 1000")
    }
    let precision = try arguments.precision()
    let files = try PictureList.files(of: arguments.operands)
    let model = try PictureModel(path: modelPath(arguments["--model"]), precision: precision)
    let isFullDecode = arguments.has("--full-decode")
    let isJSON = arguments.has("--json")

    let next = Atomic(0)
    let answers = BoundedQueue<Answered>(capacity: 64)
    // A picture for each processor, or all processors for the only one.
    let lanes = files.count == 1 ? LaneGroup.processors() : .alone
    let threads = (0..<min(Processors.count, files.count)).map { number in
      OwnedThread(name: "classify-\(number)") {
        work(files, from: next, to: answers) { () throws(EngineError) in
          try PictureClassifier(model: model, topK: topK, isFullDecode: isFullDecode, lanes: lanes)
        }
      }
    }
    var failed = 0
    do throws(PlatformError) {
      failed = try printInOrder(answers, count: files.count) { answer in
        isJSON ? answer.json(model: model.name, digest: model.digest) : Array(answer.text.utf8)
      }
    } catch {
      throw .output("the answers cannot be written: \(error)")
    }
    for thread in threads { thread.join() }
    if failed > 0 { throw .data("\(failed) of \(files.count) pictures failed") }
  }

  /// An answer and its picture's place in the input.
  private struct Answered: Sendable {
    let place: Int
    let answer: PictureAnswer
  }

  /// A thread's life: takes the next picture until there is none.
  private static func work(
    _ files: [Path], from next: borrowing Atomic<Int>, to answers: BoundedQueue<Answered>,
    _ make: () throws(EngineError) -> PictureClassifier
  ) {
    var classifier: PictureClassifier?
    var fault = ""
    do throws(EngineError) {
      classifier = try make()
    } catch {
      fault = "the engine refused: \(error)"
    }
    while true {
      let place = next.wrappingAdd(1, ordering: .relaxed).oldValue
      guard place < files.count else { return }
      var answer = PictureAnswer(path: files[place])
      answer.error = fault
      guard answers.put(Answered(place: place, answer: classifier?.answer(files[place]) ?? answer)) else { return }
    }
  }

  /// Prints the answers in the order of the input as soon as they are there; gives how many pictures failed.
  private static func printInOrder(
    _ answers: BoundedQueue<Answered>, count: Int, line: (PictureAnswer) -> [UInt8]
  ) throws(PlatformError) -> Int {
    let output = FileDescriptor(owning: dup(STDOUT_FILENO))
    let showsProgress = isatty(STDERR_FILENO) == 1 && isatty(STDOUT_FILENO) == 0
    var early: [Int: PictureAnswer] = [:]
    var failed = 0
    var printed = 0
    while printed < count, let answered = answers.take() {
      early[answered.place] = answered.answer
      while let answer = early.removeValue(forKey: printed) {
        try output.writeAll(line(answer) + [0x0A])
        printed += 1
        if answer.error != nil { failed += 1 }
      }
      if showsProgress { say("\r\(printed) of \(count)") }
    }
    if showsProgress { say("\r\u{1B}[K") }
    return failed
  }

  private static func say(_ text: String) {
    let bytes = Array(text.utf8)
    _ = write(STDERR_FILENO, bytes, bytes.count)
  }

  /// `--model`, else `$LOOKOUT_MODEL`, else the installed default, else that of the current folder.
  static func modelPath(_ option: String?) -> String {
    if let option { return option }
    if let variable = getenv("LOOKOUT_MODEL"), variable.pointee != 0 { return String(cString: variable) }
    let installed = "/usr/share/lookout/models/default.swiftweights"
    return access(installed, F_OK) == 0 ? installed : "models/default.swiftweights"
  }
}
