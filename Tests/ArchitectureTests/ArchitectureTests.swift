import Foundation
import Testing

/// What the manifest declares and the files import.
enum Manifest {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    struct Target {
        var name: String
        /// Relative to the repository.
        var folder: String
        /// The layer's folder; a target's own name where it is a layer by itself.
        var layer: String
        var dependencies: Set<String>
        var isTest: Bool
    }

    /// From top to bottom.
    static let layers = [
        ["tapbridge", "tapbridge-demo"], ["CommandSupport"], ["TerminalService"], ["TapbridgeKit"],
        ["Terminal"], ["Simulators"], ["Adapters"], ["Ports"], ["Machines"], ["Foundations"], ["System"],
    ]
    static func rank(_ layer: String) throws -> Int {
        try #require(layers.firstIndex { $0.contains(layer) }, "no layer \(layer)")
    }

    /// The targets as the manifest declares them.
    static let targets: [Target] = {
        guard let text = try? String(contentsOf: root.appending(path: "Package.swift"), encoding: .utf8)
        else { return [] }
        let kinds =
            /(module|program|testModule|tests)\(\s*"([\w-]+)"(?:,\s*in: \.(\w+)|,\s*path: "([^"]+)")?(?:,\s*dependencies: \[([^\]]*)\])?/
        return text.matches(of: kinds).map { match in
            let name = String(match.2)
            let own = (match.3 ?? "own") == "own"
            let layer = own ? name : (match.3 ?? "").prefix(1).uppercased() + (match.3 ?? "").dropFirst()
            let folder =
                switch match.1 {
                case "module": own ? "Sources/\(name)" : "Sources/\(layer)/\(name)"
                case "program": "Sources/\(name)"
                default: "Tests/\(match.4.map(String.init) ?? name)"
                }
            let dependencies = (match.5 ?? "").matches(of: /"([\w-]+)"/).map { String($0.1) }
            return Target(
                name: name, folder: folder, layer: layer, dependencies: Set(dependencies),
                isTest: match.1 == "tests" || match.1 == "testModule")
        }
    }()

    static func sources(_ folder: String) -> [URL] {
        let files = FileManager.default.enumerator(
            at: root.appending(path: folder), includingPropertiesForKeys: nil)
        return (files?.allObjects as? [URL] ?? []).filter { $0.pathExtension == "swift" }
    }

    /// The modules that a file imports.
    static func imports(_ file: URL) throws -> Set<String> {
        let text = try String(contentsOf: file, encoding: .utf8)
        let lines = text.matches(
            of:
                /(?m)^(?:@\w+(?:\(\w+\))? )*(?:(?:public|package|internal|private|fileprivate) )?import (?:(?:struct|class|enum|protocol|func|typealias) )?(\w+)/
        )
        return Set(lines.map { String($0.1) })
    }

    /// Which targets may import a module; those that are not here may be imported by any.
    static let importers: [(module: String, by: Set<String>)] = [
        ("CLibCrypto", ["EMVCryptography", "Certificates"]), ("CPCSC", ["PCSCReaders"]),
        ("CNFC", ["LibNFCReaders"]), ("CNFCGuard", ["LibNFCReaders"]), ("GRDB", ["Journal"]),
        ("Yams", ["ProfileFile", "TerminalService"]),
    ]
}

/// What `docs/architecture.md` says of layers and imports, held against `Package.swift` and every source file.
@Suite struct ArchitectureTests {
    @Test("The manifest was read: programs, modules and tests are there")
    func manifest() throws {
        #expect(Manifest.targets.count > 50)
        for name in ["tapbridge", "Kernels", "BERTLV", "TerminalService", "KernelsTests", "FuzzTargets"] {
            #expect(Manifest.targets.contains { $0.name == name }, "\(name)")
        }
        for target in Manifest.targets {
            #expect(!Manifest.sources(target.folder).isEmpty, "\(target.folder) is empty")
        }
    }

    @Test("Every folder of Sources belongs to a target, and every layer to the table of the page")
    func folders() throws {
        let page = try String(
            contentsOf: Manifest.root.appending(path: "docs/architecture.md"), encoding: .utf8)
        let folders = Set(Manifest.targets.map(\.folder))
        for file in Manifest.sources("Sources") {
            let path = file.path.dropFirst(Manifest.root.path.count + 1)
            #expect(folders.contains { path.hasPrefix($0 + "/") }, "\(path) belongs to no target")
        }
        for target in Manifest.targets where !target.isTest {
            #expect(page.contains("`\(target.name)`"), "the page does not name \(target.name)")
        }
    }

