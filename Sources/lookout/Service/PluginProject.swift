internal import Glibc
internal import Platform
internal import Service

/// `lookout plugin new`: a project that builds with the installed header or kit alone, and keeps the contract.
enum PluginProject {
  static func run(_ words: [String]) throws(Failure) {
    let arguments = try Arguments(words, options: ["--language", "--kit"], switches: [])
    guard arguments.operands.count == 1, let name = arguments.operands.first else {
      throw .usage("plugin new takes one name")
    }
    let letters = name.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D }
    guard letters, let first = name.utf8.first, (0x61...0x7A).contains(first), name.utf8.last != 0x2D,
      name.utf8.count <= 40
    else {
      throw .usage("a plugin's name has a to z, 0 to 9 and -, begins with a letter and has at most 40 characters")
    }
    let kit = arguments["--kit"] ?? Installation.kitPath
    let folder = Path("lookout-sink-\(name)")
    if (try? FileStatus.of(folder, followingLinks: false)) != nil {
      throw .output("\(folder.displayed) is there already")
    }
    switch arguments["--language"] ?? "swift" {
    case "swift": try write(swift(name, kit: kit), into: folder, build: "swift build -c release", name)
    case "c": try write(c(name, kit: kit), into: folder, build: "make", name)
    case let other: throw .usage("--language takes swift or c, not \(other)")
    }
  }

  private static func write(
    _ files: [(name: String, text: String)], into folder: Path, build: String, _ name: String
  ) throws(Failure) {
    do throws(PlatformError) {
      for file in files {
        let path = Path(folder.bytes + Array("/\(file.name)".utf8))
        try Directory.create(path.parent, mode: 0o755)
        try AtomicFile.write(path, Array(file.text.utf8), mode: 0o644)
      }
    } catch {
      throw .output("\(error)")
    }
    let object = build == "make" ? "lookout-sink-\(name).so" : ".build/release/liblookout-sink-\(name).so"
    print(
      """
      \(folder.displayed) is written. Go on with:
        cd \(folder.displayed) && \(build)
        lookout plugin test \(object)
        sudo install -m 644 \(object) /usr/lib/lookout/plugins/lookout-sink-\(name).so
      """)
  }

  private static func template(_ file: String, kit: String) throws(Failure) -> String {
    let path = Path("\(kit)/\(file)")
    do throws(PlatformError) {
      return String(decoding: try AtomicFile.read(path, limit: 1 << 20), as: UTF8.self)
    } catch {
      throw .input("\(error); install the package lookout-dev, or name the kit's folder with --kit")
    }
  }

  private static func c(_ name: String, kit: String) throws(Failure) -> [(name: String, text: String)] {
    let sink = try template("plugins/example-c/sink.c", kit: kit).replacing("example-c", with: name)
    let makefile = """
      CFLAGS ?= -O2 -g -Wall -Wextra
      # The header lies in /usr/include when lookout-dev is installed.
      CPPFLAGS ?= -I\(kit)/Sources/CSinkABI/include

      lookout-sink-\(name).so: sink.c
      \t$(CC) $(CPPFLAGS) $(CFLAGS) -std=c11 -D_GNU_SOURCE -shared -fPIC -fvisibility=hidden $(LDFLAGS) -o $@ $<

      .PHONY: test clean
      test: lookout-sink-\(name).so
      \tlookout plugin test $<

      clean:
      \trm -f lookout-sink-\(name).so

      """
    return [("sink.c", sink), ("Makefile", makefile)]
  }

  private static func swift(_ name: String, kit: String) throws(Failure) -> [(name: String, text: String)] {
    let type = name.split(separator: "-").map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
    let module = "Sink\(type)"
    let sink = try template("plugins/template-swift/Sink.swift", kit: kit)
      .replacing("TemplateSink", with: "\(type)Sink").replacing("template-swift", with: name)
    let package = """
      // swift-tools-version: 6.2
      import PackageDescription

      let package = Package(
        name: "lookout-sink-\(name)",
        products: [.library(name: "lookout-sink-\(name)", type: .dynamic, targets: ["\(module)"])],
        dependencies: [.package(name: "lookout", path: "\(kit)")],
        targets: [
          .target(
            name: "\(module)",
            dependencies: [
              .product(name: "LookoutSinkKit", package: "lookout"), .product(name: "CSinkABI", package: "lookout"),
            ],
            swiftSettings: [.swiftLanguageMode(.v6), .enableUpcomingFeature("InternalImportsByDefault")],
            linkerSettings: [.unsafeFlags(["-Xlinker", "-rpath", "-Xlinker", "$ORIGIN/../runtime"])])
        ])

      """
    return [
      ("Package.swift", package), ("Sources/\(module)/Sink.swift", sink), (".gitignore", ".build/\n"),
    ]
  }
}
