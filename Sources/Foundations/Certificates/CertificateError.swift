/// What libcrypto refused about a certificate or key, and why.
public enum CertificateError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The bytes are no certificate: neither DER (RFC 5280, section 4) nor, for text, PEM (RFC 7468).
    case notACertificate
    /// The text is no unencrypted private key in PEM (PKCS #8 or SEC 1).
    case notAPrivateKey
    /// A key of another kind where one on the curve P-256 is needed.
    case notP256
    /// A value that has no place in a certificate: a name, an address, a time.
    case invalidValue(String)
    /// libcrypto failed where it should not; `code` is its error code.
    case libcrypto(code: UInt)

    public var description: String {
        switch self {
        case .notACertificate: "no X.509 certificate"
        case .notAPrivateKey: "no unencrypted private key in PEM"
        case .notP256: "not a key on the curve P-256"
        case .invalidValue(let what): "\(what) has no place in a certificate"
        case .libcrypto(let code): "libcrypto failed with code \(code)"
        }
    }
}
