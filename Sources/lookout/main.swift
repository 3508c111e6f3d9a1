internal import Engine
internal import Glibc

let usage = """
  usage: lookout import MODEL [--architecture NAME] [--input-size HxW] [--output NAME] [--labels FILE] [--half]
                 [--preset NAME] [--resize S] [--crop S] [--crop-ratio R] [--filter NAME] [--channel-order RGB|BGR|L]
                 [--scale X] [--mean A,B,C] [--std A,B,C] -o FILE.swiftweights
         lookout export MODEL [--architecture NAME] [--input-size HxW] -o FILE.onnx|FILE.safetensors|FILE.pth
         lookout verify MODEL --against MODEL|VECTORS.safetensors [--photos PATH] [--tolerance X] [--json]
         lookout quantize FILE.swiftweights --calibrate FOLDER [--method minmax|percentile|entropy|auto]
                 [--percentile P] [--photos N] [--no-equalize] [--json] -o FILE.swiftweights
         lookout inspect FILE.swiftweights [--json]
         lookout classify PATH… [--model FILE] [--precision auto|fp32|bf16|int8] [--top K] [--json] [--full-decode]
         lookout bench [machine] [engine] [decode] [pipeline] [start] [latency] [memory] [--model FILE,…]
                       [--precision auto|fp32|bf16|int8] [--photos FOLDER,…] [--batch N,…] [--threads N,…] [--seconds S]
                       [--rounds N] [--count N] [--scratch FOLDER] [--json]
         lookout bench training [NETWORK]… [--batch N] [--threads N] [--count N] [--json]
         lookout status [--once] | explain FILE | doctor | reload | pause | resume | drain [--timeout S] | redrive [SINK]
         lookout quarantine list | quarantine release ID…
         lookout plugin list | plugin new NAME [--language swift|c] | plugin test FILE.so
         lookout train [RECIPE.toml] [--KEY VALUE]…
         lookout evaluate MODEL.swiftweights DATA [--part test|validation|train] [--images FOLDER] [--report FILE] [--html FILE] [--json]
         lookout dataset check DATA [--validation DATA] [--validation-ratio R] [--seed N] [--test DATA] [--images FOLDER]
         lookout --help | --version

  import   reads an ONNX model, a TorchScript archive (with --input-size), or a state_dict or .safetensors file (with
           --architecture) and writes a weights file; labels stand one a line or in the column 'name' of a .csv; --half
           stores 16-bit floats; --preset and its like say how pictures are fed: zero-one, bytes, minus-one-one,
           torchvision, imagenet, tensorflow, caffe, mnist, cifar10
  export   writes a model as ONNX, or its tensors as PyTorch has them
  verify   says how far the answers of two models are apart, on photos or on vectors of another program
  inspect  checks a weights file whole and shows what is in it
  classify says what is in pictures and in folders of pictures, in the order given, the --top 5 classes of each;
           --json prints one record a line; --full-decode never decodes a JPEG at a reduced size;
           without --model it takes $LOOKOUT_MODEL, the installed default or models/default.swiftweights;
           --precision says what it computes with, auto takes bytes for a quantized model and floats for another

  bench    measures this installation on this machine, everything or what is named; a daemon of its own works in a
           folder below --scratch (/tmp); photos are those of --photos (examples/photos);
           --precision as in classify

  status, explain, doctor, reload, pause, resume, drain, redrive, quarantine
           ask the running service; lookout-service(1) tells them all, --json prints what a script wants
  plugin   lists, makes and tests sink plugins; see lookout-plugin(1)
  train    makes a model of labelled pictures by a recipe; lookout train --help lists its keys
  evaluate says how well a model answers labelled pictures
  dataset  check: class counts, unreadable files, duplicates, leaks between the parts of a data set

  exit codes: 0 done, 64 wrong usage, 65 a damaged or foreign file or picture, 66 no such input, 73 output not written;
              of the service 69 not running, 75 not now (a training: stopped, goes on later), 77 not allowed, 78 refused
  """

MatrixLibrary.nameKernels()
let words = Array(CommandLine.arguments.dropFirst())
do throws(Failure) {
  switch words.first {
  case "import": try ImportCommand.run(Array(words.dropFirst()))
  case "export": try ExportCommand.run(Array(words.dropFirst()))
  case "verify": try VerifyCommand.run(Array(words.dropFirst()))
  case "inspect": try InspectCommand.run(Array(words.dropFirst()))
  case "classify": try ClassifyCommand.run(Array(words.dropFirst()))
  case "bench": try BenchCommand.run(Array(words.dropFirst()))
  case "status": try StatusCommand.run(Array(words.dropFirst()))
  case "explain": try ExplainCommand.run(Array(words.dropFirst()))
  case "doctor": try DoctorCommand.run(Array(words.dropFirst()))
  case "reload": try OperateCommands.reload(Array(words.dropFirst()))
  case "pause": try OperateCommands.pause(Array(words.dropFirst()))
  case "resume": try OperateCommands.resume(Array(words.dropFirst()))
  case "drain": try OperateCommands.drain(Array(words.dropFirst()))
  case "redrive": try OperateCommands.redrive(Array(words.dropFirst()))
  case "quarantine": try OperateCommands.quarantine(Array(words.dropFirst()))
  case "plugin": try PluginCommand.run(Array(words.dropFirst()))
  case "train": try TrainCommand.run(Array(words.dropFirst()))
  case "evaluate": try EvaluateCommand.run(Array(words.dropFirst()))
  case "dataset": try DatasetCommand.run(Array(words.dropFirst()))
  case "quantize": try QuantizeCommand.run(Array(words.dropFirst()))
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
