// swift-tools-version: 6.2
import PackageDescription

// Layers, from top to bottom; a target depends only on targets of its own layer or of layers below it. `docs/architecture.md` has
// the rules, and `ArchitectureTests` holds them.
//
//     tapbridge, tapbridge-demo
//     CommandSupport   what the programs share: output, demonstration
//     TerminalService  the daemon
//     Terminal         one terminal;  TapbridgeKit  what it takes to embed one
//     Simulators       issuer, acquirer, host
//     Adapters         readers, backends and a journal that do I/O
//     Ports            protocols of readers and acquirers, with what needs no device
//     Machines         no I/O, no clock, no randomness
//     Foundations      values and codecs
//     System           module maps of C libraries

let settings: [SwiftSetting] = [
    // `~Escapable` readers over `Span` (BERTLV and its users).
    .enableExperimentalFeature("Lifetimes"),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

enum Layer: String {
    case system = "System"
    case foundations = "Foundations"
    case machines = "Machines"
    case ports = "Ports"
    case adapters = "Adapters"
    case simulators = "Simulators"
    /// Targets that are a layer by themselves.
    case own = ""

    func path(_ name: String) -> String { self == .own ? "Sources/\(name)" : "Sources/\(rawValue)/\(name)" }
}

func module(
    _ name: String, in layer: Layer, dependencies: [Target.Dependency] = [], exclude: [String] = [],
    resources: [Resource]? = nil
) -> Target {
    .target(
        name: name, dependencies: dependencies, path: layer.path(name), exclude: exclude,
        resources: resources,
        swiftSettings: settings)
}

func program(_ name: String, dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: name, dependencies: dependencies, path: "Sources/\(name)", swiftSettings: settings)
}

/// What several test targets share.
func testModule(
    _ name: String, path: String, dependencies: [Target.Dependency] = [], exclude: [String] = []
) -> Target {
    .target(
        name: name, dependencies: dependencies, path: "Tests/\(path)", exclude: exclude,
        swiftSettings: settings)
}

func tests(_ name: String, dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: settings)
}

extension Target.Dependency {
    static let argumentParser = product(name: "ArgumentParser", package: "swift-argument-parser")
    static let asyncHTTPClient = product(name: "AsyncHTTPClient", package: "async-http-client")
    static let grdb = product(name: "GRDB", package: "GRDB.swift")
    static let grdbSQLite = product(name: "GRDBSQLite", package: "GRDB.swift")
    static let hummingbird = product(name: "Hummingbird", package: "hummingbird")
    static let hummingbirdTesting = product(name: "HummingbirdTesting", package: "hummingbird")
    static let hummingbirdTLS = product(name: "HummingbirdTLS", package: "hummingbird")
    static let histogram = product(name: "Histogram", package: "hdrhistogram-swift")
    static let logging = product(name: "Logging", package: "swift-log")
    static let nioCore = product(name: "NIOCore", package: "swift-nio")
    static let nioEmbedded = product(name: "NIOEmbedded", package: "swift-nio")
    static let nioHTTP1 = product(name: "NIOHTTP1", package: "swift-nio")
    static let nioHTTPTypes = product(name: "NIOHTTPTypes", package: "swift-nio-extras")
    static let nioPosix = product(name: "NIOPosix", package: "swift-nio")
    static let nioSSL = product(name: "NIOSSL", package: "swift-nio-ssl")
    static let nioTLS = product(name: "NIOTLS", package: "swift-nio")
    static let serviceLifecycle = product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
    static let yams = product(name: "Yams", package: "Yams")
}

