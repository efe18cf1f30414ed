internal import CLibCrypto
public import EMV

/// AES-256 in Galois/Counter Mode (NIST SP 800-38D) for what must be kept and not be read: 12 bytes of nonce, the
/// enciphered bytes, 16 bytes of tag.
public enum AuthenticatedEncryption {
    public static let keyCount = 32
    static let nonceCount = 12
    static let tagCount = 16

    /// - Parameters:
    ///   - key: 32 bytes.
    ///   - context: authenticated and not stored: the same is needed to open.
    /// - Throws: `.keyLength`; what libcrypto reports.
    public static func seal(
        _ bytes: [UInt8], key: SecretKey, context: [UInt8]
    ) throws(CryptographyError) -> [UInt8] {
        var nonce = [UInt8](repeating: 0, count: nonceCount)
        guard RAND_bytes(&nonce, Int32(nonceCount)) == 1 else { throw .last }
        var tag = [UInt8](repeating: 0, count: tagCount)
        let sealed = try run(bytes, key: key, nonce: nonce, context: context, tag: &tag, encrypts: true)
        return nonce + sealed + tag
    }

    /// Nil where the bytes were altered, or belong to another key or context.
    /// - Throws: `.keyLength`; what libcrypto reports.
    public static func open(
        _ sealed: [UInt8], key: SecretKey, context: [UInt8]
    ) throws(CryptographyError) -> [UInt8]? {
        guard sealed.count >= nonceCount + tagCount else { return nil }
        var tag = Array(sealed.suffix(tagCount))
        do throws(CryptographyError) {
            return try run(
                Array(sealed[nonceCount..<(sealed.count - tagCount)]), key: key,
                nonce: Array(sealed.prefix(nonceCount)), context: context, tag: &tag, encrypts: false)
        } catch {
            if case .keyLength = error { throw error }
            return nil
        }
    }

    /// A fresh key.
    /// - Throws: what libcrypto reports.
    public static func makeKey() throws(CryptographyError) -> SecretKey {
        var bytes = [UInt8](repeating: 0, count: keyCount)
        guard RAND_bytes(&bytes, Int32(keyCount)) == 1 else { throw .last }
        defer { OPENSSL_cleanse(&bytes, bytes.count) }
        return SecretKey(bytes)
    }

    private static func run(
        _ input: [UInt8], key: SecretKey, nonce: [UInt8], context: [UInt8], tag: inout [UInt8], encrypts: Bool
    ) throws(CryptographyError) -> [UInt8] {
        guard key.count == keyCount else { throw .keyLength(found: key.count, allowed: [keyCount]) }
        guard input.count <= 1 << 24, context.count <= 1 << 16, let cipher = EVP_CIPHER_CTX_new() else {
            throw .last
        }
        defer { EVP_CIPHER_CTX_free(cipher) }
        let direction: Int32 = encrypts ? 1 : 0
        let isReady = key.withClearBytes { bytes in
            bytes.withUnsafeBufferPointer {
                EVP_CipherInit_ex(cipher, EVP_aes_256_gcm(), nil, $0.baseAddress, nonce, direction) == 1
            }
        }
        guard isReady else { throw .last }
        var count: Int32 = 0
        if !encrypts {
            guard EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, Int32(tagCount), &tag) == 1 else {
                throw .last
            }
        }
        if !context.isEmpty {
            guard EVP_CipherUpdate(cipher, nil, &count, context, Int32(context.count)) == 1 else {
                throw .last
            }
        }
        var output = [UInt8](repeating: 0, count: input.count + 16)
        guard EVP_CipherUpdate(cipher, &output, &count, input, Int32(input.count)) == 1 else { throw .last }
        var rest = [UInt8](repeating: 0, count: 16)
        var restCount: Int32 = 0
        guard EVP_CipherFinal_ex(cipher, &rest, &restCount) == 1 else { throw .last }
        if encrypts {
            guard EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, Int32(tagCount), &tag) == 1 else {
                throw .last
            }
        }
        return Array(output.prefix(Int(count))) + rest.prefix(Int(restCount))
    }
}
