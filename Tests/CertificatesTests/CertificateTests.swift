import Certificates
import Foundation
import Testing

/// Certificates against the `openssl` program, in both directions.
@Suite struct CertificateTests {
    static let now = Date(timeIntervalSince1970: 1_780_000_000)

    /// Runs `openssl` in a folder of its own.
    final class Folder {
        let path: String

        init() throws {
            path = NSTemporaryDirectory() + "/tapbridge-certificates-\(UUID().uuidString)"
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }
        deinit { try? FileManager.default.removeItem(atPath: path) }

        @discardableResult
        func openssl(_ arguments: String...) throws -> String {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
            process.arguments = arguments
            process.currentDirectoryURL = URL(fileURLWithPath: path)
            let output = Pipe()
            process.standardOutput = output
            process.standardError = output
            process.standardInput = FileHandle.nullDevice
            try process.run()
            let bytes = output.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            let text = String(decoding: bytes, as: UTF8.self)
            try #require(process.terminationStatus == 0, "openssl \(arguments): \(text)")
            return text
        }

        func text(_ name: String) throws -> String {
            try String(contentsOfFile: path + "/" + name, encoding: .utf8)
        }
        func bytes(_ name: String) throws -> [UInt8] {
            Array(try Data(contentsOf: URL(fileURLWithPath: path + "/" + name)))
        }
        func write(_ name: String, _ text: String) throws {
            try text.write(toFile: path + "/" + name, atomically: true, encoding: .utf8)
        }
    }

