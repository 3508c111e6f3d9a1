// swift-tools-version: 6.2
import PackageDescription

/// Settings of every Swift target; `docs/CONTRIBUTING.md` tells why each is on.
let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

/// Installed programs and plugins find the Swift runtime in a private folder beside them.
let runtimePath: [LinkerSetting] = [
  .unsafeFlags(["-Xlinker", "-rpath", "-Xlinker", "$ORIGIN/../lib/lookout/runtime"])
]

func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

/// The sink host is installed one folder away from that runtime.
let hostRuntimePath: [LinkerSetting] = [
  .unsafeFlags(["-Xlinker", "-rpath", "-Xlinker", "$ORIGIN/runtime"])
]

func program(
  _ name: String, _ dependencies: [Target.Dependency], runtime: [LinkerSetting] = runtimePath
) -> Target {
  .executableTarget(name: name, dependencies: dependencies, swiftSettings: strict, linkerSettings: runtime)
}

/// Tests are compiled without optimisation, which takes far less time; what they test is optimised.
func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
  .testTarget(
    name: name, dependencies: dependencies + ["TestSupport"], exclude: exclude,
    swiftSettings: strict + [.unsafeFlags(["-Onone"])])
}

/// A plugin exports one symbol; everything else of it and of the kit stays its own.
let pluginExports: LinkerSetting = .unsafeFlags([
  "-Xlinker", "--version-script=\(Context.packageDirectory)/plugins/exports.map",
])

/// A sink plugin: one dynamic product built from `plugins/<name>`.
func plugin(_ module: String, at name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(
    name: module, dependencies: dependencies, path: "plugins/\(name)", exclude: ["README.md"],
    swiftSettings: strict,
    linkerSettings: [.unsafeFlags(["-Xlinker", "-rpath", "-Xlinker", "$ORIGIN/../runtime"]), pluginExports])
}

/// The fuzzer's program, for `make fuzz` alone: its main is libFuzzer's, which only a fuzzing build links.
let fuzzer: [Target] =
  Context.environment["LOOKOUT_FUZZ"] == nil
  ? []
  : [
    .executableTarget(
      name: "lookout-fuzz", dependencies: ["HostileSubjects"], path: "Fuzz/Main",
      swiftSettings: strict + [.unsafeFlags(["-parse-as-library"])])
  ]

