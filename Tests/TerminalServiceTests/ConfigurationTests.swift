import Foundation
import TerminalService
import TestTools
import Testing
import Yams

/// What is wrong in a text, as `line: path: reason`.
private func mistakes(_ text: String) -> [String] {
    do throws(ConfigurationMistakes) {
        _ = try DaemonConfiguration(text: text)
        return []
    } catch {
        return error.mistakes.map { "\($0.line.map(String.init) ?? "-"): \($0.path): \($0.reason)" }
    }
}

@Suite("Configuration")
struct ConfigurationTests {
    @Test("the annotated default is the default")
    func annotatedDefault() throws {
        #expect(try DaemonConfiguration(text: DaemonConfiguration.defaultText) == DaemonConfiguration())
    }

    /// The table of settings (documentation, schema, environment) against the annotated file, read by Yams.
    @Test("table, annotated file and reader know the same settings with the same defaults")
    func table() throws {
        let file = try #require(try Yams.load(yaml: DaemonConfiguration.defaultText) as? [String: Any])
        var found: [String: String] = [:]
        func walk(_ value: Any, _ path: String) {
            if let mapping = value as? [String: Any], mapping.isEmpty {
                found[path] = "{}"
            } else if path != "terminals", let mapping = value as? [String: Any] {
                for (key, value) in mapping { walk(value, path.isEmpty ? key : "\(path).\(key)") }
            } else {
                found[path] = value is NSNull ? "" : "\(value)"
            }
        }
        walk(file, "")
        #expect(Set(found.keys) == Set(ConfigurationSetting.all.map(\.key)))
        for setting in ConfigurationSetting.all {
            switch setting.key {
            case "terminals": break
            default: #expect(found[setting.key] == setting.defaultValue ?? "", "\(setting.key)")
            }
            // The reader takes each as an override: it is known there, too.
            var sources = ConfigurationSources()
            sources.environment = [setting.variable: "{"]
            do throws(ConfigurationMistakes) {
                _ = try DaemonConfiguration(sources)
                Issue.record("\(setting.variable) is not read")
            } catch {
                #expect(error.mistakes.contains { $0.file == setting.variable }, "\(setting.key): \(error)")
            }
        }
    }

