internal import CLibCrypto

/// A private key on the curve P-256 (FIPS 186-4, D.1.2.3), for signatures with SHA-256.
///
/// `@unchecked Sendable`: libcrypto counts references atomically, and the key is only read after `init`.
public final class PrivateKey: @unchecked Sendable {
    let key: OpaquePointer

    /// Takes over `key`.
    private init(owning key: OpaquePointer) { self.key = key }

    deinit { EVP_PKEY_free(key) }

    /// A new key from libcrypto's random numbers.
    /// - Throws: `.libcrypto`.
    public static func generate() throws(CertificateError) -> PrivateKey {
        guard let context = EVP_PKEY_CTX_new_from_name(nil, "EC", nil) else { throw .last }
        defer { EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer?
        guard EVP_PKEY_keygen_init(context) == 1, EVP_PKEY_CTX_set_group_name(context, "P-256") == 1,
            EVP_PKEY_generate(context, &key) == 1, let key
        else { throw .last }
        return PrivateKey(owning: key)
    }

    /// Reads PEM: PKCS #8 ("PRIVATE KEY") or SEC 1 ("EC PRIVATE KEY").
    /// - Throws: `.notAPrivateKey`, also for one under a passphrase; `.notP256`.
    public convenience init(pem: String) throws(CertificateError) {
        let read = withPEM(pem) { bio in
            // libcrypto would ask the person at the terminal for a passphrase.
            PEM_read_bio_PrivateKey(bio, nil, { _, _, _, _ in -1 }, nil)
        }
        guard let read else { throw .notAPrivateKey }
        guard Self.isP256(read) else {
            EVP_PKEY_free(read)
            throw .notP256
        }
        self.init(owning: read)
    }

    private static func isP256(_ key: OpaquePointer) -> Bool {
        var name = [CChar](repeating: 0, count: 64)
        var length = 0
        guard EVP_PKEY_get_group_name(key, &name, name.count, &length) == 1 else { return false }
        // Both are names of one curve in libcrypto.
        return ["prime256v1", "P-256"].contains(
            String(decoding: name.prefix(length).map(UInt8.init(bitPattern:)), as: UTF8.self))
    }

    /// PKCS #8 in PEM, not encrypted.
    /// - Throws: `.libcrypto`.
    public func pem() throws(CertificateError) -> String {
        try collected { PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil) }
    }
}
