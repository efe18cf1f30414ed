import Cards
import Foundation
import HTTPBackend
import ISO8583
import ISO8583Dialects
import ISO8583Backend
import Issuing
import ProfileFile
import PCSCReaders
import Testing

@testable import Terminal
@testable import TerminalService

/// Texts that stand for much more than they are, in every kind of file: an error with its place, in no time.
@Suite struct YAMLBoundsTests {
    struct Kind: Sendable, CustomTestStringConvertible {
        var testDescription: String
        /// Begins texts of the kind, so that what follows lies in a section that is read.
        var section: String
        var read: @Sendable (String) throws -> Void
    }

    static let kinds: [Kind] = [
        Kind(testDescription: "terminal profile", section: "terminal") {
            _ = try TerminalProfile(text: $0, source: "f.yaml")
        },
        Kind(testDescription: "card profile", section: "applications") {
            _ = try CardProfile(ProfileFile(file: "f.yaml", text: $0))
        },
        Kind(testDescription: "issuing world", section: "issuers") {
            _ = try IssuingWorld(ProfileFile(file: "f.yaml", text: $0))
        },
        Kind(testDescription: "dialect", section: "fields") { _ = try Dialect(text: $0, source: "f.yaml") },
        Kind(testDescription: "acquirer file", section: "hosts") {
            _ = try AcquirerFile(text: $0, source: "f.yaml")
        },
        Kind(testDescription: "HTTP acquirer file", section: "http") {
            _ = try HTTPBackendSettings(text: $0, source: "f.yaml")
        },
        Kind(testDescription: "reader driver", section: "commands") {
            _ = try ReaderDriver(file: "f.yaml", text: $0)
        },
        Kind(testDescription: "daemon configuration", section: "terminals") {
            _ = try DaemonConfiguration(text: $0, file: "f.yaml")
        },
        Kind(testDescription: "a flag's value", section: "x") {
            _ = try DaemonConfiguration(
                ConfigurationSources(flags: [.init("terminals", option: "f.yaml", .text($0))]))
        },
        Kind(testDescription: "file of a profile", section: "terminal") {
            let path = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
            try $0.write(toFile: path, atomically: true, encoding: .utf8)
            defer { try? FileManager.default.removeItem(atPath: path) }
            do throws(ProfileFileError) { _ = try TerminalProfile(path: path) } catch {
                throw ProfileFileError(
                    file: "f.yaml", line: error.line, column: error.column, path: error.path,
                    reason: error.reason)
            }
        },
    ]

