internal import CLibCrypto
public import EMV

/// A PIN of 4 to 12 digits (ISO 9564-1). Its descriptions show nothing; its memory is wiped when the last copy
/// goes.
public struct PIN: Sendable, Equatable {
    private let storage: SecretStorage

    /// Nil unless 4 to 12 decimal digits.
    public init?(_ text: some StringProtocol) {
        var bytes = Array(text.utf8)
        defer { OPENSSL_cleanse(&bytes, bytes.count) }
        guard (4...12).contains(bytes.count), bytes.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        for index in bytes.indices { bytes[index] -= 0x30 }
        storage = SecretStorage(bytes.span)
    }

    /// From characters as they were typed, which the caller wipes. Nil unless 4 to 12 decimal digits.
    public init?(typed characters: Span<UInt8>) {
        guard (4...12).contains(characters.count) else { return nil }
        var digits = [UInt8](repeating: 0, count: characters.count)
        defer { OPENSSL_cleanse(&digits, digits.count) }
        for index in characters.indices {
            guard (0x30...0x39).contains(characters[index]) else { return nil }
            digits[index] = characters[index] - 0x30
        }
        self.init(digits: digits.span)
    }

    init?(digits: Span<UInt8>) {
        guard (4...12).contains(digits.count) else { return nil }
        for index in digits.indices where digits[index] > 9 { return nil }
        storage = SecretStorage(digits)
    }

    var count: Int { storage.count }
    func digit(_ index: Int) -> UInt8 { storage.buffer[index] }

    /// In a time that does not tell where they differ.
    public static func == (lhs: PIN, rhs: PIN) -> Bool {
        lhs.count == rhs.count && CRYPTO_memcmp(lhs.storage.base, rhs.storage.base, lhs.count) == 0
    }
}

extension PIN: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "PIN(****)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// Enciphered PIN blocks of ISO 9564-1: format 0 under Triple DES (9.3.1) and format 4 under AES (9.4.2).
///
/// Each public function leaves no clear PIN behind: heap buffers are wiped where they are used, and the stack that
/// the work has used is wiped at the end.
public enum PINBlock {
    /// Format 0: eight bytes, PIN and card number mixed.
    /// - Throws: what libcrypto reports.
    public static func enciphered(
        _ pin: PIN, of number: PrimaryAccountNumber, with key: TripleDESKey
    ) throws(CryptographyError) -> [UInt8] {
        defer { tapbridge_wipe_stack() }
        return try formatZero(pin, number, key)
    }

    @inline(never)
    private static func formatZero(
        _ pin: PIN, _ number: PrimaryAccountNumber, _ key: TripleDESKey
    ) throws(CryptographyError) -> [UInt8] {
        var block = pinField(pin, format: 0, filler: 0xF)
        defer { OPENSSL_cleanse(&block, block.count) }
        let field = accountField(number)
        for index in block.indices { block[index] ^= field[index] }
        return try key.encryptECB(block.span)
    }

    /// The PIN of an enciphered block of format 0; nil where the block holds none for this card number.
    /// - Throws: what libcrypto reports.
    public static func decipher(
        _ block: [UInt8], of number: PrimaryAccountNumber, with key: TripleDESKey
    ) throws(CryptographyError) -> PIN? {
        guard block.count == 8 else { return nil }
        defer { tapbridge_wipe_stack() }
        return try fromFormatZero(block, number, key)
    }

    @inline(never)
    private static func fromFormatZero(
        _ block: [UInt8], _ number: PrimaryAccountNumber, _ key: TripleDESKey
    ) throws(CryptographyError) -> PIN? {
        var clear = try key.decryptECB(block.span)
        defer { OPENSSL_cleanse(&clear, clear.count) }
        let field = accountField(number)
        for index in clear.indices { clear[index] ^= field[index] }
        return pin(clear.span, format: 0, filler: 0xF)
    }

    /// Format 4: sixteen bytes, enciphered twice with the card number between, and half random, so that the same PIN
    /// never gives the same block.
    /// - Throws: what libcrypto reports.
    public static func enciphered(
        _ pin: PIN, of number: PrimaryAccountNumber, with key: AESKey
    ) throws(CryptographyError) -> [UInt8] {
        var random = [UInt8](repeating: 0, count: 8)
        guard RAND_bytes(&random, 8) == 1 else { throw .last }
        defer { tapbridge_wipe_stack() }
        return enciphered(pin, of: number, with: key, random: load(random.span.bytes, 0))
    }

