import Engine
import TestSupport
import Training

/// Recipes for small runs into a private folder.
struct Runs {
  let scratch = Scratch()

  /// LeNet on scikit-learn's handwritten digits.
  func digits(_ more: String = "", name: String = "run") throws -> Recipe {
    scratch.folder(name)
    let text = """
      [data]
      train = "\(Fixture.folder)/digits"
      validation = "\(Fixture.folder)/digits"
      [model]
      architecture = "lenet5"
      normalisation = "data"
      [optimizer]
      kind = "adam"
      learning_rate = 0.002
      [output]
      folder = "\(scratch(name))"
      tensorboard = false
      contact_sheet = 0
      \(more)
      """
    return try Recipe.read(Array(text.utf8), file: "recipe", flags: [])
  }

  /// LeNet on the pictures of a folder, in batches of four; `flags` are further keys and their values.
  func pictures(
    _ folder: String, name: String = "run", _ flags: KeyValuePairs<String, String> = [:]
  ) throws -> Recipe {
    scratch.folder(name)
    let text = """
      [data]
      train = "\(folder)"
      validation_ratio = 0
      [model]
      architecture = "lenet5"
      [train]
      epochs = 2
      batch_size = 4
      [optimizer]
      learning_rate = 0.01
      [output]
      folder = "\(scratch(name))"
      tensorboard = false
      contact_sheet = 0
      """
    return try Recipe.read(Array(text.utf8), file: "recipe", flags: flags.map { ($0.key, $0.value) })
  }

  /// A folder of two classes of drawn pictures; gives its path.
  func pair(side: Int = 28, count: Int = 20, name: String = "pair") -> String {
    let folder = scratch.folder(name)
    for (index, label) in ["one", "two"].enumerated() {
      scratch.folder("\(name)/\(label)")
      for number in 0..<count {
        let picture = TestPicture.bmp(number: index * 100 + number, width: side, height: side)
        Files.write(picture, to: "\(folder)/\(label)/\(number).bmp")
      }
    }
    return folder
  }

  /// The bits of the weights.
  static func bits(_ run: TrainingRun) -> [UInt32] {
    (0..<run.weights.count).map { run.weights.values[$0].bitPattern }
  }
}