    struct Bomb: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var line: Int?
        var reason: String
        var text: @Sendable (_ section: String) -> String
    }

    /// Nine of the one before, ten times over: 9^9 values of 400 bytes.
    static let lists: String = {
        var text = "a: &a [x, x, x, x, x, x, x, x, x]\n"
        for (name, before) in zip("bcdefghij", "abcdefghi") {
            text +=
                "\(name): &\(name) [" + Array(repeating: "*\(before)", count: 9).joined(separator: ", ")
                + "]\n"
        }
        return text
    }()

    static let bombs: [Bomb] = [
        Bomb(testDescription: "lists of aliases", line: 2, reason: "aliases") { lists + "\($0): *j\n" },
        // What is a key is hashed while the text is read.
        Bomb(testDescription: "lists of aliases as a key", line: 2, reason: "aliases") {
            lists + "\($0): { ? *j : x }\n"
        },
        Bomb(testDescription: "a long text many times", line: 2, reason: "aliases") {
            "a: &a \(String(repeating: "x", count: 10_000))\n\($0): ["
                + String(repeating: "*a, ", count: 10_000)
                + "*a]\n"
        },
        Bomb(testDescription: "merged mappings", line: 2, reason: "aliases") {
            "a: &a { x: y }\n\($0): { <<: *a }\n"
        },
        Bomb(testDescription: "a list that holds itself", line: 1, reason: "aliases") { "\($0): &a [*a]\n" },
        Bomb(testDescription: "an alias to nothing", line: 1, reason: "aliases") { "\($0): *a\n" },
        Bomb(testDescription: "lists in lists", line: 1, reason: "32 lists and mappings") {
            "\($0): " + String(repeating: "[", count: 900) + String(repeating: "]", count: 900) + "\n"
        },
        Bomb(testDescription: "lists in lists, without brackets", line: 2, reason: "32 lists and mappings") {
            "\($0):\n\(String(repeating: "- ", count: 900))x\n"
        },
        Bomb(testDescription: "mappings in mappings", line: 1, reason: "32 lists and mappings") {
            "\($0): " + String(repeating: "{a: ", count: 100_000) + "\n"
        },
        Bomb(testDescription: "many values", line: 1, reason: "250000 values") {
            "\($0): [" + String(repeating: "x,", count: 250_000) + "]\n"
        },
        Bomb(testDescription: "a large file", line: nil, reason: "4194304") {
            "\($0): x\n#" + String(repeating: "x", count: 5 << 20) + "\n"
        },
        Bomb(testDescription: "a key of 200,000 letters", line: 1, reason: "xxxx") {
            "\(String(repeating: "x", count: 200_000)): 1\n\($0): 1\n"
        },
        // The longest that the parser takes for a key without a mark before it.
        Bomb(testDescription: "a key of 1,000 letters", line: 1, reason: "xxxx") {
            "\(String(repeating: "x", count: 1000)): 1\n\($0): 1\n"
        },
        Bomb(testDescription: "twenty thousand unknown keys", line: 1, reason: "k1") {
            (1...20_000).map { "k\($0): x\n" }.joined() + "\($0): x\n"
        },
        Bomb(testDescription: "two long keys", line: 1, reason: "twice") { _ in
            String(repeating: "\(String(repeating: "x", count: 1000)): 1\n", count: 2)
        },
    ]

    @Test(arguments: kinds, bombs) func isRefused(_ kind: Kind, _ bomb: Bomb) throws {
        #expect {
            try kind.read(bomb.text(kind.section))
        } throws: { thrown in
            let error = (thrown as? ConfigurationMistakes)?.mistakes.first ?? thrown as? ProfileFileError
            guard let error, error.file == "f.yaml" else { return false }
            // A flag's value has no lines, and is another thing than a file where it is no list.
            if kind.section == "x" { return "\(error)".utf8.count < 1000 }
            if ["1000", "xxxx", "k1"].contains(bomb.reason) {
                return error.line != nil && "\(error)".utf8.count < 1000
            }
            return error.line == bomb.line && error.reason.contains(bomb.reason)
                && "\(error)".utf8.count < 1000
        }
    }

    /// A number that stands for so many things.
    @Test func terminalsInAll() {
        let groups = Array(repeating: "{count: 100000}", count: 5000).joined(separator: ", ")
        #expect {
            try DaemonConfiguration(text: "terminals: [\(groups)]", file: "f.yaml")
        } throws: { "\($0)".hasPrefix("f.yaml:1:30: terminals[1]: with these there are more than 100000") }
    }

    /// No profile but the program's own is taken as a base, so that nothing goes round in circles.
    @Test(arguments: ["f.yaml", "./f.yaml", "built-in.yaml", "[built-in]"]) func extendsNoFile(_ name: String)
    {
        #expect {
            try TerminalProfile(text: "extends: \(name)\n", source: "f.yaml", files: .paths(relativeTo: ""))
        } throws: { ($0 as? ProfileFileError)?.line == 1 }
    }

    @Test func withinBounds() throws {
        // Marks of aliases and anchors in texts and comments are none; an anchor alone harms nobody.
        let text = "a: \"*b &c\"\nb: &anchor x # *a\nc: a*b\nd: |\n  *a\n"
        let top = try ProfileFile(file: "f.yaml", text: text).mapping()
        #expect(try top.required("a").string() == "*b &c")
        #expect(try top.required("b").string() == "x")
        #expect(try top.required("c").string() == "a*b")
        #expect(try top.required("d").string() == "*a\n")
        let deep = String(repeating: "[", count: 31) + "x" + String(repeating: "]", count: 31)
        _ = try ProfileFile(file: "f.yaml", text: "a: " + deep)
        let many = try ProfileFile(
            file: "f.yaml", text: "a: [" + String(repeating: "x,", count: 249_990) + "]")
        #expect(try many.mapping().required("a").list().count == 249_990)
    }
}