let package = Package(
  name: "lookout",
  products: [
    .executable(name: "lookoutd", targets: ["lookoutd"]),
    .executable(name: "lookout", targets: ["lookout"]),
    .executable(name: "lookout-sink-host", targets: ["lookout-sink-host"]),
    .library(name: "lookout-sink-csv", type: .dynamic, targets: ["SinkCSV"]),
    .library(name: "lookout-sink-json", type: .dynamic, targets: ["SinkJSON"]),
    .library(name: "lookout-sink-sqlite", type: .dynamic, targets: ["SinkSQLite"]),
    .library(name: "lookout-sink-example-c", type: .dynamic, targets: ["SinkExampleC"]),
    .library(name: "lookout-faults-hooks", type: .dynamic, targets: ["FaultHooks"]),
    .library(name: "lookout-faults-hostile-sink", type: .dynamic, targets: ["HostileSink"]),
    .library(name: "lookout-sink-template-swift", type: .dynamic, targets: ["SinkTemplate"]),
    // For tests alone; it is not installed.
    .library(name: "lookout-sink-faulty", type: .dynamic, targets: ["FaultyPlugin"]),
  ],
  targets: [
    // C: contracts, shims and what wants setjmp, C++ or vector instructions.
    .target(name: "CSinkABI"),
    .target(name: "CShims"),
    .target(name: "CConfine"),
    .target(
      name: "CImageCodecs",
      linkerSettings: [.linkedLibrary("jpeg"), .linkedLibrary("png16")]),
    .target(name: "CKernels", cSettings: [.unsafeFlags(["-O3"])]),
    .target(name: "CTOML"),
    .systemLibrary(name: "COpenBLAS", providers: [.apt(["libopenblas-dev"])]),
    .systemLibrary(name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
    .systemLibrary(
      name: "CMicroHTTPD", pkgConfig: "libmicrohttpd", providers: [.apt(["libmicrohttpd-dev"])]),
    .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
    .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

    // Swift, bottom up.
    module("Hashing", ["CCrypto"]),
    module("Platform", ["CShims", "CSystemd"]),
    module("HTTPServer", ["Platform", "CMicroHTTPD"]),
    module("Imaging", ["CImageCodecs"]),
    module("Engine", ["COpenBLAS", "CKernels", "Hashing"]),
    module("ModelZoo", ["Engine", "CZlib"]),
    module(
      "Training",
      ["Engine", "ModelZoo", "Imaging", "Platform", "Hashing", "TOML", "CZlib", "CSQLite"]),
    module("SinkProtocol", ["CSinkABI"]),
    module("SinkConformance", ["SinkProtocol"]),
    module("TOML", ["CTOML"]),
    module("Confinement", ["CConfine", "SinkProtocol"]),
    module(
      "Service",
      [
        "Platform", "HTTPServer", "Imaging", "Engine", "Hashing", "CSinkABI", "SinkProtocol", "LookoutSinkKit",
        "CSQLite", "TOML",
      ]),
    module("LookoutSinkKit", ["CSinkABI"]),

    program("lookoutd", ["Service", "Engine", "Platform"]),
    program(
      "lookout",
      [
        "Training", "TOML", "Service", "HTTPServer", "SinkConformance", "SinkProtocol", "ModelZoo", "Imaging", "Engine",
        "Platform",
        "Hashing", "LookoutSinkKit", "CSQLite", "CCurl",
      ]),
    program("lookout-sink-host", ["CSinkABI", "SinkProtocol", "Confinement"], runtime: hostRuntimePath),

    plugin("SinkCSV", at: "csv", ["LookoutSinkKit", "CSinkABI"]),
    plugin("SinkJSON", at: "json", ["LookoutSinkKit", "CSinkABI"]),
    plugin("SinkSQLite", at: "sqlite", ["LookoutSinkKit", "CSinkABI", "CSQLite"]),
    plugin("SinkTemplate", at: "template-swift", ["LookoutSinkKit", "CSinkABI"]),
    .target(
      name: "SinkExampleC", dependencies: ["CSinkABI"], path: "plugins/example-c",
      exclude: ["README.md"], publicHeadersPath: ".", linkerSettings: [pluginExports]),
    .target(
      name: "FaultyPlugin", dependencies: ["CSinkABI"], path: "Tests/FaultyPlugin", linkerSettings: [pluginExports]),

    .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: strict),
    .target(
      name: "HostileSubjects",
      dependencies: [
        "Imaging", "Engine", "ModelZoo", "Hashing", "Service", "SinkProtocol", "TOML", "HTTPServer", "Platform",
        "TestSupport",
      ],
      path: "Fuzz/Subjects", swiftSettings: strict),
    tests("HashingTests", ["Hashing"]),
    tests("PlatformTests", ["Platform"]),
    tests("HTTPServerTests", ["HTTPServer", "Platform"]),
    tests("ImagingTests", ["Imaging", "CImageCodecs"], exclude: ["Fixtures"]),
    tests("EngineTests", ["Engine", "Platform", "CKernels", "CShims"], exclude: ["Fixtures"]),
    tests(
      "TrainingTests", ["Training", "Engine", "ModelZoo", "Imaging", "Platform", "CSQLite"], exclude: ["Fixtures"]),
    tests("ModelZooTests", ["ModelZoo", "Engine"], exclude: ["Fixtures"]),
    tests(
      "ServiceTests", ["Service", "TOML", "Platform", "Imaging", "Engine", "SinkProtocol", "CSQLite"],
      exclude: ["Fixtures"]),
    tests(
      "SinkTests", ["SinkConformance", "SinkProtocol", "CSinkABI", "Confinement", "Platform", "LookoutSinkKit"],
      exclude: ["Fixtures"]),
    tests("EndToEndTests", ["Engine", "Platform", "CSQLite", "Hashing"]),

    // The fault suite: `make faults`.
    .target(name: "FaultControlPage", path: "Tests/Faults/ControlPage"),
    .target(
      name: "FaultHooks", dependencies: ["FaultControlPage"], path: "Tests/Faults/Hooks", publicHeadersPath: "."),
    .target(
      name: "FaultCodec", path: "Tests/Faults/Codec",
      linkerSettings: [.linkedLibrary("jpeg"), .linkedLibrary("png16"), .linkedLibrary("z")]),
    .target(name: "HostileSink", dependencies: ["CSinkABI"], path: "Tests/Faults/HostileSink", publicHeadersPath: "."),
    .target(
      name: "FaultSuite",
      dependencies: ["FaultControlPage", "FaultCodec", "Engine", "Hashing", "Platform", "CSQLite", "TestSupport"],
      path: "Tests/Faults/Suite", swiftSettings: strict),
    .executableTarget(
      name: "lookout-faults", dependencies: ["FaultSuite"], path: "Tests/Faults/Program", swiftSettings: strict),
    tests("FaultTests", ["FaultSuite"]),
    tests("HostileTests", ["HostileSubjects"]),
  ] + fuzzer,
  cxxLanguageStandard: .cxx17
)
