internal import BERTLV
internal import CLibCrypto

/// Derived Unique Key Per Transaction with Triple DES (ANSI X9.24-1:2009, annex A). Terminal and host derive
/// alike: the terminal from its initial key, the host from the base derivation key.
public enum TripleDESDUKPT {
    /// Key Serial Number: 10 bytes, the last 21 bits being the transaction counter, whose usable values have one
    /// to ten bits set (annex A.1).
    public struct KeySerialNumber: Sendable, Hashable, CustomStringConvertible {
        public static let byteCount = 10
        static let counterBits = 21
        static let counterLimit = 10
        static let counterMask: UInt32 = 0x1F_FFFF

        /// All 10 bytes.
        public let bytes: [UInt8]

        /// - Throws: `.identifierLength` unless 10 bytes.
        public init(_ bytes: [UInt8]) throws(DUKPTError) {
            guard bytes.count == Self.byteCount else {
                throw .identifierLength(found: bytes.count, expected: Self.byteCount)
            }
            self.bytes = bytes
        }

        /// The same device with another counter, of which 21 bits count.
        public func with(counter: UInt32) -> KeySerialNumber {
            var bytes = bytes
            bytes[7] = bytes[7] & 0xE0 | UInt8(truncatingIfNeeded: counter >> 16) & 0x1F
            bytes[8] = UInt8(truncatingIfNeeded: counter >> 8)
            bytes[9] = UInt8(truncatingIfNeeded: counter)
            return KeySerialNumber(unchecked: bytes)
        }

        private init(unchecked bytes: [UInt8]) { self.bytes = bytes }

        /// 0 in the initial key serial number, which enciphers nothing.
        public var counter: UInt32 {
            (UInt32(bytes[7]) << 16 | UInt32(bytes[8]) << 8 | UInt32(bytes[9])) & Self.counterMask
        }

        /// Whether a transaction may use it.
        public var isUsable: Bool { TransactionCounter.isAllowed(counter, limit: Self.counterLimit) }

        /// The device's next one; nil at its end of life, after 1 048 575 transactions.
        public var successor: KeySerialNumber? {
            TransactionCounter.successor(of: counter, bits: Self.counterBits, limit: Self.counterLimit)
                .map { with(counter: $0) }
        }

        /// Counter 0.
        public var initial: KeySerialNumber { with(counter: 0) }

        public var description: String { Hex.string(bytes) }
    }

    /// What a working key is for (annex A.4.1, table A-1).
    public enum Usage: Sendable, Hashable, CaseIterable {
        case pinEncryption, macRequest, macResponse, dataRequest, dataResponse

        /// Exclusive-ored to both halves, as a big-endian number.
        var variant: UInt64 {
            switch self {
            case .pinEncryption: 0x0000_0000_0000_00FF
            case .macRequest: 0x0000_0000_0000_FF00
            case .macResponse: 0x0000_0000_FF00_0000
            case .dataRequest: 0x0000_0000_00FF_0000
            case .dataResponse: 0x0000_00FF_0000_0000
            }
        }

        /// Keys for data go through a one-way function besides.
        var isForData: Bool { self == .dataRequest || self == .dataResponse }
    }

    /// The device's Initial PIN Encryption Key (annex A.6).
    /// - Parameter baseKey: Base Derivation Key, 16 bytes.
    /// - Throws: `.keyLength`.
    public static func initialKey(
        baseKey: SecretKey, keySerialNumber: KeySerialNumber
    ) throws(DUKPTError) -> SecretKey {
        let halves = try halves(baseKey)
        let block = load(keySerialNumber.initial.bytes.span.bytes, 0)
        let left = TripleDESKey(halves.left, halves.right).transform(block, encrypt: true)
        let right = TripleDESKey(halves.left ^ mask, halves.right ^ mask).transform(block, encrypt: true)
        return key(left, right)
    }

    /// The key of one transaction by the Non-Reversible Key Generation Process (annex A.2), before any variant.
    /// - Parameter initialKey: 16 bytes.
    /// - Throws: `.keyLength`, `.counter`.
    public static func transactionKey(
        initialKey: SecretKey, keySerialNumber: KeySerialNumber
    ) throws(DUKPTError) -> SecretKey {
        guard keySerialNumber.isUsable else {
            throw .counter(keySerialNumber.counter, limit: KeySerialNumber.counterLimit)
        }
        var (left, right) = try halves(initialKey)
        // The crypto register: the rightmost 64 bits of the serial number, its counter built up bit by bit.
        var register = UInt64(bigEndian: load(keySerialNumber.initial.bytes.span.bytes, 2))
        let counter = UInt64(keySerialNumber.counter)
        var bit = UInt64(1) << UInt64(KeySerialNumber.counterBits - 1)
        while bit != 0 {
            if counter & bit != 0 {
                register |= bit
                let block = register.bigEndian
                let nextRight = generate(block, left, right)
                left = generate(block, left ^ mask, right ^ mask)
                right = nextRight
            }
            bit >>= 1
        }
        return key(left, right)
    }

    /// The key that a transaction uses for one purpose.
    /// - Parameter initialKey: 16 bytes.
    /// - Throws: `.keyLength`, `.counter`.
    public static func workingKey(
        _ usage: Usage, initialKey: SecretKey, keySerialNumber: KeySerialNumber
    ) throws(DUKPTError) -> TripleDESKey {
        let (left, right) = try halves(
            transactionKey(initialKey: initialKey, keySerialNumber: keySerialNumber))
        let variant = usage.variant.bigEndian
        let key = TripleDESKey(left ^ variant, right ^ variant)
        guard usage.isForData else { return key }
        return TripleDESKey(
            key.transform(left ^ variant, encrypt: true), key.transform(right ^ variant, encrypt: true))
    }

    /// C0C0C0C0 00000000 in memory order.
    private static var mask: UInt64 { UInt64(0xC0C0_C0C0_0000_0000).bigEndian }

    /// One half of the next key: single DES under `left` between two additions of `right`.
    private static func generate(_ register: UInt64, _ left: UInt64, _ right: UInt64) -> UInt64 {
        TripleDESKey(left, left).transformSingle(register ^ right, part: 0, encrypt: true) ^ right
    }

    private static func halves(_ key: SecretKey) throws(DUKPTError) -> (left: UInt64, right: UInt64) {
        guard key.count == 16 else { throw .keyLength(found: key.count, allowed: [16]) }
        return key.withClearBytes { (load($0.bytes, 0), load($0.bytes, 8)) }
    }

    private static func key(_ left: UInt64, _ right: UInt64) -> SecretKey {
        var parts = (left, right)
        defer { withUnsafeMutableBytes(of: &parts) { OPENSSL_cleanse($0.baseAddress, $0.count) } }
        return withUnsafeBytes(of: &parts) { SecretKey(Span(_unsafeElements: $0.bindMemory(to: UInt8.self))) }
    }
}
