internal import Engine
internal import ModelZoo

/// `lookout export`: a model as PyTorch and ONNX have it.
enum ExportCommand {
  static func run(_ words: [String]) throws(Failure) {
    let arguments = try Arguments(words, options: ["-o", "--architecture", "--input-size"], switches: [])
    guard arguments.operands.count == 1 else { throw .usage("export takes one model") }
    let source = arguments.operands[0]
    let output = try arguments.required("-o")
    let model = try ForeignModel(
      path: source, architecture: arguments["--architecture"], inputSize: arguments["--input-size"])
    let ending = output.split(separator: ".").last.map(String.init) ?? ""
    do throws(ModelZooError) {
      switch ending {
      case "onnx":
        try ONNXExport.write(model.graph, tensors: model.tensors, to: output, producer: "lookout")
      case "safetensors", "pth", "pt":
        do throws(EngineError) {
          if ending == "safetensors" {
            try TorchExport.writeSafetensors(model.graph, tensors: model.tensors, to: output)
          } else {
            try TorchExport.writeArchive(model.graph, tensors: model.tensors, to: output)
          }
        } catch {
          throw ModelZooError.engine(error)
        }
      default: throw ModelZooError.unsupported(path: output, reason: "the ending must be .onnx, .safetensors or .pth")
      }
    } catch {
      switch error {
      case .engine(.file): throw .output("\(error)")
      case .unsupported: throw .usage("\(error)")
      default: throw .data("\(source): \(error)")
      }
    }
    print(output)
  }
}
