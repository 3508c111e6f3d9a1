internal import Glibc

let usage = """
  usage: lookout import WEIGHTS --architecture NAME [--input-size HxW] [--labels FILE] [--half] -o FILE.swiftweights
         lookout inspect FILE.swiftweights [--json]
         lookout classify PATH… [--model FILE] [--top K] [--json] [--full-decode]
         lookout bench [start] [latency] [memory] [--model FILE] [--photos FOLDER] [--count N] [--scratch FOLDER] [--json]
         lookout --help | --version

  import   reads a PyTorch state_dict (.pth, .pt) or .safetensors file and writes a weights file;
           labels stand one a line or in the column 'name' of a .csv; --half stores 16-bit floats
  inspect  checks a weights file whole and shows what is in it
  classify says what is in pictures and in folders of pictures, in the order given, the --top 5 classes of each;
           --json prints one record a line; --full-decode never decodes a JPEG at a reduced size;
           without --model it takes $LOOKOUT_MODEL, the installed default or models/default.swiftweights

  bench    measures this installation on this machine, everything or what is named; a daemon of its own works in a
           folder below --scratch (/tmp); photos are those of --photos (examples/photos)

  exit codes: 0 done, 64 wrong usage, 65 a damaged or foreign file or picture, 66 no such input, 73 output not written
  """

let words = Array(CommandLine.arguments.dropFirst())
do throws(Failure) {
  switch words.first {
  case "import": try ImportCommand.run(Array(words.dropFirst()))
  case "inspect": try InspectCommand.run(Array(words.dropFirst()))
  case "classify": try ClassifyCommand.run(Array(words.dropFirst()))
  case "bench": try BenchCommand.run(Array(words.dropFirst()))
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
