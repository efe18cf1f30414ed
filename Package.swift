// swift-tools-version: 6.2
import PackageDescription

// The rooms of the house. Each target has one purpose; dependencies point only downwards.
// `Kernels` stays pure: it may use nothing that does I/O, reads a clock or draws random numbers.

let common: [SwiftSetting] = [
    // `~Escapable` readers over `Span` (BERTLV and its users).
    .enableExperimentalFeature("Lifetimes"),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
    name: "tapbridge",
    products: [
        .executable(name: "tapbridge", targets: ["tapbridge"]),
        .library(name: "BERTLV", targets: ["BERTLV"]),
        .library(name: "SmartCard", targets: ["SmartCard"]),
        .library(name: "EMV", targets: ["EMV"]),
        .library(name: "Kernels", targets: ["Kernels"]),
        .library(name: "Cards", targets: ["Cards"]),
        .library(name: "Traces", targets: ["Traces"]),
        .library(name: "PN532", targets: ["PN532"]),
        .library(name: "Readers", targets: ["Readers"]),
        .library(name: "RemoteReaders", targets: ["RemoteReaders"]),
        .library(name: "Issuing", targets: ["Issuing"]),
        .library(name: "Acquiring", targets: ["Acquiring"]),
        .library(name: "HTTPBackend", targets: ["HTTPBackend"]),
        .library(name: "Journal", targets: ["Journal"]),
        .library(name: "ISO8583", targets: ["ISO8583"]),
        .library(name: "ISO8583Backend", targets: ["ISO8583Backend"]),
        .library(name: "AcquirerHost", targets: ["AcquirerHost"]),
        .library(name: "Terminal", targets: ["Terminal"]),
        .library(name: "TerminalService", targets: ["TerminalService"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.30.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.4.3"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        // System libraries.
        .systemLibrary(
            name: "CLibCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(
            name: "CPCSC", pkgConfig: "libpcsclite", providers: [.apt(["libpcsclite-dev"])]),
        .systemLibrary(name: "CNFC", pkgConfig: "libnfc", providers: [.apt(["libnfc-dev"])]),
        // libnfc's functions, without its abort().
        .target(name: "CNFCGuard", dependencies: ["CNFC"]),

        // Pure rooms.
        .target(name: "BERTLV", swiftSettings: common),
        .target(name: "SmartCard", swiftSettings: common),
        // A PN532 chip in software, with cards in its field.
        .target(name: "PN532", dependencies: ["SmartCard"], swiftSettings: common),
        .target(name: "EMV", dependencies: ["BERTLV", "CLibCrypto"], swiftSettings: common),
        .target(
            name: "Kernels", dependencies: ["EMV", "SmartCard"], exclude: ["Kernel2/Coverage.md"],
            swiftSettings: common),
        // X.509 certificates and P-256 keys, read and made by libcrypto.
        .target(name: "Certificates", dependencies: ["CLibCrypto"], swiftSettings: common),
        // Readable files with errors that name file and line.
        .target(
            name: "ProfileFile", dependencies: ["BERTLV", .product(name: "Yams", package: "Yams")],
            swiftSettings: common),
        .target(
            name: "ISO8583", dependencies: ["ProfileFile"],
            resources: [.embedInCode("Dialects")], swiftSettings: common),
        .target(
            name: "Cards",
            dependencies: ["EMV", "SmartCard", "ProfileFile"],
            resources: [.embedInCode("Profiles"), .embedInCode("Keys/test-keys.txt")],
            swiftSettings: common),
        .target(name: "Traces", dependencies: ["SmartCard", "EMV"], swiftSettings: common),
        .target(
            name: "Issuing", dependencies: ["EMV", "ProfileFile"], resources: [.embedInCode("Worlds")],
            swiftSettings: common),

        // Rooms that touch the world.
        .target(
            name: "Readers",
            dependencies: ["SmartCard", "Traces", "BERTLV", "CPCSC", "CNFC", "CNFCGuard", "ProfileFile"],
            resources: [.embedInCode("PCSC/Drivers")],
            swiftSettings: common),
        // TCP servers and connections over NIO that are executed or closed on every path.
        .target(
            name: "Networking",
            dependencies: [
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: common),
        // Readers on other machines: server, client and their test certificates.
        .target(
            name: "RemoteReaders",
            dependencies: [
                "Certificates", "Readers", "SmartCard",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            exclude: ["Protocol.md"],
            swiftSettings: common),
        .target(
            name: "Acquiring", dependencies: ["EMV", "Issuing"], swiftSettings: common),
        // The acquirer protocol as JSON over HTTP: client, server, and the document that describes it.
        .target(
            name: "HTTPBackend",
            dependencies: [
                "Acquiring", "EMV", "BERTLV", "ProfileFile", "Networking",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            resources: [.embedInCode("openapi.yaml")],
            swiftSettings: common),
        // An acquirer's host over ISO 8583.
        .target(
            name: "ISO8583Backend",
            dependencies: [
                "Acquiring", "BERTLV", "EMV", "ISO8583", "ProfileFile", "Networking",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            resources: [.embedInCode("Samples")], swiftSettings: common),
        // The simulated acquirer as a server of its own.
        .target(
            name: "AcquirerHost",
            dependencies: [
                "Acquiring", "EMV", "ISO8583", "ISO8583Backend", "Networking",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            swiftSettings: common),
        .target(
            name: "Journal",
            dependencies: ["EMV", "BERTLV", .product(name: "GRDB", package: "GRDB.swift")],
            swiftSettings: common),
        .target(
            name: "Terminal",
            dependencies: [
                "Kernels", "Readers", "Acquiring", "Journal", "Traces", "ProfileFile", "BERTLV",
                .product(name: "Logging", package: "swift-log"),
            ],
            resources: [.embedInCode("Profiles")],
            swiftSettings: common),
        // The daemon: HTTP API, live events, console page, metrics, lifecycle.
        .target(
            name: "TerminalService",
            dependencies: [
                "Terminal", "Cards", "Issuing", "ISO8583", "ISO8583Backend", "HTTPBackend", "RemoteReaders",
                "ProfileFile", "Networking",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdTLS", package: "hummingbird"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "Yams", package: "Yams"),
            ],
            resources: [
                .embedInCode("Configuration/tapbridge.yaml"), .embedInCode("API/openapi.yaml"),
                .embedInCode("Console/Page"),
            ],
            swiftSettings: common),
        .executableTarget(
            name: "tapbridge",
            dependencies: [
                "Terminal", "TerminalService", "Cards", "Issuing", "BERTLV", "ISO8583", "ISO8583Backend",
                "AcquirerHost",
                "HTTPBackend", "PN532", "RemoteReaders",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                // The benchmark's bare SQLite loop.
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ],
            swiftSettings: common),

        // Tests.
        // What the tests of all rooms share: programs of Tests/Oracles, seeded random numbers, waiting, what tests need.
        .target(name: "TestTools", path: "Tests/TestTools", swiftSettings: common),
        .testTarget(name: "BERTLVTests", dependencies: ["TestTools", "BERTLV"], swiftSettings: common),
        .testTarget(
            name: "ISO8583Tests", dependencies: ["TestTools", "ISO8583", "BERTLV", "EMV", "ProfileFile"],
            swiftSettings: common),
        .testTarget(name: "CertificatesTests", dependencies: ["Certificates"], swiftSettings: common),
        .testTarget(name: "SmartCardTests", dependencies: ["TestTools", "SmartCard"], swiftSettings: common),
        .testTarget(
            name: "EMVDictionaryTests", dependencies: ["TestTools", "EMV", "BERTLV"], swiftSettings: common),
        .testTarget(
            name: "EMVCryptoTests", dependencies: ["TestTools", "EMV", "BERTLV"], swiftSettings: common),
        .testTarget(
            name: "EMVCoreTests", dependencies: ["TestTools", "EMV", "BERTLV"], swiftSettings: common),
        // Transactions with genuine cards, spoilt or not, for the tests of several rooms.
        .target(
            name: "KernelTesting", dependencies: ["Kernels", "EMV", "BERTLV", "SmartCard", "Cards"],
            path: "Tests/KernelTesting", swiftSettings: common),
        .testTarget(
            name: "KernelsTests",
            dependencies: ["KernelTesting", "Kernels", "EMV", "BERTLV", "SmartCard", "Cards"],
            swiftSettings: common),
        .testTarget(
            name: "JournalTests",
            dependencies: [
                "TestTools", "Journal", "EMV", "BERTLV", .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ],
            swiftSettings: common),
        .testTarget(
            name: "TerminalTests",
            dependencies: [
                "TestTools", "Terminal", "Kernels", "Cards", "Readers", "Acquiring", "Issuing", "Journal",
                "Traces", "EMV",
                "BERTLV", "SmartCard", "ProfileFile", "TestSupport",
            ],
            swiftSettings: common),
        .testTarget(
            name: "CommandLineTests",
            dependencies: [
                "tapbridge", "TestTools", "TestSupport", "Traces", "Cards", "Readers", "RemoteReaders",
                "SmartCard",
            ],
            swiftSettings: common),
        .testTarget(
            name: "CardsTests",
            dependencies: ["TestTools", "Cards", "Kernels", "EMV", "BERTLV", "SmartCard", "ProfileFile"],
            swiftSettings: common),
        .testTarget(
            name: "TerminalServiceTests",
            dependencies: [
                "TerminalService", "Terminal", "Cards", "Readers", "RemoteReaders", "Acquiring", "Issuing",
                "Journal", "EMV",
                "SmartCard", "TestTools", "TestSupport", "ISO8583", "ISO8583Backend", "AcquirerHost",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdTesting", package: "hummingbird"),
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: common),
        .testTarget(
            name: "IssuingTests", dependencies: ["TestTools", "Issuing", "EMV"], swiftSettings: common),
        .testTarget(
            name: "AcquirerHostTests",
            dependencies: [
                "TestTools", "AcquirerHost", "ISO8583Backend", "Acquiring", "Issuing", "ISO8583", "EMV",
                "Networking",
                "BERTLV", "ProfileFile",
                "Cards", "Readers", "Terminal", "Kernels", "Journal",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: common),
        .testTarget(
            name: "AcquiringTests", dependencies: ["Acquiring", "Issuing", "EMV"], swiftSettings: common),
        .testTarget(
            name: "HTTPBackendTests",
            dependencies: [
                "TestTools", "HTTPBackend", "Acquiring", "Issuing", "Terminal", "Cards", "Readers", "Journal",
                "Networking",
                "EMV", "BERTLV",
                "ProfileFile",
                .product(name: "Yams", package: "Yams"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: common),
        // A private pcscd with virtual readers, for the tests of several rooms.
        .target(
            name: "TestSupport", dependencies: ["TestTools", "SmartCard", "Readers"],
            path: "Tests/TestSupport",
            exclude: ["ReaderDriver"], swiftSettings: common),
        .testTarget(
            name: "ReadersTests",
            dependencies: ["TestTools", "Readers", "SmartCard", "Cards", "Traces", "BERTLV", "TestSupport"],
            swiftSettings: common),
        .testTarget(
            name: "RemoteReadersTests",
            dependencies: [
                "TestTools", "RemoteReaders", "Readers", "SmartCard", "Cards", "Terminal", "Kernels",
                "Networking",
                "TestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            swiftSettings: common),
        .testTarget(
            name: "PN532Tests",
            dependencies: [
                "TestTools", "PN532", "Readers", "Cards", "SmartCard", "Terminal", "Kernels", "EMV",
                "TestSupport",
            ], swiftSettings: common),
        .testTarget(
            name: "TracesTests", dependencies: ["Traces", "Readers", "SmartCard", "EMV", "BERTLV"],
            swiftSettings: common),
        // All that takes bytes from outside, with what must hold for every input: for libFuzzer and for the tests.
        .target(
            name: "FuzzTargets",
            dependencies: [
                "TestTools", "KernelTesting", "BERTLV", "SmartCard", "EMV", "Kernels", "Cards", "Traces",
                "PN532",
                "Readers", "RemoteReaders", "Issuing", "Acquiring", "HTTPBackend", "ISO8583",
                "ISO8583Backend",
                "Journal", "ProfileFile", "Terminal", "TerminalService",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            path: "Tests/Fuzzing/Targets", swiftSettings: common),
        .testTarget(
            name: "FuzzReplayTests", dependencies: ["FuzzTargets", "BERTLV"], swiftSettings: common),
        // Payments, recovery and store-and-forward under a deterministic simulator: card, host, journal, clock and crashes from a
        // seed. `make simulate`.
        .target(
            name: "PaymentSimulation", dependencies: ["Terminal", "Journal", "Acquiring", "EMV"],
            path: "Tests/Simulation/Model", swiftSettings: common),
        .executableTarget(
            name: "simulate", dependencies: ["PaymentSimulation"], path: "Tests/Simulation/Command",
            swiftSettings: common),
        .testTarget(
            name: "SimulationTests",
            dependencies: ["PaymentSimulation", "Terminal", "Journal", "Acquiring", "EMV"],
            swiftSettings: common),
    ]
)

// `make fuzz` alone builds the driver: it needs libFuzzer, which the compiler links with `-sanitize=fuzzer`.
if Context.environment["TAPBRIDGE_FUZZING"] != nil {
    package.targets += [
        .systemLibrary(name: "CLibFuzzer", path: "Tests/Fuzzing/CLibFuzzer"),
        .executableTarget(
            name: "fuzzer", dependencies: ["FuzzTargets", "BERTLV", "CLibFuzzer"],
            path: "Tests/Fuzzing/Driver",
            swiftSettings: common),
    ]
}
