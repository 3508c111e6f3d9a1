// swift-tools-version: 6.2
import PackageDescription

/// A sink plugin; build it with `swift build -c release` and install it as the README beside it says.
let package = Package(
  name: "lookout-sink-template",
  products: [.library(name: "lookout-sink-template", type: .dynamic, targets: ["SinkTemplate"])],
  dependencies: [.package(name: "kit", path: "/usr/share/lookout-dev/kit")],
  targets: [
    .target(
      name: "SinkTemplate",
      dependencies: [.product(name: "LookoutSinkKit", package: "kit"), .product(name: "CSinkABI", package: "kit")],
      swiftSettings: [.enableUpcomingFeature("InternalImportsByDefault")],
      linkerSettings: [.unsafeFlags(["-Xlinker", "-rpath", "-Xlinker", "/usr/lib/lookout/runtime"])])
  ]
)
