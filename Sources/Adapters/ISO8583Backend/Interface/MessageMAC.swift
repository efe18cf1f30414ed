public import EMV
internal import EMVCryptography
public import ISO8583
internal import ProfileFile

/// Message authentication codes in field 64 or 128.
public struct MessageMAC: Sendable {
    public enum Algorithm: String, Sendable, CaseIterable {
        /// ANSI X9.19: the last block with the whole Triple DES key; zeros as padding.
        case retail
        /// Cipher block chaining with Triple DES; zeros as padding.
        case tripleDES = "tdes-cbc"
        /// AES-CMAC, its first eight bytes.
        case aesCMAC = "aes-cmac"
    }
    private enum Key: Sendable {
        case retail(TripleDESKey)
        case chaining(TripleDESKey)
        case cmac(AESKey)
    }
    public let algorithm: Algorithm
    private let key: Key

    /// - Throws: `CryptographyError.keyLength`.
    public init(_ algorithm: Algorithm, key: [UInt8]) throws(CryptographyError) {
        self.algorithm = algorithm
        switch algorithm {
        case .retail: self.key = .retail(try TripleDESKey(key))
        case .tripleDES: self.key = .chaining(try TripleDESKey(key))
        case .aesCMAC: self.key = .cmac(try AESKey(key))
        }
    }

    /// Eight bytes.
    public func code(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        let bytes = Array(bytes)
        switch key {
        case .retail(let key): return key.retailMAC(bytes, padding: .method1).bytes
        case .chaining(let key): return key.cbcMAC(bytes, padding: .method1).bytes
        case .cmac(let key): return Array(key.cmac(bytes).prefix(8))
        }
    }

    /// Whether a received message carries the right code.
    public func verifies(_ message: Message, in bytes: [UInt8], _ dialect: Dialect) -> Bool {
        guard let (covered, sent) = dialect.authentication(of: message, in: bytes) else { return false }
        let own = code(covered)
        return MessageAuthentication.isEqual(
            own + Array(repeating: 0, count: max(0, sent.count - own.count)), Array(sent))
    }

    /// `{ algorithm: retail, key: "..." }` or `key-file` for a file of hexadecimal digits.
    init(_ place: ProfileFile) throws(ProfileFileError) {
        let keys = try place.mapping()
        let algorithm: Algorithm = try keys.required("algorithm").choice()
        let bytes: [UInt8]
        let keyPlace: ProfileFile
        if let file = keys.optional("key-file") {
            keyPlace = file
            bytes = try file.hexadecimalFile()
        } else {
            keyPlace = try keys.required("key")
            bytes = try keyPlace.hex(count: 8...32)
        }
        try keys.finish()
        do throws(CryptographyError) {
            try self.init(algorithm, key: bytes)
        } catch {
            throw keyPlace.error("\(algorithm.rawValue) cannot use a key of \(bytes.count) bytes")
        }
    }
}
