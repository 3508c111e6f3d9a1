internal import Glibc

let usage = """
  usage: lookout import WEIGHTS --architecture NAME [--labels FILE] [--half] -o FILE.swiftweights
         lookout inspect FILE.swiftweights [--json]
         lookout --help | --version

  import   reads a PyTorch state_dict (.pth, .pt) or .safetensors file and writes a weights file;
           labels stand one a line or in the column 'name' of a .csv; --half stores 16-bit floats
  inspect  checks a weights file whole and shows what is in it

  exit codes: 0 done, 64 wrong usage, 65 a damaged or foreign file, 66 no such input, 73 output not written
  """

let words = Array(CommandLine.arguments.dropFirst())
do throws(Failure) {
  switch words.first {
  case "import": try ImportCommand.run(Array(words.dropFirst()))
  case "inspect": try InspectCommand.run(Array(words.dropFirst()))
  case "--help", "-h": print(usage)
  case "--version": print("lookout 0.1.0")
  case let word?: throw .usage("unknown command '\(word)'")
  case nil: throw .usage("a command is missing")
  }
} catch {
  let line = Array("lookout: \(error.message)\n".utf8)
  _ = write(STDERR_FILENO, line, line.count)
  exit(error.code)
}
