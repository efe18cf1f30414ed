internal import BERTLV
internal import CLibCrypto
internal import EMV

/// Derived Unique Key Per Transaction with AES (ANSI X9.24-3:2017). Terminal and host derive alike: the terminal
/// from its initial key, the host from the base derivation key.
public enum AESDUKPT {
    /// Key Serial Number: Initial Key Identifier of 8 bytes (base key 4, device 4) and transaction counter of 4, whose
    /// usable values have one to sixteen bits set (6.3.2).
    public struct KeySerialNumber: Sendable, Hashable, CustomStringConvertible {
        public static let byteCount = 12
        static let counterBits = 32
        static let counterLimit = 16

        /// All 12 bytes.
        public let bytes: [UInt8]

        /// - Throws: `.identifierLength` unless 12 bytes.
        public init(_ bytes: [UInt8]) throws(DUKPTError) {
            guard bytes.count == Self.byteCount else {
                throw .identifierLength(found: bytes.count, expected: Self.byteCount)
            }
            self.bytes = bytes
        }

        /// - Throws: `.identifierLength` unless the Initial Key Identifier has 8 bytes.
        public init(initialKeyIdentifier: [UInt8], counter: UInt32) throws(DUKPTError) {
            guard initialKeyIdentifier.count == 8 else {
                throw .identifierLength(found: initialKeyIdentifier.count, expected: 8)
            }
            bytes = initialKeyIdentifier + Self.bytes(counter)
        }

        private static func bytes(_ counter: UInt32) -> [UInt8] {
            (0..<4).map { UInt8(truncatingIfNeeded: counter >> (24 - 8 * $0)) }
        }

        private init(unchecked bytes: [UInt8]) { self.bytes = bytes }

        /// 8 bytes.
        public var initialKeyIdentifier: [UInt8] { Array(bytes.prefix(8)) }

        /// 0 in the initial key serial number, which enciphers nothing.
        public var counter: UInt32 { bytes.suffix(4).reduce(0) { $0 << 8 | UInt32($1) } }

        /// Whether a transaction may use it.
        public var isUsable: Bool { TransactionCounter.isAllowed(counter, limit: Self.counterLimit) }

        /// The same device with another counter.
        public func with(counter: UInt32) -> KeySerialNumber {
            KeySerialNumber(unchecked: initialKeyIdentifier + Self.bytes(counter))
        }

        /// The device's next one; nil at its end of life, after counter FFFF0000.
        public var successor: KeySerialNumber? {
            TransactionCounter.successor(of: counter, bits: Self.counterBits, limit: Self.counterLimit)
                .map { with(counter: $0) }
        }

        /// Counter 0.
        public var initial: KeySerialNumber { with(counter: 0) }

        public var description: String { Hex.string(bytes) }
    }

    /// What a derived key is for (6.3.2, table 3).
    public enum Usage: UInt16, Sendable, Hashable, CaseIterable {
        case keyEncryption = 0x0002
        case pinEncryption = 0x1000
        case macGeneration = 0x2000
        case macVerification = 0x2001
        case macBothWays = 0x2002
        case dataEncryption = 0x3000
        case dataDecryption = 0x3001
        case dataBothWays = 0x3002
        case keyDerivation = 0x8000
        case initialKey = 0x8001
    }

    /// Algorithm and length of a derived key (6.2).
    public enum KeyType: Sendable, Hashable, CaseIterable {
        case twoKeyTripleDES, threeKeyTripleDES
        case aes128, aes192, aes256
        case hmac128, hmac192, hmac256

        /// Length in bits.
        public var bits: Int {
            switch self {
            case .twoKeyTripleDES, .aes128, .hmac128: 128
            case .threeKeyTripleDES, .aes192, .hmac192: 192
            case .aes256, .hmac256: 256
            }
        }

        var indicator: UInt16 {
            switch self {
            case .twoKeyTripleDES: 0
            case .threeKeyTripleDES: 1
            case .aes128: 2
            case .aes192: 3
            case .aes256: 4
            case .hmac128, .hmac192, .hmac256: 5
            }
        }

        /// Security strength in bits (6.1.3): 112 at most for Triple DES.
        var strength: Int {
            switch self {
            case .twoKeyTripleDES: 80
            case .threeKeyTripleDES: 112
            default: bits
            }
        }

        /// AES of a key's length.
        static func aes(_ key: SecretKey) throws(DUKPTError) -> KeyType {
            switch key.count {
            case 16: .aes128
            case 24: .aes192
            case 32: .aes256
            default: throw .keyLength(found: key.count, allowed: [16, 24, 32])
            }
        }
    }