    @Test func readsWhatOpenSSLMakes() throws {
        let folder = try Folder()
        try folder.openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            "k.pem", "-out",
            "c.pem", "-subj", "/CN=peer", "-days", "30", "-addext",
            "subjectAltName=DNS:till-7,IP:10.0.0.1,email:a@b.example,DNS:till-8.example")
        try folder.openssl("x509", "-in", "c.pem", "-outform", "DER", "-out", "c.der")
        let certificate = try Certificate(der: try folder.bytes("c.der"))
        #expect(certificate.dnsNames == ["till-7", "till-8.example"])
        #expect(try Certificate(pem: try folder.text("c.pem")).dnsNames == certificate.dnsNames)
        #expect(certificate.isOf(try PrivateKey(pem: try folder.text("k.pem"))))
        #expect(!certificate.isOf(try PrivateKey.generate()))
        let start = try #require(certificate.notValidBefore)
        let end = try #require(certificate.notValidAfter)
        #expect(end.timeIntervalSince(start) == 30 * 86400)
        #expect(throws: CertificateError.notACertificate) {
            try Certificate(der: try folder.bytes("c.der") + [0])
        }
        let der = try folder.bytes("c.der")
        for length in 0..<der.count {
            #expect(throws: CertificateError.notACertificate) {
                try Certificate(der: Array(der.prefix(length)))
            }
        }
    }

    @Test func openSSLReadsWhatIsMade() throws {
        let folder = try Folder()
        let (authorityKey, key) = (try PrivateKey.generate(), try PrivateKey.generate())
        let year: TimeInterval = 365 * 86400
        let authority = try Certificate.make(
            .init(
                commonName: "Näme, O=x", use: .authority, notValidBefore: Self.now,
                notValidAfter: Self.now + year),
            for: authorityKey)
        let server = try Certificate.make(
            .init(
                commonName: "server", use: .server,
                alternativeNames: [
                    .dns("pay.example"), .address([192, 0, 2, 7]),
                    .address([0x20, 1, 0xD, 0xB8] + .init(repeating: 0, count: 11) + [1]),
                ], notValidBefore: Self.now, notValidAfter: Self.now + year),
            for: key, issuer: authority, issuerKey: authorityKey)
        try folder.write("ca.pem", try authority.pem())
        try folder.write("server.pem", try server.pem())
        try folder.write("server.key", try key.pem())
        let time = "\(Int(Self.now.timeIntervalSince1970) + 60)"
        try folder.openssl(
            "verify", "-x509_strict", "-attime", time, "-purpose", "sslserver", "-verify_hostname",
            "pay.example",
            "-CAfile", "ca.pem", "server.pem")
        try folder.openssl(
            "verify", "-attime", time, "-verify_ip", "2001:db8::1", "-CAfile", "ca.pem", "server.pem")
        let text = try folder.openssl(
            "x509", "-in", "server.pem", "-noout", "-text", "-nameopt", "utf8,sep_comma_plus,esc_2253")
        for part in [
            "Signature Algorithm: ecdsa-with-SHA256", "Issuer: CN=Näme\\, O=x", "Digital Signature",
            "TLS Web Server Authentication", "CA:FALSE", "X509v3 Authority Key Identifier",
        ] { #expect(text.contains(part), "\(part) in \(text)") }
        let shown = try folder.openssl("pkey", "-in", "server.key", "-pubout")
        #expect(shown == (try folder.openssl("x509", "-in", "server.pem", "-noout", "-pubkey")))
    }

    @Test func keysThatAreNone() throws {
        let folder = try Folder()
        try folder.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "sec1.pem")
        _ = try PrivateKey(pem: try folder.text("sec1.pem"))
        try folder.openssl(
            "ec", "-in", "sec1.pem", "-aes128", "-passout", "pass:secret", "-out", "locked.pem")
        #expect(throws: CertificateError.notAPrivateKey) {
            try PrivateKey(pem: try folder.text("locked.pem"))
        }
        try folder.openssl("genrsa", "-out", "rsa.pem", "2048")
        #expect(throws: CertificateError.notP256) { try PrivateKey(pem: try folder.text("rsa.pem")) }
        try folder.openssl("ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", "p384.pem")
        #expect(throws: CertificateError.notP256) { try PrivateKey(pem: try folder.text("p384.pem")) }
        for text in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "\u{0}"] {
            #expect(throws: CertificateError.notAPrivateKey) { try PrivateKey(pem: text) }
            #expect(throws: CertificateError.notACertificate) { try Certificate(pem: text) }
        }
    }

    @Test(arguments: [
        Certificate.AlternativeName.dns(""), .dns("a,DNS:b"), .dns("a\nb"), .dns("ü"),
        .dns(String(repeating: "a", count: 254)), .address([]), .address([1, 2, 3]),
    ])
    func namesThatHaveNoPlace(name: Certificate.AlternativeName) throws {
        let key = try PrivateKey.generate()
        #expect(throws: CertificateError.self) {
            try Certificate.make(
                .init(
                    commonName: "x", use: .server, alternativeNames: [name], notValidBefore: Self.now,
                    notValidAfter: Self.now + 1), for: key)
        }
    }

    @Test func contentsThatHaveNoPlace() throws {
        let key = try PrivateKey.generate()
        for name in ["", String(repeating: "x", count: 65)] {
            #expect(throws: CertificateError.self) {
                try Certificate.make(
                    .init(
                        commonName: name, use: .client, notValidBefore: Self.now, notValidAfter: Self.now + 1),
                    for: key)
            }
        }
        for time in [-1, 253_402_300_800, Double.infinity, .nan] {
            #expect(throws: CertificateError.self) {
                try Certificate.make(
                    .init(
                        commonName: "x", use: .client, notValidBefore: Self.now,
                        notValidAfter: Date(timeIntervalSince1970: time)), for: key)
            }
        }
    }

    @Test func serialNumbersDiffer() throws {
        let folder = try Folder()
        let key = try PrivateKey.generate()
        var seen: Set<String> = []
        for _ in 0..<8 {
            let made = try Certificate.make(
                .init(commonName: "x", use: .client, notValidBefore: Self.now, notValidAfter: Self.now + 1),
                for: key)
            try folder.write("x.pem", try made.pem())
            let serial = try folder.openssl("x509", "-in", "x.pem", "-noout", "-serial")
            #expect(seen.insert(serial).inserted)
            #expect(serial.count <= "serial=".count + 40 + 1)
        }
    }
}
