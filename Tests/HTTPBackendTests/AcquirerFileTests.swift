import EMV
import Foundation
import ProfileFile
import Testing

@testable import HTTPBackend

@Suite struct HTTPAcquirerFileTests {
    static let key = "key: 00112233445566778899AABBCCDDEEFF"

    @Test func read() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("acq-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        func write(_ name: String, _ text: String) throws -> String {
            let path = folder.appendingPathComponent(name).path
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            return path
        }
        // The sample, with the files that it names.
        _ = try write("till-1.key", "00112233445566778899aabbccddeeff\n")
        for name in ["authority.pem", "till-1.pem", "till-1-key.pem"] { _ = try write(name, "-") }
        let path = try write("acquirer.yaml", HTTPBackendSettings.sample)
        #expect(try HTTPBackendSettings.isMeant(byFile: path))
        #expect(try !HTTPBackendSettings.isMeant(byFile: write("other.yaml", "hosts: [a]\n")))
        let settings = try HTTPBackendSettings(file: path)
        #expect(
            settings
                == HTTPBackendSettings(
                    url: "https://acquirer.example/v1/messages", keyID: "till-1", key: secret,
                    certificateAuthority: folder.path + "/authority.pem",
                    clientCertificate: folder.path + "/till-1.pem",
                    clientKey: folder.path + "/till-1-key.pem",
                    tries: 4))
    }

    @Test func shortest() throws {
        let settings = try HTTPBackendSettings(
            text: "http:\n  url: http://127.0.0.1:8583\n  key-name: till-1\n  \(Self.key)\n", source: "a.yaml"
        )
        #expect(settings.url == "http://127.0.0.1:8583/v1/messages")
        #expect(settings.tries == 4)
    }

    @Test(arguments: [
        ("http:\n  url: gopher://a\n  key-name: a\n  \(key)\n", "a.yaml:2", "URL must be http"),
        ("http:\n  url: http://a\n  key-name: a b\n  \(key)\n", "a.yaml:2", "key's name"),
        ("http:\n  url: http://a\n  key-name: a\n  key: 00112233445566XX\n", "a.yaml:4:8", "16 to 64 bytes"),
        ("http:\n  url: http://a\n  key-name: a\n  key: ABCDEF\n", "a.yaml:4:8", "16 to 64 bytes"),
        (
            "http:\n  url: http://a\n  key-name: a\n  key-file: /nowhere\n", "a.yaml:4:13",
            "no such readable file"
        ),
        (
            "http:\n  url: http://a\n  key-name: a\n  key-file: a\n  \(key)\n", "a.yaml:4",
            "either key or key-file"
        ),
        ("http:\n  url: http://a\n  key-name: a\n  \(key)\n  tries: 0\n", "a.yaml:5:10", "1...20"),
        ("http:\n  url: http://a\n  key-name: a\n  \(key)\n  trys: 1\n", "a.yaml:5", "trys"),
        (
            "http:\n  url: http://a\n  key-name: a\n  \(key)\n  tls: { trust: /nowhere.pem }\n", "a.yaml:5",
            "no such readable file"
        ),
        ("http:\n  key-name: a\n  \(key)\n", "a.yaml:2", "url"), ("url: a\n", "a.yaml:1", "http"),
    ]) func mistakes(_ text: String, _ place: String, _ reason: String) {
        do throws(ProfileFileError) {
            _ = try HTTPBackendSettings(text: text, source: "a.yaml", files: .paths(relativeTo: ""))
            Issue.record("no error")
        } catch {
            #expect("\(error)".hasPrefix(place) && "\(error)".contains(reason), "\(error)")
            #expect(!"\(error)".contains("00112233"))
        }
    }
}
