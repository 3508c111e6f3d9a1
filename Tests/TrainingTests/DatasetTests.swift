import CSQLite
import Imaging
import Platform
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
    #expect(dataset.samples.map(\.truth) == [.one(2), .one(0), .one(1)])
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

  /// Two labels a record, of which the second is the fine one; the planes become interleaved pixels.
  @Test func coarseLabelsAreNotTheClasses() throws {
    func record(coarse: UInt8, fine: UInt8, red: UInt8) -> [UInt8] {
      [coarse, fine] + [UInt8](repeating: red, count: 1024) + [UInt8](repeating: 2, count: 1024)
        + [UInt8](repeating: 3, count: 1024)
    }
    scratch.folder("cifar100")
    Files.write(
      record(coarse: 1, fine: 2, red: 10) + record(coarse: 0, fine: 0, red: 11), to: scratch("cifar100/train.bin"))
    Files.write(record(coarse: 2, fine: 1, red: 12), to: scratch("cifar100/test.bin"))
    Files.write(Array("apple\nbear\nclock\n".utf8), to: scratch("cifar100/fine_label_names.txt"))
    let train = try DatasetSource.read(scratch("cifar100"), part: .train)
    #expect(train.classes == ["apple", "bear", "clock"] && train.samples.map(\.truth) == [.one(2), .one(0)])
    #expect(train.packed?.picture(1).samples.prefix(6) == [11, 2, 3, 11, 2, 3])
    let test = try DatasetSource.read(scratch("cifar100"), part: .test)
    #expect(test.samples.map(\.truth) == [.one(1)] && test.packed?.picture(0).samples.first == 12)
    #expect(DatasetSource.parts(of: scratch("cifar100")) == [.train, .test])
    Files.write(record(coarse: 1, fine: 3, red: 10), to: scratch("cifar100/train.bin"))
    do throws(TrainingError) {
      _ = try DatasetSource.read(scratch("cifar100"), part: .train)
      Issue.record("no error for a fourth class")
    } catch {
      #expect("\(error)".contains("train.bin, byte 0: label 3"), "\(error)")
    }
  }

  private func database(_ statements: String) throws -> String {
    let path = scratch("results-\(UInt32.random(in: 0..<UInt32.max)).db")
    var handle: OpaquePointer?
    defer { sqlite3_close(handle) }
    try #require(sqlite3_open(path, &handle) == SQLITE_OK)
    try #require(sqlite3_exec(handle, statements, nil, nil, nil) == SQLITE_OK)
    return path
  }

  /// The label of the review counts, not the answer; what failed or was not looked at is not taken.
  @Test func reviewedResultsAreSamples() throws {
    // As the sqlite sink makes it, as far as it is read.
    let results = "CREATE TABLE results (id TEXT PRIMARY KEY, path NOT NULL, status TEXT NOT NULL) WITHOUT ROWID;"
    let reviews = "CREATE TABLE reviews (result_id TEXT PRIMARY KEY, label TEXT NOT NULL);"
    let rows = """
      INSERT INTO results VALUES ('3', '/p/three.png', 'ok'), ('1', '/p/one.png', 'ok'), ('2', CAST(x'2fff' AS BLOB), 'ok'),
        ('4', '/p/four.png', 'ok'), ('5', '/p/five.png', 'error');
      INSERT INTO reviews VALUES ('1', 'owl'), ('2', 'cat'), ('3', 'owl'), ('5', 'cat'), ('9', 'owl');
      """
    let path = try database(results + reviews + rows)
    let dataset = try DatasetSource.read(path, part: .train)
    #expect(dataset.classes == ["cat", "owl"] && dataset.samples.map(\.truth) == [.one(1), .one(0), .one(1)])
    let places: [Dataset.Place] = [.file(Path("/p/one.png")), .file(Path([0x2F, 0xFF])), .file(Path("/p/three.png"))]
    #expect(dataset.samples.map(\.place) == places)
    func reason(_ path: String, classes: [String]? = nil) -> String {
      do throws(TrainingError) {
        _ = try DatasetSource.read(path, part: .train, classes: classes)
        return "none"
      } catch {
        return "\(error)"
      }
    }
    #expect(reason(path, classes: ["owl"]).contains("'cat' is no class of the training data"))
    #expect(reason(try database(results)).contains("reviews (result_id TEXT PRIMARY KEY, label TEXT NOT NULL)"))
    #expect(reason(try database(results + reviews)).contains("no reviewed row"))
    Files.write(Array("no database at all, but long enough".utf8), to: scratch("none.db"))
    #expect(reason(scratch("none.db")).contains("none.db, the database: file is not a database"))
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