    @Test("an empty file changes nothing")
    func empty() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "\(UUID().uuidString).yaml").path
        try "# nothing\n".write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        #expect(try DaemonConfiguration(ConfigurationSources(file: path)) == DaemonConfiguration())
    }

    @Test("flags beat the environment, which beats the file")
    func precedence() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "\(UUID().uuidString).yaml").path
        try """
        listen: {port: 1}
        log: {level: debug}
        limits: {burst: 7, body: 64 KiB}
        terminals: [{id: TERM0009}]
        """.write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let configuration = try DaemonConfiguration(
            ConfigurationSources(
                file: path,
                environment: [
                    "TAPBRIDGE_LISTEN_PORT": "2", "TAPBRIDGE_LOG_LEVEL": "error", "HOME": "/",
                    "TAPBRIDGE_TERMINALS": "[{id: b, count: 3}, {reader: pcsc}]",
                    "TAPBRIDGE_LIMITS_BURST": "",
                ],
                flags: [.init("listen.port", option: "--port", .value(.integer(3)))]))
        #expect(configuration.listen.port == 3)
        #expect(configuration.log.level == .error)
        #expect(configuration.limits.burst == 7)
        #expect(configuration.limits.body == 65536)
        #expect(
            configuration.terminals == [
                .init(id: "b", count: 3), .init(reader: .pcsc(nil)),
            ])
        #expect(configuration.terminals[0].names == ["b0000001", "b0000002", "b0000003"])
        #expect(configuration.terminals[1].names == [nil])
    }

    @Test("every mistake is told, with its line")
    func everyMistake() {
        let found = mistakes(
            """
            listen:
              port: 80000
              adress: 127.0.0.1
              tls:
                certificate: /no/such/file.pem
                key: /no/such/key.pem
            tokens:
              - {name: a, role: admin, sha256: 00}
              - {name: "a b", role: observer}
            terminals:
              - id: averylongname
              - id: TERM0001
                reader: usb
              - count: 0
                raeder: pcsc
            log: {format: xml, level: loud}
            limits:
              body: 5 TB
              header-timeout: never
            stop-timeout: 2 days
            aquirer: x
            """)
        let expected = [
            ("2", "listen.port"), ("3", "listen"), ("5", "listen.tls.certificate"), ("6", "listen.tls.key"),
            ("8", "tokens[0].role"), ("8", "tokens[0].sha256"), ("9", "tokens[1].name"), ("9", "tokens[1]"),
            ("11", "terminals[0].id"), ("13", "terminals[1].reader"), ("14", "terminals[2].count"),
            ("15", "terminals[2]"), ("16", "log.format"), ("16", "log.level"), ("18", "limits.body"),
            ("19", "limits.header-timeout"), ("20", "stop-timeout"), ("21", ""),
        ]
        #expect(found.count == expected.count, "\(found.joined(separator: "\n"))")
        for (line, path) in expected {
            #expect(found.contains { $0.hasPrefix("\(line): \(path): ") }, "\(line) \(path) in \(found)")
        }
        #expect(found.contains { $0.contains("did you mean \"address\"?") })
        #expect(found.contains { $0.contains("did you mean \"acquirer\"?") })
        #expect(found.contains { $0.contains("did you mean \"reader\"?") })
    }

    @Test(
        "what cannot be together",
        arguments: [
            ("terminals: [{id: TERM0001}, {id: TERM0001}]", "another terminal of this name"),
            ("terminals: [{id: a, count: 2}, {id: a0000001}]", "another terminal of this name"),
            ("terminals: [{id: abcdefgh, count: 2}]", "more than 8 characters"),
            ("terminals: [{id: short}]", "expected 8 characters"),
            ("terminals: [{reader: pcsc, count: 2}]", "only emulated readers come in numbers"),
            (
                "terminals: [{id: TERM0001, reader: pcsc}, {id: TERM0002, reader: pcsc}]",
                "another terminal has the reader"
            ),
            ("listen: {tls: {certificate: /etc/hostname}}", "belong together"),
            ("listen: {address: 0.0.0.0}", "listen.tls a certificate"),
            ("listen: {address: 192.168.1.1}", "at least one token"),
            ("listen: {allowed-hosts: [\"*\"]}", "host name as clients write it"),
            ("listen: {allowed-hosts: till.example}", "expected a list"),
            ("listen: [1]", "expected keys and values"),
            ("terminals: [{profile: /no/such.yaml}]", "no such file"),
            ("acquirer: /no/such.yaml", "no such file"),
            ("certificates: /no/such/folder", "no ca.pem"),
            ("profile-folder: /etc/hostname", "no folder"),
            ("log: {level: debug", "not YAML"),
            ("stop-timeout: 30 s\nstop-timeout: 40 s", "twice"),
        ])
    func contradictions(_ text: String, _ reason: String) {
        #expect(mistakes(text).contains { $0.contains(reason) }, "\(mistakes(text))")
    }

    @Test("mistakes within files that are named have their own place")
    func namedFiles() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try "extends: built-in\nterminal: {id: TOO-LONG-A-NAME}\n".write(
            to: folder.appending(path: "till.yaml"), atomically: true, encoding: .utf8)
        try "terminals: [{profile: till.yaml}]\n".write(
            to: folder.appending(path: "tapbridge.yaml"), atomically: true, encoding: .utf8)
        do throws(ConfigurationMistakes) {
            _ = try DaemonConfiguration(
                ConfigurationSources(file: folder.appending(path: "tapbridge.yaml").path))
            Issue.record("the profile's mistake is not told")
        } catch {
            #expect(error.mistakes.first?.file.hasSuffix("till.yaml") == true)
            #expect(error.mistakes.first?.line == 2)
        }
    }

    @Test("variables and flags that name no setting")
    func unknownOverrides() {
        do throws(ConfigurationMistakes) {
            _ = try DaemonConfiguration(
                ConfigurationSources(
                    environment: [
                        "TAPBRIDGE_LISTEN_PROT": "1", "TAPBRIDGE_PYTHON": "x", "TAPBRIDGE_KEYS": "x",
                        "TAPBRIDGE_SHARE": "x",
                        "TAPBRIDGE_READER": "x", "TAPBRIDGE_CRASHES": "x", "TAPBRIDGE_CONFIG": "x",
                    ],
                    flags: [.init("listen.prot", option: "--set listen.prot=1", .text("1"))]))
            Issue.record("nothing told")
        } catch {
            #expect(error.mistakes.count == 2)
            #expect(error.description.contains("did you mean \"TAPBRIDGE_LISTEN_PORT\"?"))
            #expect(error.description.contains("did you mean \"listen.port\"?"))
        }
    }

    @Test(
        "times and sizes",
        arguments: [("30 s", 30_000), ("500ms", 500), ("2 min", 120_000), ("1 h", 3_600_000), ("45", 45_000)])
    func times(_ text: String, _ milliseconds: Int) throws {
        let configuration = try DaemonConfiguration(text: "limits: {body-timeout: \(text), body: 3 KiB}")
        #expect(configuration.limits.bodyTimeout == .milliseconds(milliseconds))
        #expect(configuration.limits.body == 3072)
    }

    @Test("seeded random changes of the default file never trap")
    func fuzz() {
        var random = SplitMix(state: 0x7A)
        let original = Array(DaemonConfiguration.defaultText.utf8)
        for _ in 0..<300 {
            var bytes = original
            for _ in 0..<(1 + Int(random.next() % 8)) {
                let place = Int(random.next() % UInt64(bytes.count))
                switch random.next() % 3 {
                case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next() & 0x7F)
                case 1: bytes.remove(at: place)
                default:
                    bytes.insert(
                        contentsOf: Array("[]{}:-&*!|>".utf8).shuffled(using: &random).prefix(2), at: place)
                }
            }
            _ = mistakes(String(decoding: bytes, as: UTF8.self))
        }
    }

    struct SplitMix: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }
}