    /// The device's initial key, as long as the base key (6.3.3, "Derive Initial Key").
    /// - Parameters:
    ///   - baseKey: Base Derivation Key, 16, 24 or 32 bytes.
    ///   - identifier: Initial Key Identifier, 8 bytes.
    /// - Throws: `.keyLength`, `.identifierLength`.
    public static func initialKey(
        baseKey: SecretKey, identifier: [UInt8]
    ) throws(DUKPTError) -> SecretKey {
        guard identifier.count == 8 else { throw .identifierLength(found: identifier.count, expected: 8) }
        return try derive(baseKey, .initialKey, .aes(baseKey), data: load(identifier.span.bytes, 0))
    }

    /// The key of one transaction, from which its working keys come; as long as the initial key.
    /// - Throws: `.keyLength`, `.counter`.
    public static func transactionKey(
        initialKey: SecretKey, keySerialNumber: KeySerialNumber
    ) throws(DUKPTError) -> SecretKey {
        guard keySerialNumber.isUsable else {
            throw .counter(keySerialNumber.counter, limit: KeySerialNumber.counterLimit)
        }
        return try walk(initialKey, keySerialNumber)
    }

    /// One derivation for each bit that the counter has set, highest first.
    private static func walk(
        _ initialKey: SecretKey, _ keySerialNumber: KeySerialNumber
    ) throws(DUKPTError) -> SecretKey {
        let type = try KeyType.aes(initialKey)
        let counter = keySerialNumber.counter
        var key = initialKey
        var reached: UInt32 = 0
        var bit: UInt32 = 1 << 31
        while bit != 0 {
            if counter & bit != 0 {
                reached |= bit
                key = try derive(key, .keyDerivation, type, data: data(keySerialNumber, reached))
            }
            bit >>= 1
        }
        return key
    }

    /// The key that a transaction uses for one purpose.
    /// - Throws: `.keyLength`, `.counter`, `.strongerThanItsSource`.
    public static func workingKey(
        _ usage: Usage, _ type: KeyType, initialKey: SecretKey, keySerialNumber: KeySerialNumber
    ) throws(DUKPTError) -> SecretKey {
        let key = try transactionKey(initialKey: initialKey, keySerialNumber: keySerialNumber)
        try check(type, key)
        return try derive(key, usage, type, data: data(keySerialNumber, keySerialNumber.counter))
    }

    /// The key that enciphers a new initial key for the device: counter FFFFFFFF, which no transaction uses (6.6.3).
    /// - Throws: `.keyLength`, `.identifierLength`, `.strongerThanItsSource`.
    public static func updateKey(
        _ type: KeyType, initialKey: SecretKey, identifier: [UInt8]
    ) throws(DUKPTError) -> SecretKey {
        let number = try KeySerialNumber(initialKeyIdentifier: identifier, counter: .max)
        try check(type, initialKey)
        return try derive(walk(initialKey, number), .keyEncryption, type, data: data(number, .max))
    }

    private static func check(_ type: KeyType, _ source: SecretKey) throws(DUKPTError) {
        guard type.strength <= source.count * 8 else {
            throw .strongerThanItsSource(bits: type.bits, source: source.count * 8)
        }
    }

    /// The device's half of the Initial Key Identifier and a counter, in memory order.
    private static func data(_ number: KeySerialNumber, _ counter: UInt32) -> UInt64 {
        let identifier = UInt64(bigEndian: load(number.bytes.span.bytes, 0))
        return (identifier << 32 | UInt64(counter)).bigEndian
    }

    /// Key derivation function in counter mode (6.3.1): AES over version, block counter, usage, algorithm, length in
    /// bits and 8 bytes that name device and transaction.
    private static func derive(
        _ key: SecretKey, _ usage: Usage, _ type: KeyType, data: UInt64
    ) throws(DUKPTError) -> SecretKey {
        let cipher: AESKey
        do throws(CryptographyError) { cipher = try AESKey(key) } catch {
            throw .keyLength(found: key.count, allowed: [16, 24, 32])
        }
        var output = [UInt8](repeating: 0, count: 32)
        defer { OPENSSL_cleanse(&output, output.count) }
        let fixed =
            UInt64(usage.rawValue) << 32 | UInt64(type.indicator) << 16 | UInt64(UInt16(type.bits))
        for block in 0..<(type.bits + 127) / 128 {
            let head = UInt64(0x01) << 56 | UInt64(block + 1) << 48 | fixed
            let result = cipher.transform(AESKey.Block(first: head.bigEndian, second: data), encrypt: true)
            output.withUnsafeMutableBytes {
                $0.storeBytes(of: result, toByteOffset: 16 * block, as: AESKey.Block.self)
            }
        }
        return SecretKey(output.span.extracting(0..<type.bits / 8))
    }
}
