internal import Engine
internal import Glibc
internal import Imaging
internal import ModelZoo
internal import Platform

/// `lookout verify`: how far the answers of two models are apart.
enum VerifyCommand {
  static func run(_ words: [String]) throws(Failure) {
    let own: Set<String> = [
      "--against", "--photos", "--architecture", "--input-size", "--output", "--tolerance",
    ]
    let arguments = try Arguments(words, options: own.union(PreprocessingOptions.names), switches: ["--json"])
    guard arguments.operands.count == 1 else { throw .usage("verify takes one model") }
    let path = arguments.operands[0]
    let other = try arguments.required("--against")
    var tolerance: Float?
    if let text = arguments["--tolerance"] {
      guard let number = Float(text), number >= 0 else { throw .usage("--tolerance takes a number") }
      tolerance = number
    }
    let model = try ForeignModel(
      path: path, architecture: arguments["--architecture"], inputSize: arguments["--input-size"],
      output: arguments["--output"])
    let first = try Runner(model, path: path)
    var comparison = ModelComparison()
    if let vectors = try TensorVectors.open(path: other, input: model.graph.inputShape) {
      for index in 0..<vectors.count {
        comparison.add(first.answers(toPlanar: vectors.input(index)), vectors.output(index))
      }
      guard vectors.classes == first.network.outputCount else {
        throw .data("\(other): \(vectors.classes) outputs, \(path) has \(first.network.outputCount)")
      }
    } else {
      let second = try Runner(ForeignModel(path: other, inputSize: arguments["--input-size"]), path: other)
      guard first.network.inputShape == second.network.inputShape,
        first.network.outputCount == second.network.outputCount
      else {
        throw .data(
          "\(path) answers \(first.network.inputShape) with \(first.network.outputCount) numbers, \(other) answers "
            + "\(second.network.inputShape) with \(second.network.outputCount)")
      }
      let recipe = try PreprocessingOptions.preprocessing(
        arguments, suggested: model.preprocessingJSON, input: first.network.inputShape)
      try photos(arguments, recipe) { picture in
        comparison.add(first.answers(toPixels: picture), second.answers(toPixels: picture))
      }
    }
    guard comparison.count > 0 else { throw .data("there is nothing to compare") }
    print(arguments.has("--json") ? comparison.json : comparison.text)
    if let tolerance, comparison.largestRelative > tolerance {
      throw .data("the answers are \(comparison.largestRelative) apart, more than \(tolerance)")
    }
  }

  /// Prepares each photo as the first model wants it.
  private static func photos(
    _ arguments: Arguments, _ recipe: String, _ body: ([Float]) -> Void
  ) throws(Failure) {
    let files = try PictureList.files(of: [try arguments.required("--photos")])
    let preprocessor: Preprocessor
    do throws(ImagingError) {
      preprocessor = Preprocessor(try Preprocessing(json: recipe))
    } catch {
      throw .data("\(error)")
    }
    var picture = [Float](repeating: 0, count: preprocessor.preprocessing.outputCount)
    for path in files {
      do throws(PlatformError) {
        let file = try FileDescriptor.open(path, flags: [.readOnly, .nonBlocking])
        let size = try file.status().size
        guard size <= Int64(ImageLimits.standard.maxFileBytes) else { continue }
        var bytes: [UInt8] = []
        try file.readAll(into: &bytes, expecting: Int(size))
        let fault = bytes.withUnsafeBytes { bytes in
          picture.withUnsafeMutableBufferPointer { slot -> ImagingError? in
            do throws(ImagingError) {
              _ = try preprocessor.prepare(bytes, into: slot, fullDecode: true)
              return nil
            } catch {
              return error
            }
          }
        }
        if let fault { ImportCommand.say("\(path.displayed): left out: \(fault)") } else { body(picture) }
      } catch {
        ImportCommand.say("\(path.displayed): left out: \(error)")
      }
    }
  }

  /// A network ready to answer one picture at a time.
  private final class Runner {
    let network: CompiledNetwork
    private let plan: InferencePlan

    init(_ model: ForeignModel, path: String) throws(Failure) {
      do throws(EngineError) {
        network = try CompiledNetwork(graph: model.graph, weights: model.tensors)
        plan = try InferencePlan(network: network, batchCapacity: 1)
      } catch {
        throw .data("\(path): \(error)")
      }
    }

    /// `pixels` are H×W×C.
    func answers(toPixels pixels: [Float]) -> [Float] {
      var answers = [Float](repeating: 0, count: network.outputCount)
      pixels.withUnsafeBufferPointer { pixels in
        guard let base = pixels.baseAddress else { return }
        answers.withUnsafeMutableBufferPointer { output in
          withUnsafePointer(to: base) { plan.run(images: UnsafeBufferPointer(start: $0, count: 1), output: output) }
        }
      }
      return answers
    }

    /// `numbers` are C×H×W.
    func answers(toPlanar numbers: [Float]) -> [Float] {
      let shape = network.inputShape
      let area = shape.h * shape.w
      var pixels = numbers
      for c in 0..<shape.c {
        for p in 0..<area { pixels[p * shape.c + c] = numbers[c * area + p] }
      }
      return answers(toPixels: pixels)
    }
  }
}

/// Inputs and the answers that somebody else's program gave to them: the tensors `input` (N×C×H×W) and `output`
/// (N×classes) of a safetensors file.
private struct TensorVectors {
  let count: Int
  let classes: Int
  private let inputs: [Float]
  private let outputs: [Float]

  /// Nil if the file is no such file.
  static func open(path: String, input: Shape) throws(Failure) -> TensorVectors? {
    guard case .tensors? = try? ModelFormat.of(path: path) else { return nil }
    let tensors: StateDict
    do throws(ModelZooError) {
      tensors = try StateDict.open(path: path)
    } catch {
      throw .data("\(error)")
    }
    guard let x = tensors.extents(ofTensor: "input"), let y = tensors.extents(ofTensor: "output") else {
      throw .data("\(path): vectors are the tensors 'input' (N×C×H×W) and 'output' (N×classes)")
    }
    guard x.count == 4, Array(x.dropFirst()) == [input.c, input.h, input.w], y.count == 2, y[0] == x[0] else {
      throw .data("\(path): 'input' is \(x), 'output' \(y); the model takes N×\(input.c)×\(input.h)×\(input.w)")
    }
    do throws(EngineError) {
      return TensorVectors(
        count: x[0], classes: y[1], inputs: try tensors.floats(ofTensor: "input"),
        outputs: try tensors.floats(ofTensor: "output"))
    } catch {
      throw .data("\(path): \(error)")
    }
  }

  func input(_ index: Int) -> [Float] {
    Array(inputs[(index * (inputs.count / count))..<((index + 1) * (inputs.count / count))])
  }

  func output(_ index: Int) -> [Float] { Array(outputs[(index * classes)..<((index + 1) * classes)]) }
}