/// The schema against an independent validator.
@Suite("Configuration's schema", .needs(.oracles))
struct ConfigurationSchemaTests {
    @Test("the validator takes what the reader takes and refuses what it refuses")
    func agreement() throws {
        let cases: [(text: String, isGood: Bool)] = [
            (DaemonConfiguration.defaultText, true),
            (
                "listen: {port: 0}\ntokens: [{name: a, role: observer, sha256: \"\(String(repeating: "0a", count: 32))\"}]",
                true
            ),
            ("terminals: [{id: A, count: 5}, {reader: \"pcsc:ACR\"}]", true),
            ("limits: {body: 2 MiB, body-timeout: 3 min}", true),
            ("stop-timeout: 20", true),
            ("listen: {port: 70000}", false), ("listen: {prot: 1}", false), ("log: {format: xml}", false),
            ("tokens: [{name: a, role: root, sha256: \"00\"}]", false), ("tokens: [{name: a}]", false),
            ("terminals: [{id: muchtoolong}]", false), ("terminals: [{reader: usb}]", false),
            ("limits: {body: many}", false), ("unknown: 1", false), ("limits: {burst: 0}", false),
        ]
        for (text, isGood) in cases {
            #expect(mistakes(text).isEmpty == isGood, "\(text): \(mistakes(text))")
        }
        let script = """
            import json, sys, jsonschema
            given = json.load(sys.stdin)
            schema = json.loads(given["schema"])
            jsonschema.Draft202012Validator.check_schema(schema)
            validator = jsonschema.Draft202012Validator(schema)
            print(json.dumps([validator.is_valid(json.loads(case)) for case in given["cases"]]))
            """
        struct Given: Encodable {
            var schema: String
            var cases: [String]
        }
        let given = Given(
            schema: ConfigurationSetting.schema(),
            cases: try cases.map {
                let value = try #require(try Yams.load(yaml: $0.text))
                return String(decoding: try JSONSerialization.data(withJSONObject: value), as: UTF8.self)
            })
        let output = try Oracle.run(script, try JSONEncoder().encode(given))
        #expect(try JSONDecoder().decode([Bool].self, from: output) == cases.map(\.isGood))
    }
}

/// Python, as an independent source.
enum Oracle {
    static func run(_ script: String, _ input: Data) throws -> Data {
        let process = Process()
        process.executableURL = URL(
            fileURLWithPath: try #require(ProcessInfo.processInfo.environment["TAPBRIDGE_PYTHON"]))
        process.arguments = ["-c", script]
        let (inputPipe, outputPipe) = (Pipe(), Pipe())
        process.standardInput = inputPipe
        process.standardOutput = outputPipe
        try process.run()
        inputPipe.fileHandleForWriting.write(input)
        try inputPipe.fileHandleForWriting.close()
        let output = outputPipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        return output
    }
}
