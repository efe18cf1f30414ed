import Cards
import Foundation
import ProfileFile
import Testing
import Yams

@testable import Terminal
@testable import TerminalService

/// Texts that a client sends name no files of the daemon's machine, whatever the key.
@Suite struct ClientTextTests {
    /// A folder with a short name (errors show the first forty characters), and in it `a`, a key in hexadecimal; `b`, which
    /// is none; and no `c`.
    struct Folder: ~Copyable {
        let path = "/tmp/tb-\(UInt32.random(in: 0 ... .max))"
        init() throws {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
            try "00112233445566778899AABBCCDDEEFF\n".write(
                toFile: path + "/a", atomically: true, encoding: .utf8)
            try "no key\n".write(toFile: path + "/b", atomically: true, encoding: .utf8)
        }
        deinit { try? FileManager.default.removeItem(atPath: path) }
    }

    static let terminal =
        TerminalProfile.builtInText
            + """

            pin-pad: { keys: tdes, key-file: x }
            acquirer-file: x
            journal: { retention-days: 400 }
            polling: payment
            """

    /// What comes of a text: what a file has to do with it, or the error.
    static func terminal(_ text: String, _ files: FileAccess) -> String {
        do throws(ProfileFileError) {
            let profile = try TerminalProfile(text: text, source: "profileText", files: files)
            return "\(profile.pinKeys.map { "\($0)" } ?? "-") \(profile.acquirerFile ?? "-")"
        } catch { return "\(error)" }
    }

    static func card(_ text: String, _ files: FileAccess) -> String {
        do throws(ProfileFileError) {
            return try CardProfile(ProfileFile(file: "profileText", text: text, files: files)).title
        } catch { return "\(error)" }
    }

    /// The places of all scalars that are values.
    static func places(_ node: Node, _ path: [Int] = []) -> [[Int]] {
        switch node {
        case .scalar, .alias: [path]
        case .sequence(let items): items.enumerated().flatMap { places($1, path + [$0]) }
        case .mapping(let items): items.enumerated().flatMap { places($1.value, path + [$0]) }
        }
    }

    static func replacing(_ node: Node, _ path: ArraySlice<Int>, _ text: String) -> Node {
        guard let first = path.first else { return Node(text) }
        switch node {
        case .scalar, .alias: return node
        case .sequence(let items):
            return Node(
                items.enumerated().map { $0 == first ? replacing($1, path.dropFirst(), text) : $1 })
        case .mapping(let items):
            return Node(
                items.enumerated().map {
                    ($1.key, $0 == first ? replacing($1.value, path.dropFirst(), text) : $1.value)
                })
        }
    }

    /// Each value of a text in turn replaced by a path: whether there is a file, and what is in it, makes no difference.
    /// - Returns: at how many places it does.
    static func differences(
        _ text: String, _ files: FileAccess, _ folder: borrowing Folder,
        _ read: (String, FileAccess) -> String
    ) throws -> Int {
        let root = try #require(try Yams.compose(yaml: text))
        var count = 0
        for place in places(root) {
            var outcomes: Set<String> = []
            for name in ["a", "b", "c"] {
                let path = "\(folder.path)/\(name)"
                let changed = try Yams.serialize(node: replacing(root, place[...], path))
                outcomes.insert(read(changed, files).replacing(path, with: "PATH"))
            }
            if outcomes.count > 1 { count += 1 }
        }
        return count
    }

