internal import CLibCrypto

/// SHA-1, the hash algorithm 01 of EMV Book 2, B2.1. The result has 20 bytes.
public struct SHA1 {
    private var context = SHA_CTX()

    public init() { SHA1_Init(&context) }

    /// Appends bytes.
    public mutating func update(_ bytes: Span<UInt8>) {
        bytes.withUnsafeBytes { buffer in _ = SHA1_Update(&context, buffer.baseAddress, buffer.count) }
    }

    /// Appends bytes.
    public mutating func update(_ bytes: [UInt8]) { update(bytes.span) }

    /// The hash of what was appended. The state is then spent.
    public mutating func finalize() -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 20) { buffer, count in
            SHA1_Final(buffer.baseAddress, &context)
            count = 20
        }
    }

    public static func hash(_ bytes: Span<UInt8>) -> [UInt8] {
        var digest = SHA1()
        digest.update(bytes)
        return digest.finalize()
    }
}

/// SHA-256. The result has 32 bytes.
public struct SHA256 {
    private var context = SHA256_CTX()

    public init() { SHA256_Init(&context) }

    /// Appends bytes.
    public mutating func update(_ bytes: Span<UInt8>) {
        bytes.withUnsafeBytes { buffer in _ = SHA256_Update(&context, buffer.baseAddress, buffer.count) }
    }

    /// Appends bytes.
    public mutating func update(_ bytes: [UInt8]) { update(bytes.span) }

    /// The hash of what was appended. The state is then spent.
    public mutating func finalize() -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 32) { buffer, count in
            SHA256_Final(buffer.baseAddress, &context)
            count = 32
        }
    }

    public static func hash(_ bytes: Span<UInt8>) -> [UInt8] {
        var digest = SHA256()
        digest.update(bytes)
        return digest.finalize()
    }
}
