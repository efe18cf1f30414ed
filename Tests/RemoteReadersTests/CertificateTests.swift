import Foundation
import RemoteReaders
import TestTools
import Testing

struct CertificateTests {
    static func temporary() -> CertificateDirectory {
        CertificateDirectory(
            path: FileManager.default.temporaryDirectory.path + "/tapbridge-ca-\(UUID().uuidString)")
    }

    static func mode(_ path: String) -> Int? {
        ((try? FileManager.default.attributesOfItem(atPath: path))?[.posixPermissions] as? NSNumber)?.intValue
    }

    /// OpenSSL's own verdict.
    static func openssl(_ arguments: String...) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: data, as: UTF8.self))
    }

    @Test func keysAreTheOwnersAlone() throws {
        let directory = Certificates.shared.own
        #expect(Self.mode(directory.path) == 0o700)
        for name in ["ca", "server", "terminal", "till-2"] {
            #expect(Self.mode("\(directory.path)/\(name).key") == 0o600)
            #expect(Self.mode("\(directory.path)/\(name).pem") == 0o644)
        }
    }

    @Test(.needs(.program("/usr/bin/openssl", of: "openssl")))
    func openSSLAgrees() throws {
        let path = Certificates.shared.own.path
        func verdict(_ name: String, _ purpose: String, _ more: String...) throws -> Int32 {
            try Self.openssl(
                "verify", "-x509_strict", "-CAfile", path + "/ca.pem", "-purpose", purpose,
                path + "/\(name).pem"
            ).status
        }
        #expect(try verdict("server", "sslserver") == 0)
        #expect(try verdict("server", "sslclient") != 0)
        #expect(try verdict("terminal", "sslclient") == 0)
        #expect(try verdict("terminal", "sslserver") != 0)
        let strange = try Self.openssl(
            "verify", "-CAfile", path + "/ca.pem", Certificates.shared.stranger.path + "/terminal.pem")
        #expect(strange.status != 0)
        let text = try Self.openssl("x509", "-in", path + "/server.pem", "-noout", "-text").output
        for part in ["DNS:localhost", "IP Address:127.0.0.1", "IP Address:0:0:0:0:0:0:0:1", "CA:FALSE"] {
            #expect(text.contains(part), "\(part)")
        }
        let authority = try Self.openssl("x509", "-in", path + "/ca.pem", "-noout", "-text").output
        #expect(authority.contains("CA:TRUE, pathlen:0"))
        // Nobody certifies with an end's key.
        #expect(authority.contains("Certificate Sign, CRL Sign"))
    }

    @Test func nothingIsOverwritten() throws {
        let directory = Self.temporary()
        defer { try? FileManager.default.removeItem(atPath: directory.path) }
        #expect(throws: RemoteReaderError.self) { try directory.issue("terminal", role: .terminal) }
        try directory.makeAuthority()
        try directory.issue("terminal", role: .terminal)
        let before = try Data(contentsOf: URL(fileURLWithPath: directory.path + "/terminal.key"))
        #expect(throws: RemoteReaderError.self) { try directory.makeAuthority() }
        #expect(throws: RemoteReaderError.self) { try directory.issue("terminal", role: .terminal) }
        #expect(try Data(contentsOf: URL(fileURLWithPath: directory.path + "/terminal.key")) == before)
        try directory.issue("terminal", role: .terminal, replaces: true)
        #expect(try Data(contentsOf: URL(fileURLWithPath: directory.path + "/terminal.key")) != before)
        #expect(Self.mode(directory.path + "/terminal.key") == 0o600)
    }

    @Test(arguments: [
        "", "ca", "../x", "a/b", "a b", "-x", ".hidden", "ü", String(repeating: "x", count: 64),
    ])
    func namesAreChecked(name: String) {
        #expect(throws: RemoteReaderError.self) {
            try Certificates.shared.own.issue(name, role: .terminal)
        }
    }

    @Test(arguments: ["", "a b", "bad_name", "a..b", "exa/mple", "999.1.1.1.."])
    func hostsAreChecked(host: String) {
        #expect(throws: RemoteReaderError.self) {
            try Certificates.shared.own.issue("other", role: .server, hosts: [host])
        }
        #expect(!Certificates.shared.own.exists("other.key"))
    }

    @Test func spoiledFilesAreNamed() throws {
        let directory = Self.temporary()
        defer { try? FileManager.default.removeItem(atPath: directory.path) }
        try directory.makeAuthority()
        try directory.issue("terminal", role: .terminal)
        try directory.issue("till-2", role: .terminal)
        let path = directory.path
        func words() -> String {
            do {
                _ = try TLSCredentials(directory: path, role: .terminal)
                return "none"
            } catch {
                return "\(error)"
            }
        }
        #expect(words() == "none")
        try FileManager.default.setAttributes(
            [.posixPermissions: 0o640], ofItemAtPath: path + "/terminal.key")
        #expect(words().contains("chmod 600"))
        try FileManager.default.setAttributes(
            [.posixPermissions: 0o600], ofItemAtPath: path + "/terminal.key")
        try FileManager.default.removeItem(atPath: path + "/terminal.pem")
        #expect(words().contains("terminal.pem"))
        try FileManager.default.copyItem(atPath: path + "/till-2.pem", toPath: path + "/terminal.pem")
        #expect(words().contains("do not fit"))
        try Data("no PEM".utf8).write(to: URL(fileURLWithPath: path + "/ca.pem"))
        #expect(words().contains("ca.pem: holds no certificate"))
    }
}