    @Test("Targets depend on their own layer and on those below", arguments: Manifest.targets.map(\.name))
    func arrows(_ name: String) throws {
        let target = try #require(Manifest.targets.first { $0.name == name })
        guard !target.isTest else { return }
        let own = try Manifest.rank(target.layer)
        for dependency in target.dependencies {
            guard let other = Manifest.targets.first(where: { $0.name == dependency }) else { continue }
            #expect(!other.isTest, "\(name) depends on the test module \(dependency)")
            #expect(
                try Manifest.rank(other.layer) >= own,
                "\(name) (\(target.layer)) depends on \(dependency) (\(other.layer))")
        }
    }

    @Test(
        "What is imported is declared, and what is declared is imported",
        arguments: Manifest.targets.map(\.name))
    func declared(_ name: String) throws {
        let target = try #require(Manifest.targets.first { $0.name == name })
        // The C modules are declared in their own words.
        let names = Set(Manifest.targets.map(\.name)).union(["CLibCrypto", "CPCSC", "CNFC", "CNFCGuard"])
        var imported: Set<String> = []
        for file in Manifest.sources(target.folder) {
            let found = try Manifest.imports(file).intersection(names).subtracting([name])
            #expect(
                found.isSubset(of: target.dependencies),
                "\(file.lastPathComponent) imports \(found.subtracting(target.dependencies).sorted()), which \(name) does not declare"
            )
            imported.formUnion(found)
        }
        let programs: Set = ["tapbridge", "tapbridge-demo"]
        #expect(
            target.dependencies.subtracting(imported).subtracting(programs).isEmpty,
            "\(name) imports nowhere: \(target.dependencies.subtracting(imported).sorted())")
    }

    @Test(
        "C libraries, YAML and the database are imported where the page says", arguments: Manifest.importers)
    func importers(module: String, by allowed: Set<String>) throws {
        for target in Manifest.targets where !target.isTest && !allowed.contains(target.name) {
            for file in Manifest.sources(target.folder) {
                #expect(
                    try !Manifest.imports(file).contains(module),
                    "\(target.name)/\(file.lastPathComponent) imports \(module)")
            }
        }
    }

    @Test("Terminal, the kit and what the programs share link neither NIO nor HTTP nor a reader's library")
    func lean() throws {
        for name in ["tapbridge-demo", "CommandSupport", "TapbridgeKit", "Terminal"] {
            var seen: Set<String> = []
            var queue = [name]
            while let next = queue.popLast() {
                guard seen.insert(next).inserted,
                    let target = Manifest.targets.first(where: { $0.name == next })
                else { continue }
                queue += target.dependencies
                for file in Manifest.sources(target.folder) {
                    let heavy = try Manifest.imports(file).filter {
                        $0.hasPrefix("NIO") || $0.hasPrefix("HTTP") || $0 == "AsyncHTTPClient"
                            || $0 == "Hummingbird"
                            || $0 == "CPCSC" || $0 == "CNFC"
                    }
                    #expect(heavy.isEmpty, "\(name) > \(next)/\(file.lastPathComponent): \(heavy.sorted())")
                }
            }
        }
    }

    @Test("Machines do no I/O, read no clock and draw no random numbers of their own")
    func machines() throws {
        let clocksAndFiles =
            /\b(?:ContinuousClock|SuspendingClock|SystemRandomNumberGenerator|FileManager|FileHandle|ProcessInfo|Task\.sleep|getenv|fopen)\b|\bDate\(\)/
        for target in Manifest.targets where target.layer == "Machines" {
            for file in Manifest.sources(target.folder) {
                let foreign = try Manifest.imports(file).intersection(["Foundation", "Glibc", "Dispatch"])
                #expect(foreign.isEmpty, "\(file.lastPathComponent) imports \(foreign.sorted())")
                for (number, line) in try String(contentsOf: file, encoding: .utf8).split(
                    separator: "\n", omittingEmptySubsequences: false
                ).enumerated() {
                    let code = String(line).components(separatedBy: "//")[0]
                    // Cards draw their unpredictable numbers from what they are given; this is the parameter's default.
                    if code.contains("random: any RandomNumberGenerator = SystemRandomNumberGenerator()") {
                        continue
                    }
                    let isPure =
                        code.firstMatch(of: clocksAndFiles) == nil
                        && (!code.contains(".random(") || code.contains("using:"))
                    #expect(isPure, "\(file.lastPathComponent):\(number + 1): \(line)")
                }
            }
        }
    }

    @Test("Kernels and cards share no code of a transaction")
    func cardsAndKernels() {
        let dependencies = Dictionary(
            uniqueKeysWithValues: Manifest.targets.map { ($0.name, $0.dependencies) })
        #expect(dependencies["Kernels"]?.contains("Cards") == false)
        #expect(dependencies["Cards"]?.contains("Kernels") == false)
    }
}
