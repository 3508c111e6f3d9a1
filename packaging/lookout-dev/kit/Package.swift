// swift-tools-version: 6.2
import PackageDescription

/// What a sink plugin in Swift is built against; a plugin's own package names it by path.
let package = Package(
  name: "lookout-sink-kit",
  products: [
    .library(name: "LookoutSinkKit", targets: ["LookoutSinkKit"]),
    .library(name: "CSinkABI", targets: ["CSinkABI"]),
  ],
  targets: [
    .target(name: "CSinkABI"),
    .target(
      name: "LookoutSinkKit", dependencies: ["CSinkABI"],
      swiftSettings: [
        .swiftLanguageMode(.v6), .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"), .enableUpcomingFeature("InternalImportsByDefault"),
      ]),
  ]
)
