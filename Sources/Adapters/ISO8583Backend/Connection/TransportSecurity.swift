internal import Foundation
internal import NIOCore
public import NIOSSL
internal import ProfileFile

/// Certificates and keys of one side of a TLS connection, all in PEM files.
public struct TransportSecurity: Sendable {
    /// Certificates that are trusted; nil is the system's for a terminal, and no client certificates for a host.
    public var trust: String?
    /// Chain that is shown: own certificate first.
    public var certificate: String?
    public var key: String?
    /// Name in the host's certificate where it is not the address that is called.
    public var serverName: String?

    public init(
        trust: String? = nil, certificate: String? = nil, key: String? = nil, serverName: String? = nil
    ) {
        self.trust = trust
        self.certificate = certificate
        self.key = key
        self.serverName = serverName
    }

    init(_ place: ProfileFile) throws(ProfileFileError) {
        let keys = try place.mapping()
        trust = try keys.optional("trust")?.readableFile().path
        certificate = try keys.optional("certificate")?.readableFile().path
        key = try keys.optional("key")?.readableFile().path
        serverName = try keys.optional("server-name")?.string()
        if (certificate == nil) != (key == nil) {
            throw place.error("certificate and key go together")
        }
        try keys.finish()
        do {
            _ = try clientContext()
        } catch {
            throw place.error("\(error)")
        }
    }

    /// For a terminal: the host's certificate and name are always checked.
    /// - Throws: `TransportSecurityError` naming the file.
    public func clientContext() throws(TransportSecurityError) -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .fullVerification
        if let (chain, key) = try identity() {
            configuration.certificateChain = chain
            configuration.privateKey = key
        }
        return try context(&configuration)
    }

    /// For a host: with `trust`, terminals must show a certificate of it.
    /// - Throws: `TransportSecurityError` naming the file.
    public func serverContext() throws(TransportSecurityError) -> NIOSSLContext {
        guard let (chain, key) = try identity() else {
            throw TransportSecurityError(reason: "a host needs a certificate and its key")
        }
        var configuration = TLSConfiguration.makeServerConfiguration(certificateChain: chain, privateKey: key)
        configuration.certificateVerification = trust == nil ? .none : .noHostnameVerification
        return try context(&configuration)
    }

    private func identity() throws(TransportSecurityError) -> (
        [NIOSSLCertificateSource], NIOSSLPrivateKeySource
    )? {
        guard let certificate, let key else { return nil }
        let chain: [NIOSSLCertificateSource]
        do {
            chain = try NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) }
        } catch {
            throw TransportSecurityError(reason: "\(certificate) holds no certificates in PEM: \(error)")
        }
        do {
            return (chain, .privateKey(try NIOSSLPrivateKey(file: key, format: .pem)))
        } catch { throw TransportSecurityError(reason: "\(key) holds no private key in PEM: \(error)") }
    }

    private func context(
        _ configuration: inout TLSConfiguration
    ) throws(TransportSecurityError) -> NIOSSLContext {
        configuration.minimumTLSVersion = .tlsv12
        if let trust {
            do {
                configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(trust))
            } catch {
                throw TransportSecurityError(reason: "\(trust) holds no certificates in PEM: \(error)")
            }
        }
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch { throw TransportSecurityError(reason: "certificate and key do not fit together: \(error)") }
    }
}

public struct TransportSecurityError: Error, Sendable, CustomStringConvertible {
    public let reason: String
    public var description: String { reason }
}
