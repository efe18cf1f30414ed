// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "take-a-payment",
    dependencies: [.package(name: "tapbridge", path: "../..")],
    targets: [
        .executableTarget(
            name: "take-a-payment", dependencies: [.product(name: "TapbridgeKit", package: "tapbridge")])
    ]
)
