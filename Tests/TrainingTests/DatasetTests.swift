import Imaging
import TestSupport
import Testing
import Training

/// Reading labelled pictures, and what is said about bad ones.
struct DatasetTests {
  private let scratch = Scratch()

  private func pictures(_ folder: String, _ numbers: Range<Int>) {
    scratch.folder(folder)
    for number in numbers {
      Files.write(TestPicture.bmp(number: number, width: 8, height: 8), to: scratch("\(folder)/\(number).bmp"))
    }
  }

  @Test func foldersAreClasses() throws {
    scratch.folder("data")
    pictures("data/owl", 0..<4)
    pictures("data/cat", 4..<7)
    let dataset = try DatasetSource.read(scratch("data"), part: .train)
    #expect(dataset.classes == ["cat", "owl"])
    #expect(dataset.counts == [3, 4])
    let split = dataset.split(ratio: 0.25, seed: 3)
    #expect(split.aside.counts == [1, 1])
    #expect(split.kept.counts == [2, 3])
    #expect(dataset.split(ratio: 0.25, seed: 3).aside.samples.map(\.place) == split.aside.samples.map(\.place))
  }

  @Test func aTreeHoldsBothParts() throws {
    for part in ["train", "val"] {
      scratch.folder("tree-\(part)")
    }
    scratch.folder("tree")
    for part in ["train", "val"] {
      scratch.folder("tree/\(part)")
      pictures("tree/\(part)/a", 0..<2)
      pictures("tree/\(part)/b", 2..<(part == "train" ? 6 : 3))
    }
    #expect(try DatasetSource.read(scratch("tree"), part: .train).counts == [2, 4])
    #expect(try DatasetSource.read(scratch("tree"), part: .test).counts == [2, 1])
  }

  /// Each part from its own folder, also where nobody says so.
  @Test func aTreeHoldsThreeParts() throws {
    scratch.folder("tree")
    for (index, part) in ["train", "val", "test"].enumerated() {
      scratch.folder("tree/\(part)")
      pictures("tree/\(part)/a", (index * 10)..<(index * 10 + 2))
      pictures("tree/\(part)/b", (index * 10 + 2)..<(index * 10 + 4 - index))
    }
    let tree = scratch("tree")
    #expect(try DatasetSource.read(tree, part: .validation).counts == [2, 1])
    #expect(try DatasetSource.read(tree, part: .test).counts == [2, 0])
    let flags = [("data.train", tree), ("folder", scratch.folder("out")), ("architecture", "lenet5")]
    let recipe = try Recipe.read([], file: "none", flags: flags)
    let run = try TrainingRun(recipe, provenance: "a test")
    #expect(run.training.counts == [2, 2] && run.validation?.counts == [2, 1])
    let parts = try DatasetCheck.parts(of: recipe)
    #expect(parts.map(\.name) == ["train", "validation", "test"])
    #expect(parts.map(\.dataset.counts) == [[2, 2], [2, 1], [2, 0]])
  }

  @Test func labelsFilesNameLineAndFile() throws {
    pictures("images", 0..<3)
    func read(_ text: String, _ name: String = "labels.csv") throws -> Dataset {
      Files.write(Array(text.utf8), to: scratch(name))
      return try DatasetSource.read(scratch(name), part: .train, images: scratch("images"))
    }
    let dataset = try read("label,filename\r\n\"b, c\",0.bmp\r\na,1.bmp\n\nb\u{20},2.bmp\n")
    #expect(dataset.classes == ["a", "b ", "b, c"])
    #expect(dataset.samples.map(\.label) == [2, 0, 1])
    let lines = try read(
      "{\"filename\":\"0.bmp\",\"label\":\"x\"}\n{\"label\":\"y\",\"filename\":\"1.bmp\"}\n", "l.jsonl")
    #expect(lines.classes == ["x", "y"])
    let faults: [(String, String, String)] = [
      ("filename,label\n0.bmp,a\n9.bmp,a\n", "labels.csv", "line 3"), ("file,label\n", "labels.csv", "line 1"),
      ("filename,label\n0.bmp,a,b\n", "labels.csv", "line 2"), ("filename,label\n\"0.bmp,a\n", "labels.csv", "line 2"),
      ("{\"filename\":\"0.bmp\"}\n", "l.jsonl", "line 1"), ("{\"filename\":\"0.bmp\",\n", "l.jsonl", "line 1"),
    ]
    for (text, name, place) in faults {
      do {
        _ = try read(text, name)
        Issue.record("no error for \(text)")
      } catch let error as TrainingError {
        #expect("\(error)".contains(place) && "\(error)".contains(name), "\(error)")
      }
    }
  }

  @Test(arguments: ["labels.csv", "tree"]) func aClassIsNamedOnce(data: String) throws {
    scratch.folder("tree")
    pictures("tree/a", 0..<1)
    Files.write(Array("filename,label\ntree/a/0.bmp,a\n".utf8), to: scratch("labels.csv"))
    do throws(TrainingError) {
      _ = try DatasetSource.read(scratch(data), part: .train, classes: ["a", "b", "a"])
      Issue.record("no error")
    } catch {
      #expect("\(error)".contains("'a' twice"), "\(error)")
    }
  }

  @Test func packedFormatsAreChecked() throws {
    let digits = try DatasetSource.read("\(Fixture.folder)/digits", part: .train)
    #expect(digits.samples.count == 1437 && digits.classes.count == 10)
    #expect(digits.packed?.picture(0).width == 8)
    scratch.folder("bad")
    Files.write([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 7], to: scratch("bad/train-images-idx3-ubyte"))
    #expect(throws: TrainingError.self) { try DatasetSource.read(scratch("bad"), part: .train) }
    scratch.folder("cifar")
    let record: [UInt8] =
      [1] + [UInt8](repeating: 10, count: 1024) + [UInt8](repeating: 20, count: 1024)
      + [UInt8](repeating: 30, count: 1024)
    for number in 1...5 { Files.write(record, to: scratch("cifar/data_batch_\(number).bin")) }
    Files.write(Array("airplane\nbird\n".utf8), to: scratch("cifar/batches.meta.txt"))
    let cifar = try DatasetSource.read(scratch("cifar"), part: .train)
    #expect(cifar.counts == [0, 5])
    #expect(cifar.packed?.picture(4).samples.prefix(3) == [10, 20, 30])
    Files.write(Array(record.dropLast()), to: scratch("cifar/data_batch_3.bin"))
    #expect(throws: TrainingError.self) { try DatasetSource.read(scratch("cifar"), part: .train) }
  }

  @Test func checkFindsWhatSpoilsARun() throws {
    pictures("train/a", 0..<0)
    scratch.folder("train")
    pictures("train/a", 0..<3)
    pictures("train/b", 2..<5)
    scratch.folder("test")
    pictures("test/a", 1..<2)
    pictures("test/b", 9..<10)
    Files.write(Array("no picture".utf8), to: scratch("train/b/broken.jpg"))
    let train = try DatasetSource.read(scratch("train"), part: .train)
    let test = try DatasetSource.read(scratch("test"), part: .test, classes: train.classes)
    let check = DatasetCheck([.init(name: "train", dataset: train), .init(name: "test", dataset: test)])
    #expect(check.unreadable.count == 1)
    #expect(check.contradictions.count == 1)
    #expect(check.leaks.count == 1)
    #expect(!check.isSound)
  }
}