    /// - Parameter random: in memory order.
    @inline(never)
    static func enciphered(
        _ pin: PIN, of number: PrimaryAccountNumber, with key: AESKey, random: UInt64
    ) -> [UInt8] {
        var field = pinField(pin, format: 4, filler: 0xA)
        defer { OPENSSL_cleanse(&field, field.count) }
        let block = AESKey.Block(first: load(field.span.bytes, 0), second: random)
        let once = key.transform(block, encrypt: true)
        return key.transform(once ^ longAccountField(number), encrypt: true).bytes
    }

    /// The PIN of an enciphered block of format 4; nil where the block holds none for this card number.
    public static func decipher(
        _ block: [UInt8], of number: PrimaryAccountNumber, with key: AESKey
    ) -> PIN? {
        guard block.count == 16 else { return nil }
        defer { tapbridge_wipe_stack() }
        return fromFormatFour(block, number, key)
    }

    @inline(never)
    private static func fromFormatFour(
        _ block: [UInt8], _ number: PrimaryAccountNumber, _ key: AESKey
    ) -> PIN? {
        let bytes = block.span.bytes
        let last = AESKey.Block(first: load(bytes, 0), second: load(bytes, 8))
        let once = key.transform(last, encrypt: false) ^ longAccountField(number)
        var clear = key.transform(once, encrypt: false).bytes
        defer { OPENSSL_cleanse(&clear, clear.count) }
        return pin(clear.span.extracting(0..<8), format: 4, filler: 0xA)
    }

    /// Control, length, digits and filler in eight bytes.
    private static func pinField(_ pin: PIN, format: UInt8, filler: UInt8) -> [UInt8] {
        var field = [UInt8](repeating: filler << 4 | filler, count: 8)
        field[0] = format << 4 | UInt8(pin.count)
        for index in 0..<pin.count {
            let place = 1 + index / 2
            let digit = pin.digit(index)
            field[place] =
                index.isMultiple(of: 2) ? digit << 4 | field[place] & 0x0F : field[place] & 0xF0 | digit
        }
        return field
    }

    /// The PIN of eight bytes; nil where format, length, digits or filler are wrong.
    private static func pin(_ field: Span<UInt8>, format: UInt8, filler: UInt8) -> PIN? {
        let count = Int(field[0] & 0x0F)
        guard field[0] >> 4 == format, (4...12).contains(count) else { return nil }
        for index in count..<14 where nibble(field, index) != filler { return nil }
        var digits = [UInt8](repeating: 0, count: count)
        defer { OPENSSL_cleanse(&digits, digits.count) }
        for index in 0..<count { digits[index] = nibble(field, index) }
        return PIN(digits: digits.span)
    }

    /// The digit or filler at `index` after control and length.
    private static func nibble(_ field: Span<UInt8>, _ index: Int) -> UInt8 {
        index.isMultiple(of: 2) ? field[1 + index / 2] >> 4 : field[1 + index / 2] & 0x0F
    }

    /// Four zeros and the twelve rightmost digits before the check digit.
    static func accountField(_ number: PrimaryAccountNumber) -> [UInt8] {
        var field = [UInt8](repeating: 0, count: 8)
        let last = number.digitCount - 2
        for position in 0..<12 {
            let index = last - position
            guard index >= 0 else { break }
            let digit = number.digit(index)
            let nibble = 15 - position
            field[nibble / 2] |= nibble.isMultiple(of: 2) ? digit << 4 : digit
        }
        return field
    }

    /// How many digits more than twelve, then all of them, check digit included; numbers of fewer than twelve are
    /// filled up with zeros on their left.
    private static func longAccountField(_ number: PrimaryAccountNumber) -> AESKey.Block {
        var field = [UInt8](repeating: 0, count: 16)
        let count = number.digitCount
        field[0] = UInt8(max(count - 12, 0)) << 4
        let first = 1 + max(12 - count, 0)
        for index in 0..<count {
            let nibble = first + index
            let digit = number.digit(index)
            field[nibble / 2] |= nibble.isMultiple(of: 2) ? digit << 4 : digit
        }
        return AESKey.Block(first: load(field.span.bytes, 0), second: load(field.span.bytes, 8))
    }
}