let package = Package(
    name: "tapbridge",
    products: [
        .executable(name: "tapbridge", targets: ["tapbridge"]),
        // The demonstration alone: no daemon, no HTTP, no reader's library.
        .executable(name: "tapbridge-demo", targets: ["tapbridge-demo"]),
        // What it takes to take a payment with an emulated reader.
        .library(name: "TapbridgeKit", targets: ["TapbridgeKit"]),
    ]
        + [
            "BERTLV", "SmartCard", "EMV", "EMVCryptography", "EMVDictionary", "ISO8583", "ISO8583Dialects",
            "Traces", "Kernels", "Cards", "PN532", "CardReaders", "Acquiring", "PCSCReaders", "LibNFCReaders",
            "RemoteReaders", "SoftwarePN532", "ISO8583Backend", "HTTPBackend", "AcquirerFiles", "Journal",
            "Issuing",
            "AcquirerSimulator", "AcquirerHost", "Terminal", "TerminalService",
        ].map { .library(name: $0, targets: [$0]) },
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
        // MARK: System
        .systemLibrary(
            name: "CLibCrypto", path: Layer.system.path("CLibCrypto"), pkgConfig: "libcrypto",
            providers: [.apt(["libssl-dev"])]),
        .systemLibrary(
            name: "CPCSC", path: Layer.system.path("CPCSC"), pkgConfig: "libpcsclite",
            providers: [.apt(["libpcsclite-dev"])]),
        .systemLibrary(
            name: "CNFC", path: Layer.system.path("CNFC"), pkgConfig: "libnfc",
            providers: [.apt(["libnfc-dev"])]),
        // libnfc's functions, without its abort().
        .target(name: "CNFCGuard", dependencies: ["CNFC"], path: Layer.system.path("CNFCGuard")),

        // MARK: Foundations
        module("BERTLV", in: .foundations),
        module("SmartCard", in: .foundations),
        // Values of EMV: data objects, bit fields, accounts, outcomes, response codes.
        module("EMV", in: .foundations, dependencies: ["BERTLV"]),
        // Cryptograms, offline data authentication, PIN blocks, DUKPT; the primitives are libcrypto's.
        module("EMVCryptography", in: .foundations, dependencies: ["EMV", "BERTLV", "CLibCrypto"]),
        // What data objects are called and what their values say.
        module("EMVDictionary", in: .foundations, dependencies: ["EMV", "EMVCryptography", "BERTLV"]),
        // X.509 certificates and P-256 keys, read and made by libcrypto.
        module("Certificates", in: .foundations, dependencies: ["CLibCrypto"]),
        // Where a user's files are.
        module("UserDirectories", in: .foundations),
        // Readable files with errors that name file and line.
        module("ProfileFile", in: .foundations, dependencies: ["BERTLV", "UserDirectories", .yams]),
        module("ISO8583", in: .foundations),
        // Dialects as YAML files, and those that come with the library.
        module(
            "ISO8583Dialects", in: .foundations, dependencies: ["ISO8583", "ProfileFile"],
            resources: [.embedInCode("Dialects")]),
        module("Traces", in: .foundations, dependencies: ["EMV", "BERTLV"]),

        // MARK: Machines
        module(
            "Kernels", in: .machines, dependencies: ["EMV", "EMVCryptography", "SmartCard", "BERTLV"],
            exclude: ["Kernel2/Coverage.md"]),
        // Emulated cards and phones.
        module(
            "Cards", in: .machines,
            dependencies: ["EMV", "EMVCryptography", "SmartCard", "ProfileFile", "BERTLV"],
            resources: [.embedInCode("Profiles"), .embedInCode("Keys/test-keys.txt")]),
        // A PN532 chip in software, with cards in its field.
        module("PN532", in: .machines, dependencies: ["SmartCard"]),

        // MARK: Ports
        // Readers: the protocol, and those that need no device (emulated, recording, replay).
        module("CardReaders", in: .ports, dependencies: ["SmartCard", "Traces", "BERTLV"]),
        // Acquirers: the protocol, requests and responses.
        module("Acquiring", in: .ports, dependencies: ["EMV"]),

        // MARK: Adapters
        module(
            "PCSCReaders", in: .adapters,
            dependencies: ["CardReaders", "SmartCard", "BERTLV", "CPCSC", "ProfileFile"],
            resources: [.embedInCode("Drivers")]),
        module(
            "LibNFCReaders", in: .adapters,
            dependencies: ["CardReaders", "SmartCard", "CNFC", "CNFCGuard"]),
        // The software PN532 on a pseudo-terminal.
        module("SoftwarePN532", in: .adapters, dependencies: ["PN532", "SmartCard"]),
        // TCP servers and connections over NIO that are executed or closed on every path.
        module("Networking", in: .adapters, dependencies: [.nioCore, .nioPosix]),
        // Readers on other machines: server, client and their test certificates.
        module(
            "RemoteReaders", in: .adapters,
            dependencies: ["Certificates", "CardReaders", "SmartCard", .nioCore, .nioPosix, .nioSSL],
            exclude: ["Protocol.md"]),
        // The acquirer protocol as JSON over HTTP: client, server, and the document that describes it.
        module(
            "HTTPBackend", in: .adapters,
            dependencies: [
                "Acquiring", "EMV", "EMVCryptography", "BERTLV", "ProfileFile", "Networking", "EMVDictionary",
                .asyncHTTPClient, .nioCore, .nioPosix, .nioHTTP1, .nioSSL,
            ],
            resources: [.embedInCode("openapi.yaml")]),
        // An acquirer's host over ISO 8583.
        module(
            "ISO8583Backend", in: .adapters,
            dependencies: [
                "Acquiring", "BERTLV", "EMV", "EMVCryptography", "EMVDictionary", "ISO8583",
                "ISO8583Dialects", "ProfileFile", "Networking", .nioCore, .nioPosix, .nioTLS, .nioSSL,
            ],
            resources: [.embedInCode("Samples")]),
        // Acquirer files, whatever backend they name.
        module(
            "AcquirerFiles", in: .adapters,
            dependencies: ["Acquiring", "HTTPBackend", "ISO8583Backend", "ProfileFile"]),
        module(
            "Journal", in: .adapters,
            dependencies: ["EMV", "EMVCryptography", "BERTLV", "EMVDictionary", "UserDirectories", .grdb]),

        // MARK: Simulators
        module(
            "Issuing", in: .simulators,
            dependencies: ["EMV", "EMVCryptography", "EMVDictionary", "ProfileFile", "BERTLV"],
            resources: [.embedInCode("Worlds")]),
        module(
            "AcquirerSimulator", in: .simulators,
            dependencies: ["Acquiring", "EMV", "EMVCryptography", "Issuing", "BERTLV"]),
        // The simulated acquirer as a server of its own.
        module(
            "AcquirerHost", in: .simulators,
            dependencies: [
                "Acquiring", "AcquirerSimulator", "EMV", "ISO8583", "ISO8583Backend", "Networking",
                "EMVCryptography", "Issuing", "BERTLV", "EMVDictionary", .nioCore, .nioPosix, .nioSSL,
            ]),

        // MARK: Terminal
        module(
            "Terminal", in: .own,
            dependencies: [
                "Kernels", "CardReaders", "Acquiring", "Journal", "Traces", "ProfileFile", "BERTLV", "EMV",
                "EMVCryptography", "EMVDictionary", "SmartCard", .logging,
            ],
            resources: [.embedInCode("Profiles")]),
        // Terminal, cards, simulator and the values that they speak, under one import.
        module(
            "TapbridgeKit", in: .own,
            dependencies: [
                "Terminal", "Kernels", "Cards", "CardReaders", "Acquiring", "AcquirerSimulator", "Issuing",
                "Journal", "EMV", "EMVCryptography", "SmartCard", "Traces",
            ]),

        // MARK: Daemon
        // HTTP API, live events, console page, metrics, lifecycle.
        module(
            "TerminalService", in: .own,
            dependencies: [
                "Terminal", "Cards", "AcquirerFiles", "LibNFCReaders", "RemoteReaders", "ProfileFile",
                "Networking", "EMVDictionary", "BERTLV", "SmartCard", "EMV", "EMVCryptography", "Traces",
                "Kernels", "CardReaders", "Acquiring", "Journal", "UserDirectories", .hummingbird,
                .hummingbirdTLS, .serviceLifecycle, .logging, .nioCore, .nioPosix, .nioHTTP1, .nioHTTPTypes,
                .nioSSL, .yams,
            ],
            resources: [
                .embedInCode("Configuration/tapbridge.yaml"), .embedInCode("API/openapi.yaml"),
                .embedInCode("Console/Page"),
            ]),

        // MARK: Programs
        // What the programs share: output for people and programs, the user's state, the demonstration.
        module(
            "CommandSupport", in: .own,
            dependencies: [
                "Terminal", "Kernels", "Cards", "CardReaders", "Acquiring", "AcquirerSimulator", "Issuing",
                "Journal", "Traces", "SmartCard", "BERTLV", "EMV", "EMVCryptography", "EMVDictionary",
                "ProfileFile", "UserDirectories", .argumentParser,
            ]),
        program("tapbridge-demo", dependencies: ["CommandSupport", .argumentParser]),
        program(
            "tapbridge",
            dependencies: [
                "CommandSupport", "Terminal", "TerminalService", "Cards", "Issuing", "AcquirerSimulator",
                "BERTLV", "EMVDictionary", "ISO8583", "ISO8583Dialects", "ISO8583Backend", "AcquirerHost",
                "AcquirerFiles", "HTTPBackend", "PN532", "SoftwarePN532", "PCSCReaders", "LibNFCReaders",
                "RemoteReaders", "SmartCard", "EMV", "EMVCryptography", "ProfileFile", "Traces", "Kernels",
                "CardReaders", "Acquiring", "Journal", .argumentParser, .histogram,
            ]),

        // MARK: Tests
        // What all tests share: programs of Tests/Oracles, seeded random numbers, waiting, what tests need.
        testModule("TestTools", path: "TestTools"),
        // A private pcscd with virtual readers, for several test targets.
        testModule(
            "TestSupport", path: "TestSupport",
            dependencies: ["TestTools", "SmartCard"], exclude: ["ReaderDriver"]),
        // Transactions with genuine cards, altered or not, for several test targets.
        testModule(
            "KernelTesting", path: "KernelTesting",
            dependencies: ["Kernels", "EMV", "EMVCryptography", "BERTLV", "SmartCard", "Cards"]),
        tests("ArchitectureTests", dependencies: []),
        tests("BERTLVTests", dependencies: ["TestTools", "BERTLV"]),
        tests("SmartCardTests", dependencies: ["TestTools", "SmartCard"]),
        tests("EMVCoreTests", dependencies: ["TestTools", "EMV", "BERTLV", "EMVDictionary"]),
        tests("EMVCryptoTests", dependencies: ["TestTools", "EMV", "EMVCryptography", "BERTLV"]),
        tests(
            "EMVDictionaryTests",
            dependencies: ["TestTools", "EMV", "EMVCryptography", "EMVDictionary", "BERTLV"]),
        tests("CertificatesTests", dependencies: ["Certificates"]),
        tests("UserDirectoriesTests", dependencies: ["UserDirectories"]),
        tests(
            "ISO8583Tests",
            dependencies: [
                "TestTools", "ISO8583", "ISO8583Dialects", "BERTLV", "ProfileFile", "EMVCryptography",
            ]),
        tests(
            "TracesTests",
            dependencies: ["Traces", "EMV", "BERTLV"]),
        tests(
            "KernelsTests",
            dependencies: [
                "KernelTesting", "Kernels", "EMV", "EMVCryptography", "BERTLV", "SmartCard", "Cards",
            ]),
        tests(
            "CardsTests",
            dependencies: [
                "TestTools", "Cards", "Kernels", "EMV", "EMVCryptography", "BERTLV", "SmartCard",
                "ProfileFile",
            ]),
        tests(
            "PN532Tests",
            dependencies: [
                "TestTools", "PN532", "CardReaders", "LibNFCReaders", "Cards", "SmartCard", "Terminal",
                "Kernels", "EMV", "TestSupport", "PCSCReaders", "SoftwarePN532",
            ]),
        tests(
            "ReadersTests",
            dependencies: [
                "TestTools", "CardReaders", "PCSCReaders", "LibNFCReaders", "SmartCard", "Cards", "Traces",
                "TestSupport",
            ]),
        tests(
            "RemoteReadersTests",
            dependencies: [
                "TestTools", "RemoteReaders", "CardReaders", "Cards", "EMV", "Kernels", "SmartCard",
                "Terminal", "Networking", "TestSupport", .nioCore, .nioPosix, .nioSSL,
            ]),
        tests(
            "IssuingTests",
            dependencies: ["TestTools", "Issuing", "EMV", "EMVCryptography", "BERTLV", "ProfileFile"]),
        tests(
            "AcquiringTests",
            dependencies: ["Acquiring", "AcquirerSimulator", "Issuing", "EMV", "EMVCryptography", "BERTLV"]),
        tests(
            "JournalTests",
            dependencies: ["TestTools", "Journal", "EMV", "EMVCryptography", "BERTLV", .grdb, .grdbSQLite]),
        tests(
            "HTTPBackendTests",
            dependencies: [
                "TestTools", "HTTPBackend", "Acquiring", "AcquirerSimulator", "Issuing", "Terminal", "Cards",
                "CardReaders", "Journal", "Networking", "EMV", "EMVCryptography", "BERTLV", "ProfileFile",
                .yams, .asyncHTTPClient, .nioCore, .nioPosix, .nioHTTP1,
            ]),
        tests(
            "AcquirerHostTests",
            dependencies: [
                "TestTools", "AcquirerHost", "ISO8583Backend", "Acquiring", "AcquirerSimulator", "Issuing",
                "ISO8583", "ISO8583Dialects", "EMV", "EMVCryptography", "Networking", "BERTLV", "ProfileFile",
                "Cards", "CardReaders", "Terminal", "Journal", .nioCore, .nioPosix,
            ]),
        tests(
            "TerminalTests",
            dependencies: [
                "TestTools", "Terminal", "Kernels", "Cards", "CardReaders", "Acquiring", "AcquirerSimulator",
                "Issuing", "Journal", "Traces", "EMV", "EMVCryptography", "BERTLV", "SmartCard",
                "ProfileFile", "TestSupport", "PCSCReaders",
            ]),
        tests(
            "TerminalServiceTests",
            dependencies: [
                "TerminalService", "Terminal", "Cards", "CardReaders", "RemoteReaders", "Acquiring",
                "AcquirerSimulator", "Issuing", "Journal", "EMV", "EMVCryptography", "TestTools", "ISO8583",
                "ISO8583Dialects", "ISO8583Backend", "HTTPBackend", "AcquirerHost", "ProfileFile",
                "PCSCReaders", .hummingbird, .hummingbirdTesting, .yams,
            ]),
        tests(
            "CommandLineTests",
            dependencies: [
                "tapbridge", "tapbridge-demo", "TestTools", "TestSupport", "Cards", "CardReaders",
                "RemoteReaders", "SmartCard",
            ]),
        // All that takes bytes from outside, with what must hold for every input: for libFuzzer and for the tests.
        testModule(
            "FuzzTargets", path: "Fuzzing/Targets",
            dependencies: [
                "TestTools", "KernelTesting", "BERTLV", "SmartCard", "EMV", "EMVCryptography",
                "EMVDictionary", "Kernels", "Cards", "Traces", "PN532", "CardReaders", "PCSCReaders",
                "LibNFCReaders", "RemoteReaders", "Issuing", "Acquiring", "AcquirerSimulator", "HTTPBackend",
                "ISO8583", "ISO8583Dialects", "ISO8583Backend", "Journal", "ProfileFile", "Terminal",
                "TerminalService", .hummingbird, .logging, .nioCore, .nioEmbedded, .nioHTTP1,
            ]),
        tests("FuzzReplayTests", dependencies: ["FuzzTargets", "BERTLV"]),
        // Payments, recovery and store-and-forward under a deterministic simulator: card, host, journal, clock and crashes from a
        // seed. `make simulate`.
        testModule(
            "PaymentSimulation", path: "Simulation/Model",
            dependencies: ["Terminal", "Journal", "Acquiring", "EMV"]),
        .executableTarget(
            name: "simulate", dependencies: ["PaymentSimulation"], path: "Tests/Simulation/Command",
            swiftSettings: settings),
        tests(
            "SimulationTests", dependencies: ["PaymentSimulation", "Terminal", "Journal", "Acquiring", "EMV"]),
    ]
)

// `make fuzz` alone builds the driver: it needs libFuzzer, which the compiler links with `-sanitize=fuzzer`.
if Context.environment["TAPBRIDGE_FUZZING"] != nil {
    package.targets += [
        .systemLibrary(name: "CLibFuzzer", path: "Tests/Fuzzing/CLibFuzzer"),
        .executableTarget(
            name: "fuzzer", dependencies: ["FuzzTargets", "BERTLV", "CLibFuzzer"],
            path: "Tests/Fuzzing/Driver", swiftSettings: settings),
    ]
}
