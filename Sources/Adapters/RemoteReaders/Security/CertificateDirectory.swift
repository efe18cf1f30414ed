internal import Certificates
public import Foundation
internal import NIOCore

/// A directory with a small certification authority for tests: `ca.pem`, `ca.key`, and `<name>.pem`, `<name>.key`
/// for each server and terminal. Keys are P-256 and readable by their owner only. Nothing that exists is ever
/// overwritten unless that is asked for.
public struct CertificateDirectory: Sendable {
    public let path: String

    public init(path: String) { self.path = path }

    public static let authorityName = "ca"

    /// The authority's own validity, in days.
    public static let authorityDays = 3650

    public var hasAuthority: Bool { exists("ca.pem") || exists("ca.key") }

    /// Makes a certification authority that can certify nothing but ends (path length 0).
    /// - Parameter replaces: whether an authority that is there is thrown away: what it certified is worth nothing
    ///   afterwards.
    /// - Throws: `.credentials`.
    public func makeAuthority(
        name: String = "Tapbridge test CA", replaces: Bool = false, now: Date = Date()
    ) throws(RemoteReaderError) {
        let (certificate, key) = try making("ca.pem") { () throws(CertificateError) in
            let key = try PrivateKey.generate()
            let contents = Certificate.Contents(
                commonName: name, use: .authority, notValidBefore: now.addingTimeInterval(-Self.clockSkew),
                notValidAfter: now.addingTimeInterval(Double(Self.authorityDays) * 86400))
            return (try Certificate.make(contents, for: key), key)
        }
        try write(name: Self.authorityName, certificate: certificate, key: key, replaces: replaces)
    }

    /// Certifies a server or a terminal with a new key.
    /// - Parameters:
    ///   - name: of the files; for a terminal also the DNS name in its certificate, by which a server may know it.
    ///   - hosts: host names and numeric addresses under which terminals reach a server.
    ///   - days: validity; never longer than the authority's.
    ///   - replaces: whether a certificate and key of this name are replaced.
    /// - Throws: `.credentials`.
    public func issue(
        _ name: String, role: TLSCredentials.Role, hosts: [String] = [], days: Int = 397,
        replaces: Bool = false, now: Date = Date()
    ) throws(RemoteReaderError) {
        let file = "\(name).pem"
        guard Self.isName(name) else {
            throw .credentials(
                file: file, reason: "a name has letters, digits, - and . (63 at most), and is not \"ca\"")
        }
        guard role == .terminal || !hosts.isEmpty else {
            throw .credentials(file: file, reason: "a server needs a host name or address")
        }
        guard (1...Self.authorityDays).contains(days) else {
            throw .credentials(file: file, reason: "valid for 1 to \(Self.authorityDays) days")
        }
        let (authority, authorityKey) = try readAuthority()
        var names: [Certificate.AlternativeName] = role == .terminal ? [.dns(name)] : []
        for host in hosts { names.append(try Self.alternativeName(host, file: file)) }
        let (certificate, key) = try making(file) { [names] () throws(CertificateError) in
            let key = try PrivateKey.generate()
            let ownStart = now.addingTimeInterval(-Self.clockSkew)
            let ownEnd = now.addingTimeInterval(Double(days) * 86400)
            let contents = Certificate.Contents(
                commonName: name, use: role == .server ? .server : .client, alternativeNames: names,
                notValidBefore: authority.notValidBefore.map { max($0, ownStart) } ?? ownStart,
                notValidAfter: authority.notValidAfter.map { min($0, ownEnd) } ?? ownEnd)
            return (
                try Certificate.make(contents, for: key, issuer: authority, issuerKey: authorityKey), key
            )
        }
        try write(name: name, certificate: certificate, key: key, replaces: replaces)
    }

    public func exists(_ file: String) -> Bool { FileManager.default.fileExists(atPath: path + "/" + file) }

