// swift-tools-version: 6.2
// The manifest of the kit as it is installed in /usr/share/lookout/kit, for projects that `lookout plugin new` writes.
import PackageDescription

let package = Package(
  name: "lookout",
  products: [
    .library(name: "LookoutSinkKit", targets: ["LookoutSinkKit"]), .library(name: "CSinkABI", targets: ["CSinkABI"]),
  ],
  targets: [
    .target(name: "CSinkABI"),
    .target(
      name: "LookoutSinkKit", dependencies: ["CSinkABI"],
      swiftSettings: [
        .swiftLanguageMode(.v6), .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"), .enableUpcomingFeature("InternalImportsByDefault"),
      ]),
  ])