    @Test func noKeyOfATerminalProfileNamesAFile() throws {
        let folder = try Folder()
        #expect(try Self.differences(Self.terminal, .noFiles, folder, Self.terminal) == 0)
        #expect(
            try Self.differences(Self.terminal, .names(["till": "/etc/hostname"]), folder, Self.terminal) == 0
        )
        // The operator's own text does, so that the above says something.
        #expect(try Self.differences(Self.terminal, .paths(relativeTo: ""), folder, Self.terminal) == 1)
    }

    @Test func noKeyOfACardProfileNamesAFile() throws {
        let folder = try Folder()
        for id in ["visa-credit", "mc-data-storage", "apple-pay-visa"] {
            let text = try #require(CardLibrary.text(of: id))
            #expect(try Self.differences(text, .noFiles, folder, Self.card) == 0, "\(id)")
        }
    }

    @Test(arguments: [
        ("pin-pad: { keys: tdes, key-file: till }", nil),
        ("pin-pad: { keys: tdes, key-file: other }", "2:34: pin-pad.key-file: \"other\" is no file that"),
        (
            "pin-pad: { keys: tdes, key-file: FOLDER/a }",
            "2:34: pin-pad.key-file: \"FOLDER/a\" is no file that"
        ),
        ("pin-pad: { keys: tdes, key-file: ../a }", "2:34: pin-pad.key-file: \"../a\" is no file that"),
        ("pin-pad: { keys: tdes, key-file: wrong }", "2:34: pin-pad.key-file: expected a readable file"),
        ("acquirer-file: FOLDER/a", "2:16: acquirer-file: \"FOLDER/a\" is no file that"),
    ]) func onlyListedNames(_ section: String, _ error: String?) async throws {
        let folder = try Folder()
        let path = folder.path
        let house = try await House(change: { $0.files = ["till": path + "/a", "wrong": path + "/b"] })
        let text = "extends: built-in\n" + section.replacing("FOLDER", with: path) + "\n"
        try await APITests().serve(house) { client in
            let answer = try await client.call(
                .post, "/v1/terminals",
                String(
                    decoding: try JSONEncoder().encode(["profileText": text, "id": "CLIENT01"]), as: UTF8.self
                ))
            guard let error else {
                #expect(answer.status == .created, "\(answer.text)")
                return
            }
            #expect(answer.status == .badRequest)
            let detail = try #require(try answer.object["detail"] as? String)
            #expect(detail.hasPrefix("profileText:" + error.replacing("FOLDER", with: path)), "\(detail)")
            // What the operator's names stand for is not told.
            #expect(section.contains("FOLDER") || !detail.contains(path), "\(detail)")
        }
    }

    @Test func theConfigurationListsFiles() throws {
        let folder = try Folder()
        let configuration = try DaemonConfiguration(text: "files: { till: a }", folder: folder.path)
        #expect(configuration.files == ["till": folder.path + "/a"])
        for (text, reason) in [
            ("files: { till: c }", "no such readable file"), ("files: { a/b: a }", "letters, digits"),
            ("files: [a]", "keys and values"),
        ] {
            #expect {
                try DaemonConfiguration(text: text, folder: folder.path)
            } throws: {
                "\($0)".contains("tapbridge.yaml:1:") && "\($0)".contains(reason)
            }
        }
    }

    /// A source file that reads profile files and opens files itself could go round `ProfileFile.namedFile()`.
    @Test func filesAreOpenedInFewPlaces() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Sources")
        let opens = try Regex(
            #"FileManager|contentsOf|FileHandle|fopen\(|\bopen\(|\baccess\(|fromPEMFile|\.stat\(|Data\(content"#
        )
        var found: Set<String> = []
        for case let url as URL in try #require(
            FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil))
        where url.pathExtension == "swift" {
            let name = url.path().dropFirst(root.path().count).drop { $0 == "/" }
            // The command line is the operator's.
            guard !name.hasPrefix("tapbridge/"), !name.hasPrefix("CommandSupport/") else { continue }
            let text = try String(contentsOf: url, encoding: .utf8)
            guard text.contains("import ProfileFile") || name.hasPrefix("Foundations/ProfileFile/"),
                text.contains(opens)
            else { continue }
            found.insert(String(name))
        }
        #expect(
            found == [
                "Foundations/ProfileFile/FileAccess.swift", "Foundations/ProfileFile/ProfileFile.swift",
                // Looks for the standard configuration, and loads the certificate that it names.
                "TerminalService/Configuration/DaemonConfiguration+File.swift",
                // Loads the certificates of an acquirer file, whose paths come from `readableFile()`.
                "Adapters/ISO8583Backend/Connection/TransportSecurity.swift",
                // Traces of the operator's folder, by plain names.
                "TerminalService/Engine/TraceShelf.swift",
            ])
    }
}
