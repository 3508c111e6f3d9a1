// lookoutd: the daemon. Everything is in Service; here stand the command line and the exit statuses.

internal import Engine
internal import Glibc
internal import Platform
internal import Service

let startedAt = Clock.monotonicNanoseconds()
MatrixLibrary.nameKernels()
let usage = """
  usage: lookoutd [--config FILE] [--check]
         lookoutd --version | --help

    --config FILE  the configuration (default /etc/lookout/lookout.toml)
    --check        check configuration, models and plugins, and exit
    --version      print the version and exit

  exit: 0 ended well, 64 wrong command line, 75 stopped before all was delivered, 78 wrong configuration, 71 other
  """

/// Ends with the usage on standard error.
func refuse(_ reason: String) -> Never {
  let text = Array("lookoutd: \(reason)\n\(usage)\n".utf8)
  _ = text.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
  exit(EX_USAGE)
}

var configurationPath = "/etc/lookout/lookout.toml"
var isCheck = false
var arguments = CommandLine.arguments.dropFirst()
while let argument = arguments.popFirst() {
  switch argument {
  case "--config":
    guard let value = arguments.popFirst() else {
      refuse("--config wants a file")
    }
    configurationPath = value
  case "--check": isCheck = true
  case "--version":
    print("lookoutd \(Version.text)")
    exit(EX_OK)
  case "--help":
    print(usage)
    exit(EX_OK)
  default:
    refuse("unknown argument \(argument)")
  }
}

SignalSet.block()
Memory.limitArenas()
let hostPath = Installation.sinkHostPath

do {
  if isCheck {
    for line in try ConfigurationCheck.run(configurationPath: configurationPath, hostPath: hostPath) { print(line) }
    exit(EX_OK)
  }
  let daemon = try Daemon(configurationPath: configurationPath, hostPath: hostPath, startedAt: startedAt)
  exit(daemon.serve())
} catch {
  let isConfigurationFault = error is ConfigurationError || (error as? ServiceError)?.isConfigurationFault ?? false
  for line in "\(error)".split(separator: "\n") { Journal.log(.critical, String(line), id: .startFailed) }
  exit(isConfigurationFault ? EX_CONFIG : EX_OSERR)
}
