// lookout-faults: runs the fault suite; see docs/RELIABILITY.md.

internal import FaultSuite
internal import Glibc

let usage = """
  usage: lookout-faults [--short] [--report FILE] [SCENARIO…]
         lookout-faults --list | --help

    --short        the selection that `make test` runs, with small numbers
    --report FILE  write the figures into the table of this page
    --list         name the scenarios

  exit: 0 all passed or not possible here, 1 a promise was broken, 64 wrong command line
  """

var scale = Bench.Scale.full
var page: String?
var names: [String] = []
var words = CommandLine.arguments.dropFirst()
while let word = words.popFirst() {
  switch word {
  case "--short": scale = .short
  case "--report": page = words.popFirst()
  case "--help":
    print(usage)
    exit(0)
  case "--list":
    for scenario in Suite.scenarios { print("\(scenario.name): \(scenario.title)") }
    exit(0)
  default:
    guard Suite.scenarios.contains(where: { $0.name == word }) else {
      print("lookout-faults: there is no scenario '\(word)'\n\(usage)")
      exit(64)
    }
    names.append(word)
  }
}

let isRoot = geteuid() == 0
if isRoot, getenv("LOOKOUT_FAULTS_INSIDE") == nil {
  // In namespaces of its own, whatever becomes of this program, its mounts and processes go with it.
  setenv("LOOKOUT_FAULTS_INSIDE", "1", 1)
  let shell = #"trap 'exit 143' TERM INT; "$@" & wait $!"#
  let command =
    ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", shell, "sh"]
    + CommandLine.arguments
  var pointers = command.map { strdup($0) } + [nil]
  execvp("unshare", &pointers)
  print("lookout-faults: cannot run unshare(1): \(String(cString: strerror(errno)))")
  exit(71)
}

let reports = Suite.run(names, scale: scale, isRoot: isRoot)
if let page {
  do {
    try ReliabilityPage.update(page, with: reports)
  } catch {
    print("lookout-faults: \(error)")
    exit(73)
  }
}
let isBroken = reports.contains {
  if case .failed = $0.verdict { true } else { false }
}
exit(isBroken ? 1 : 0)
