// swift-tools-version: 6.2
import PackageDescription

// Benchmarks and their references, apart from the product: nothing of this is in the installed program.
let package = Package(
    name: "tapbridge-benchmarks",
    products: [.executable(name: "benchmarks", targets: ["Benchmarks"])],
    dependencies: [
        .package(name: "tapbridge", path: ".."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        .systemLibrary(
            name: "CBenchmarkCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .executableTarget(
            name: "Benchmarks",
            dependencies: [
                "CBenchmarkCrypto"
            ]
                + [
                    "Acquiring", "AcquirerHost", "AcquirerSimulator", "BERTLV", "CardReaders", "Cards", "EMV",
                    "EMVCryptography", "ISO8583", "ISO8583Backend", "ISO8583Dialects", "Issuing", "Journal",
                    "Kernels", "LibNFCReaders", "PCSCReaders", "PN532", "RemoteReaders", "SmartCard",
                    "SoftwarePN532",
                    "Terminal", "Traces",
                ].map { .product(name: $0, package: "tapbridge") }
                + [
                    .product(name: "ArgumentParser", package: "swift-argument-parser"),
                    .product(name: "AsyncHTTPClient", package: "async-http-client"),
                    .product(name: "GRDBSQLite", package: "GRDB.swift"),
                    .product(name: "Histogram", package: "hdrhistogram-swift"),
                    .product(name: "NIOCore", package: "swift-nio"),
                ],
            swiftSettings: [
                .enableExperimentalFeature("Lifetimes"), .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("InternalImportsByDefault"),
            ]),
    ]
)
