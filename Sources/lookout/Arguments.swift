internal import Engine

/// A command's words, sorted into operands, options with a value and switches.
///
/// `--name value` and `--name=value` mean the same; `--` ends the options. An unknown option is an error.
struct Arguments {
  private(set) var operands: [String] = []
  private var values: [String: String] = [:]
  private var switches: Set<String> = []

  /// Sorts the words: `options` take a value, `switches` none; both are named with their dashes.
  ///
  /// - Throws: `Failure` for an unknown option or a missing value.
  init(_ words: [String], options: Set<String>, switches switchNames: Set<String>) throws(Failure) {
    var rest = words[...]
    while let word = rest.popFirst() {
      if word == "--" {
        operands += rest
        return
      }
      guard word.hasPrefix("-"), word != "-" else {
        operands.append(word)
        continue
      }
      let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      if switchNames.contains(word) {
        switches.insert(word)
      } else if options.contains(parts[0]) {
        guard let value = parts.count == 2 ? parts[1] : rest.popFirst() else {
          throw .usage("\(parts[0]) needs a value")
        }
        values[parts[0]] = value
      } else {
        throw .usage("unknown option \(parts[0])")
      }
    }
  }

  subscript(option: String) -> String? { values[option] }

  func has(_ name: String) -> Bool { switches.contains(name) }

  func required(_ option: String) throws(Failure) -> String {
    guard let value = values[option] else { throw .usage("\(option) is missing") }
    return value
  }
}

extension Arguments {
  /// What `--precision` says networks are to compute with.
  ///
  /// - Throws: `Failure` for an unknown word, and for bf16 on a processor that would compute in fp32 instead.
  func precision() throws(Failure) -> Precision {
    let word = self["--precision"] ?? Precision.automatic.rawValue
    guard let precision = Precision(rawValue: word) else {
      let known = Precision.allCases.map(\.rawValue).joined(separator: ", ")
      throw .usage("--precision is one of \(known), not '\(word)'")
    }
    guard precision != .bf16 || InstructionSet.best.hasBF16 else {
      throw .usage("this processor has no instructions for --precision bf16 and would compute in fp32")
    }
    return precision
  }
}

/// Why a command ends, with the exit code of sysexits.h that tells a script.
struct Failure: Error {
  let code: Int32
  let message: String
  /// What the service answered, if it was the service that refused.
  var body: [UInt8]?

  /// The command line makes no sense (64).
  static func usage(_ message: String) -> Failure { Failure(code: 64, message: message + "; see lookout --help") }
  /// An input file is not what it should be (65).
  static func data(_ message: String) -> Failure { Failure(code: 65, message: message) }
  /// An input file cannot be opened (66).
  static func input(_ message: String) -> Failure { Failure(code: 66, message: message) }
  /// The output cannot be written (73).
  static func output(_ message: String) -> Failure { Failure(code: 73, message: message) }
}
