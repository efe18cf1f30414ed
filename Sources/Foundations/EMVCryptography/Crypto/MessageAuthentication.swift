internal import CLibCrypto
public import EMV

/// Message authentication besides the ciphers' own codes (`TripleDESKey.retailMAC`, `TripleDESKey.cbcMAC`,
/// `AESKey.cmac`).
public enum MessageAuthentication {
    /// HMAC-SHA-256 (FIPS 198-1), 32 bytes. A key may have any length, none included.
    /// - Throws: what libcrypto reports.
    public static func hmacSHA256(
        _ data: Span<UInt8>, key: SecretKey
    ) throws(CryptographyError) -> [UInt8] {
        var output = [UInt8](repeating: 0, count: 32)
        var count: UInt32 = 0
        let succeeded = key.withClearBytes { keyBytes in
            keyBytes.withUnsafeBytes { keyBuffer in
                data.withUnsafeBufferPointer { dataBuffer in
                    HMAC(
                        EVP_sha256(), keyBuffer.baseAddress, Int32(keyBuffer.count), dataBuffer.baseAddress,
                        dataBuffer.count, &output, &count) != nil
                }
            }
        }
        guard succeeded, count == 32 else { throw .last }
        return output
    }

    /// Compares codes in a time that does not tell where they differ. Codes of different length are different.
    public static func isEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        left.count == right.count && CRYPTO_memcmp(left, right, left.count) == 0
    }
}

extension AESKey {
    /// ISO/IEC 9797-1 MAC algorithm 1: chaining mode, the last block being the MAC. 16 bytes. Safe only for messages
    /// of one fixed length: `cmac` has no such weakness.
    public func cbcMAC(_ data: Span<UInt8>, padding: MACPadding) -> [UInt8] {
        var state = Block()
        var offset = 0
        let raw = data.bytes
        while data.count - offset >= 16 {
            let block = Block(first: load(raw, offset), second: load(raw, offset + 8))
            state = transform(state ^ block, encrypt: true)
            offset += 16
        }
        let rest = data.count - offset
        guard rest > 0 || padding == .method2 || data.count == 0 else { return state.bytes }
        var last = Block()
        withUnsafeMutableBytes(of: &last) { bytes in
            for index in 0..<rest { bytes[index] = data[offset + index] }
            if padding == .method2 { bytes[rest] = 0x80 }
        }
        return transform(state ^ last, encrypt: true).bytes
    }
}
