internal import Engine
internal import Imaging

/// The options that say how pictures are fed to a model.
enum PreprocessingOptions {
  static let names: Set<String> = [
    "--preset", "--resize", "--crop", "--crop-ratio", "--filter", "--channel-order", "--scale", "--mean", "--std",
  ]

  static func areGiven(in arguments: Arguments) -> Bool { names.contains { arguments[$0] != nil } }

  /// The model's own or a preset's preprocessing, with what the options say else.
  ///
  /// - Throws: `Failure` for a value that makes no sense, or if what comes out is not the network's input.
  static func preprocessing(
    _ arguments: Arguments, suggested: String?, input: Shape
  ) throws(Failure) -> String {
    do throws(ImagingError) {
      var recipe = try base(arguments["--preset"], suggested, input)
      try change(&recipe, arguments)
      let text = try recipe.json()
      // Read again, so that every number is checked.
      let output = try Preprocessing(json: text).output
      guard output.height == input.h, output.width == input.w, recipe.channels.count == input.c else {
        throw ImagingError.preprocessing(
          key: "size",
          reason: "\(recipe.channels.count)×\(output.height)×\(output.width), the network takes "
            + "\(input.c)×\(input.h)×\(input.w); --resize, --crop and --channel-order say otherwise")
      }
      return text
    } catch {
      if case .preprocessing(let key, let reason) = error, key.hasPrefix("--") { throw .usage("\(key): \(reason)") }
      throw .usage("\(error)")
    }
  }

  private static func fault(_ option: String, _ reason: String) -> ImagingError {
    .preprocessing(key: option, reason: reason)
  }

  private static func base(_ preset: String?, _ suggested: String?, _ input: Shape) throws(ImagingError)
    -> Preprocessing
  {
    let extent = Preprocessing.Extent(height: input.h, width: input.w)
    let isGrey = input.c == 1
    let ones = [Double](repeating: 1, count: isGrey ? 1 : 3)
    let zeros = ones.map { $0 - 1 }
    var recipe = try Preprocessing(
      resize: .exact(extent), filter: .bilinear, channels: isGrey ? .grey : .rgb, scale: 1 / 255.0, mean: zeros,
      std: ones)
    guard let preset else {
      guard let suggested else { return recipe }
      recipe = try Preprocessing(json: suggested)
      if recipe.channels.count != input.c, isGrey {
        recipe.channels = .grey
        recipe.mean = [recipe.mean.reduce(0, +) / Double(recipe.mean.count)]
        recipe.std = [recipe.std.reduce(0, +) / Double(recipe.std.count)]
      }
      return recipe
    }
    switch preset {
    case "zero-one": break
    case "bytes": recipe.scale = 1
    case "minus-one-one": (recipe.mean, recipe.std) = (ones.map { $0 / 2 }, ones.map { $0 / 2 })
    case "torchvision", "imagenet":
      let side = max(input.h, input.w)
      recipe.resize = .shortSide(side == 224 ? 256 : max(side, (side * 256 + 112) / 224))
      recipe.centerCrop = extent
      (recipe.mean, recipe.std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    case "tensorflow":
      let side = Double(min(input.h, input.w))
      recipe.cropRatio = side / (side + 32)
      recipe.filter = .bicubic
      (recipe.scale, recipe.mean, recipe.std) = (1, ones.map { $0 * 127 }, ones.map { $0 * 128 })
    case "caffe":
      (recipe.channels, recipe.scale, recipe.mean) = (.bgr, 1, [103.939, 116.779, 123.68])
    case "mnist": (recipe.mean, recipe.std) = ([0.1307], [0.3081])
    case "cifar10": (recipe.mean, recipe.std) = ([0.4914, 0.4822, 0.4465], [0.247, 0.2435, 0.2616])
    default:
      throw fault(
        "--preset",
        "'\(preset)' is none of zero-one, bytes, minus-one-one, torchvision, imagenet, tensorflow, caffe, mnist, cifar10"
      )
    }
    return recipe
  }

  private static func change(_ recipe: inout Preprocessing, _ arguments: Arguments) throws(ImagingError) {
    if let text = arguments["--resize"] { recipe.resize = try resize(text) }
    if let text = arguments["--crop"] {
      let sides = try extent("--crop", text)
      recipe.centerCrop = Preprocessing.Extent(height: sides.h, width: sides.w)
    }
    if let text = arguments["--crop-ratio"] { recipe.cropRatio = try number("--crop-ratio", text) }
    if let text = arguments["--filter"] {
      guard let filter = ResampleFilter(rawValue: text) else { throw fault("--filter", "'\(text)' is no filter") }
      recipe.filter = filter
    }
    if let text = arguments["--channel-order"] {
      let name = text.uppercased() == "GREY" ? "L" : text.uppercased()
      guard let order = Preprocessing.Channels(rawValue: name) else {
        throw fault("--channel-order", "'\(text)' is none of RGB, BGR, L")
      }
      recipe.channels = order
    }
    if let text = arguments["--scale"] { recipe.scale = try number("--scale", text) }
    if let text = arguments["--mean"] { recipe.mean = try numbers("--mean", text, recipe.channels.count) }
    if let text = arguments["--std"] { recipe.std = try numbers("--std", text, recipe.channels.count) }
  }

  /// `256` is the short side, `224x224` exact, `pad:224x224` padded to a square first.
  private static func resize(_ text: String) throws(ImagingError) -> Preprocessing.Resize {
    if !text.contains("x"), !text.hasPrefix("pad:") { return .shortSide(try extent("--resize", text).h) }
    let isPadded = text.hasPrefix("pad:")
    let sides = try extent("--resize", isPadded ? String(text.dropFirst(4)) : text)
    let extent = Preprocessing.Extent(height: sides.h, width: sides.w)
    return isPadded ? .pad(extent) : .exact(extent)
  }

  private static func extent(_ option: String, _ text: String) throws(ImagingError) -> Extent2D {
    do throws(Failure) {
      return try SizeText.extent(text, of: option)
    } catch {
      throw fault(option, "'\(text)' is neither a side nor HEIGHTxWIDTH, from 1 to 4096")
    }
  }

  /// A number, or a fraction such as `1/255`.
  private static func number(_ option: String, _ text: String) throws(ImagingError) -> Double {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { Double($0) }
    if parts.count == 1, let number = parts[0], number.isFinite { return number }
    if parts.count == 2, let a = parts[0], let b = parts[1], b != 0, (a / b).isFinite { return a / b }
    throw fault(option, "'\(text)' is no number")
  }

  /// Numbers with commas between them; one stands for all channels.
  private static func numbers(_ option: String, _ text: String, _ count: Int) throws(ImagingError) -> [Double] {
    var numbers: [Double] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      numbers.append(try number(option, String(part)))
    }
    return numbers.count == 1 ? [Double](repeating: numbers[0], count: count) : numbers
  }
}
