import Cards
import Foundation
import ISO8583
import ISO8583Dialects
import Issuing
import PCSCReaders
import ProfileFile

extension FuzzTarget {
    /// Every kind of file that people write: read as something, or refused with an error that names the place.
    static let files: [FuzzTarget] = [
        file("yaml-card-profile", CardLibrary.identifiers.compactMap { CardLibrary.text(of: $0) }) { text in
            let profile = try CardProfile(ProfileFile(file: "fuzz.yaml", text: text))
            _ = try? EmulatedCard(profile: profile, random: SeededGenerator(seed: 1))
        },
        file("yaml-dialect", Dialect.builtInNames.compactMap { Dialect.builtInText($0) }) { text in
            let dialect = try Dialect(text: text, source: "fuzz.yaml")
            // Whatever it says, a message of it can be read or is refused.
            _ = try? dialect.unpack(Array("0200F23A801BA8F08010".utf8) + [UInt8](repeating: 0x31, count: 300))
        },
        file("yaml-issuing", [IssuingWorld.testText]) { text in
            _ = try IssuingWorld(ProfileFile(file: "fuzz.yaml", text: text))
        },
        file("yaml-reader-driver", ReaderDriver.texts) { text in
            let driver = try ReaderDriver(file: "fuzz.yaml", text: text)
            for command in driver.commands.values { _ = command.bytes(milliseconds: 100) }
        },
        file("yaml", ["a: &x [1, 2]\nb: *x\n? [c]\n: !!binary ////\n", "- |\n  text\n- >-\n  more\n"]) {
            text in
            let file = try ProfileFile(file: "fuzz.yaml", text: text)
            let again = try ProfileFile(file: "fuzz.yaml", text: text)
            try hold(again.canonicalText == file.canonicalText, "the canonical text changes")
            let keys = try file.mapping()
            for (key, value) in try keys.entries() {
                _ = try? value.integer()
                _ = try? value.hex()
                _ = try? value.tag()
                _ = try? value.bool()
                _ = try? value.list()
                try hold(
                    !value.error("x").description.isEmpty && key.path == file.path, "an error without words")
            }
        },
    ]

    static func file(
        _ name: String, _ seeds: [String], read: @escaping @Sendable (String) throws -> Void
    ) -> FuzzTarget {
        FuzzTarget(name, longestInput: 16_384, mutations: 2, seeds: { seeds.map { Array($0.utf8) } }) {
            input in
            do { try read(String(decoding: input, as: UTF8.self)) } catch let error as ProfileFileError {
                try hold(!error.reason.isEmpty && error.file != "", "an error without words or file")
                try hold(
                    (error.line ?? 1) >= 1 && (error.column ?? 1) >= 0, "an error in line \(error.line ?? 0)")
                try hold(
                    error.description.utf8.count < 2000, "an error of \(error.description.utf8.count) bytes")
            }
        }
    }
}
