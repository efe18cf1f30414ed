internal import CLibCrypto
public import Foundation

/// An X.509 certificate (RFC 5280), read or made by libcrypto.
///
/// `@unchecked Sendable`: libcrypto counts references atomically and guards what it computes late with its own lock; the
/// certificate is only read after `init`.
public final class Certificate: @unchecked Sendable {
    let x509: OpaquePointer

    /// Takes over `x509`.
    init(owning x509: OpaquePointer) { self.x509 = x509 }

    deinit { X509_free(x509) }

    /// Reads one certificate in DER with nothing behind it, as a TLS peer shows it.
    /// - Throws: `.notACertificate`.
    public convenience init(der: [UInt8]) throws(CertificateError) {
        let read = der.withUnsafeBufferPointer { bytes -> OpaquePointer? in
            var next = bytes.baseAddress
            guard let certificate = d2i_X509(nil, &next, bytes.count) else { return nil }
            guard next == bytes.baseAddress?.advanced(by: bytes.count) else {
                X509_free(certificate)
                return nil
            }
            return certificate
        }
        ERR_clear_error()
        guard let read else { throw .notACertificate }
        self.init(owning: read)
    }

    /// Reads the first certificate of a PEM text.
    /// - Throws: `.notACertificate`.
    public convenience init(pem: String) throws(CertificateError) {
        guard let read = withPEM(pem, { PEM_read_bio_X509($0, nil, { _, _, _, _ in -1 }, nil) }) else {
            throw .notACertificate
        }
        self.init(owning: read)
    }

    /// - Throws: `.libcrypto`.
    public func pem() throws(CertificateError) -> String {
        try collected { PEM_write_bio_X509($0, x509) }
    }

    /// Seconds are the finest unit.
    public var notValidBefore: Date? { Self.date(X509_get0_notBefore(x509)) }
    public var notValidAfter: Date? { Self.date(X509_get0_notAfter(x509)) }

    /// The DNS names of its subject alternative names, in their order; a name with a zero byte or other bytes than ASCII is
    /// left out, as nobody may be known by it.
    public var dnsNames: [String] {
        guard let names = X509_get_ext_d2i(x509, NID_subject_alt_name, nil, nil) else { return [] }
        let stack = OpaquePointer(names)
        defer { GENERAL_NAMES_free(stack) }
        return (0..<OPENSSL_sk_num(stack)).compactMap { index in
            guard let value = OPENSSL_sk_value(stack, index) else { return nil }
            let name = value.assumingMemoryBound(to: GENERAL_NAME.self)
            guard name.pointee.type == GEN_DNS, let text = name.pointee.d.dNSName else { return nil }
            let bytes = Self.bytes(text)
            guard bytes.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    /// Whether this certificate's public key belongs to `key`.
    public func isOf(_ key: PrivateKey) -> Bool {
        guard let own = X509_get0_pubkey(x509) else { return false }
        return EVP_PKEY_eq(own, key.key) == 1
    }

    private static func bytes(_ string: UnsafePointer<ASN1_STRING>) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: ASN1_STRING_get0_data(string), count: Int(ASN1_STRING_length(string)))
    }

    private static func date(_ time: UnsafePointer<ASN1_TIME>?) -> Date? {
        var parts = tm()
        guard let time, ASN1_TIME_to_tm(time, &parts) == 1 else { return nil }
        return Date(timeIntervalSince1970: Double(timegm(&parts)))
    }
}
