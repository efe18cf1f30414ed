internal import Foundation
internal import NIOSSL

/// The certificate and key of one side, and the one CA whose certificates it accepts from the other.
public struct TLSCredentials: Sendable {
    public enum Role: String, Sendable, CaseIterable {
        /// Offers readers.
        case server
        /// Uses them.
        case terminal
    }

    let context: NIOSSLContext
    let role: Role

    /// Reads the files that `CertificateDirectory` makes: `ca.pem`, `<identity>.pem`, `<identity>.key`.
    /// - Parameter identity: nil is the role's own name.
    /// - Throws: `.credentials`, also where others than the owner may read the key.
    public init(directory: String, role: Role, identity: String? = nil) throws(RemoteReaderError) {
        let name = identity ?? role.rawValue
        try self.init(
            authority: directory + "/ca.pem", certificate: directory + "/\(name).pem",
            key: directory + "/\(name).key", role: role)
    }

    /// - Parameters: paths of PEM files; `certificate` may hold a chain, the role's own certificate first.
    /// - Throws: `.credentials`, also where others than the owner may read the key.
    public init(
        authority: String, certificate: String, key: String, role: Role
    ) throws(RemoteReaderError) {
        let roots = try Self.certificates(authority)
        let chain = try Self.certificates(certificate)
        let ownKey = try Self.privateKey(key)
        var configuration =
            switch role {
            case .server:
                TLSConfiguration.makeServerConfiguration(
                    certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(ownKey))
            case .terminal: TLSConfiguration.makeClientConfiguration()
            }
        configuration.certificateChain = chain.map { .certificate($0) }
        configuration.privateKey = .privateKey(ownKey)
        configuration.minimumTLSVersion = .tlsv13
        configuration.trustRoots = .certificates(roots)
        // The server has no host name to compare: it may have a list of terminals instead.
        configuration.certificateVerification = role == .server ? .noHostnameVerification : .fullVerification
        configuration.shutdownTimeout = .seconds(1)
        do {
            context = try NIOSSLContext(configuration: configuration)
        } catch {
            throw .credentials(file: certificate, reason: "certificate and key do not fit: \(error)")
        }
        self.role = role
    }

    private static func read(_ path: String) throws(RemoteReaderError) -> [UInt8] {
        do {
            return Array(try Data(contentsOf: URL(fileURLWithPath: path)))
        } catch {
            throw .credentials(
                file: path, reason: "cannot be read (\(error.localizedDescription)): tapbridge certs makes it"
            )
        }
    }

    private static func certificates(_ path: String) throws(RemoteReaderError) -> [NIOSSLCertificate] {
        let bytes = try read(path)
        do {
            let found = try NIOSSLCertificate.fromPEMBytes(bytes)
            if !found.isEmpty { return found }
        } catch {}
        throw .credentials(file: path, reason: "holds no certificate in PEM")
    }

    private static func privateKey(_ path: String) throws(RemoteReaderError) -> NIOSSLPrivateKey {
        let bytes = try read(path)
        let mode = (try? FileManager.default.attributesOfItem(atPath: path))?[.posixPermissions] as? NSNumber
        // The service manager's credentials are for this process alone; an access list may look like rights of a group.
        let isCredential =
            ProcessInfo.processInfo.environment["CREDENTIALS_DIRECTORY"].map { path.hasPrefix($0 + "/") }
            ?? false
        guard isCredential || mode.map({ $0.intValue & 0o077 == 0 }) ?? false else {
            throw .credentials(file: path, reason: "others may read this key: chmod 600 it")
        }
        do {
            return try NIOSSLPrivateKey(bytes: bytes, format: .pem)
        } catch {
            throw .credentials(file: path, reason: "holds no private key in PEM")
        }
    }
}
