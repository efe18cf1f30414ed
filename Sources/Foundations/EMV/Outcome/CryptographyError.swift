/// What a cryptographic primitive refused, and why.
public enum CryptographyError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A symmetric key of `found` bytes where one of `allowed` is needed.
    case keyLength(found: Int, allowed: [Int])
    /// `count` bytes where whole blocks of `blockSize` bytes are needed.
    case notWholeBlocks(count: Int, blockSize: Int)
    /// An initialisation vector or diversification value of the wrong length.
    case length(found: Int, expected: Int)
    /// An RSA modulus that is empty, even, or longer than 512 bytes, or an exponent that is even or below 3.
    case invalidRSAKey
    /// A block that is not as long as the modulus.
    case blockLength(found: Int, modulus: Int)
    /// A block whose value is not below the modulus.
    case blockNotBelowModulus
    /// Padding that is not there after decipherment.
    case padding
    /// libcrypto failed where it should not; `code` is its error code.
    case libcrypto(code: UInt)

    public var description: String {
        switch self {
        case .keyLength(let found, let allowed):
            "a key of \(found) bytes; allowed are \(allowed.map(String.init).joined(separator: ", "))"
        case .notWholeBlocks(let count, let blockSize):
            "\(count) bytes are not a whole number of \(blockSize)-byte blocks"
        case .length(let found, let expected): "\(found) bytes where \(expected) are needed"
        case .invalidRSAKey: "the RSA modulus or exponent is not usable"
        case .blockLength(let found, let modulus):
            "a block of \(found) bytes for an RSA modulus of \(modulus) bytes"
        case .blockNotBelowModulus: "the block's value is not below the RSA modulus"
        case .padding: "the padding is wrong"
        case .libcrypto(let code): "libcrypto failed with code \(code)"
        }
    }
}