    /// The name of a file and, as DNS name of a certificate, of a terminal.
    public static func isName(_ name: String) -> Bool {
        (1...63).contains(name.utf8.count) && name != authorityName && name.first != "." && name.first != "-"
            && name.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
                    || $0 == 0x2D || $0 == 0x2E
            }
    }

    /// Clocks of two machines may differ by so many seconds.
    private static let clockSkew: Double = 600

    private static func alternativeName(
        _ host: String, file: String
    ) throws(RemoteReaderError) -> Certificate.AlternativeName {
        switch try? SocketAddress(ipAddress: host, port: 0) {
        case .v4(let address):
            return .address(withUnsafeBytes(of: address.address.sin_addr) { Array($0) })
        case .v6(let address):
            return .address(withUnsafeBytes(of: address.address.sin6_addr) { Array($0) })
        case .unixDomainSocket, nil:
            let labels = host.split(separator: ".", omittingEmptySubsequences: false)
            guard host.utf8.count <= 253, labels.allSatisfy({ isName(String($0)) || $0 == "ca" }) else {
                throw .credentials(file: file, reason: "\"\(host)\" is neither a host name nor an address")
            }
            return .dns(host)
        }
    }

    private func readAuthority() throws(RemoteReaderError) -> (Certificate, PrivateKey) {
        func read<T>(
            _ file: String, _ parse: (String) throws(CertificateError) -> T
        ) throws(RemoteReaderError) -> T {
            let text: String
            do {
                text = try String(contentsOfFile: path + "/" + file, encoding: .utf8)
            } catch {
                throw .credentials(
                    file: path + "/" + file,
                    reason: "the authority's certificate and key are needed (\(error.localizedDescription))")
            }
            do throws(CertificateError) {
                return try parse(text)
            } catch {
                throw .credentials(file: path + "/" + file, reason: "\(error)")
            }
        }
        let certificate = try read("ca.pem") { text throws(CertificateError) in try Certificate(pem: text) }
        let key = try read("ca.key") { text throws(CertificateError) in try PrivateKey(pem: text) }
        guard certificate.isOf(key) else {
            throw .credentials(file: path + "/ca.key", reason: "is not the key of ca.pem")
        }
        return (certificate, key)
    }

    private func making<T>(
        _ file: String, _ body: () throws(CertificateError) -> T
    ) throws(RemoteReaderError) -> T {
        do throws(CertificateError) {
            return try body()
        } catch {
            throw .credentials(file: path + "/" + file, reason: "the certificate cannot be made: \(error)")
        }
    }

    /// The key first: a certificate without its key is of no use to anybody.
    private func write(
        name: String, certificate: Certificate, key: PrivateKey, replaces: Bool
    ) throws(RemoteReaderError) {
        if !replaces {
            for file in ["\(name).pem", "\(name).key"] where exists(file) {
                throw .credentials(file: path + "/" + file, reason: "exists already")
            }
        }
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw .credentials(file: path, reason: "cannot be made: \(error.localizedDescription)")
        }
        let (keyText, text) = try making("\(name).pem") { () throws(CertificateError) in
            (try key.pem(), try certificate.pem())
        }
        try write("\(name).key", keyText, mode: 0o600)
        try write("\(name).pem", text, mode: 0o644)
    }

    /// Written beside and moved: nobody ever reads half a file, and a key is never there with wider permissions.
    private func write(_ file: String, _ text: String, mode: mode_t) throws(RemoteReaderError) {
        let target = path + "/" + file
        let temporary = target + ".new"
        unlink(temporary)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else {
            throw .credentials(file: target, reason: String(cString: strerror(errno)))
        }
        var bytes = Array((text.hasSuffix("\n") ? text : text + "\n").utf8)[...]
        var failure: String?
        while !bytes.isEmpty, failure == nil {
            let count = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                bytes = bytes.dropFirst(count)
            } else if errno != EINTR {
                failure = String(cString: strerror(errno))
            }
        }
        if failure == nil, fsync(descriptor) != 0 { failure = String(cString: strerror(errno)) }
        close(descriptor)
        if failure == nil, rename(temporary, target) != 0 { failure = String(cString: strerror(errno)) }
        if let failure {
            unlink(temporary)
            throw .credentials(file: target, reason: failure)
        }
    }
}
