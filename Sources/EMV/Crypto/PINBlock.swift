/// A PIN of 4 to 12 digits (ISO 9564-1). Its descriptions show nothing.
public struct PIN: Sendable, Equatable {
    let digits: [UInt8]

    /// Nil unless 4 to 12 decimal digits.
    public init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        guard (4...12).contains(bytes.count), bytes.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        digits = bytes.map { $0 - 0x30 }
    }

    init?(digits: [UInt8]) {
        guard (4...12).contains(digits.count), digits.allSatisfy({ $0 <= 9 }) else { return nil }
        self.digits = digits
    }
}

extension PIN: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "PIN(****)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// PIN blocks of format 0 (ISO 9564-1, 9.3.1): eight bytes, PIN and card number mixed, under a 3DES key.
public enum PINBlock {
    /// The block enciphered.
    /// - Throws: what libcrypto reports.
    public static func enciphered(
        _ pin: PIN, of number: PrimaryAccountNumber, with key: TripleDESKey
    ) throws(CryptographyError) -> [UInt8] {
        let block = clear(pin, number)
        return try key.encryptECB(block.span)
    }

    /// The PIN of an enciphered block; nil where the block holds none for this card number.
    /// - Throws: what libcrypto reports.
    public static func decipher(
        _ block: [UInt8], of number: PrimaryAccountNumber, with key: TripleDESKey
    ) throws(CryptographyError) -> PIN? {
        guard block.count == 8 else { return nil }
        var clear = try key.decryptECB(block.span)
        let field = accountField(number)
        for index in clear.indices { clear[index] ^= field[index] }
        let count = Int(clear[0])
        guard (4...12).contains(count) else { return nil }
        func nibble(_ index: Int) -> UInt8 {
            index.isMultiple(of: 2) ? clear[1 + index / 2] >> 4 : clear[1 + index / 2] & 0x0F
        }
        guard (count..<14).allSatisfy({ nibble($0) == 0x0F }) else { return nil }
        return PIN(digits: (0..<count).map(nibble))
    }

    static func clear(_ pin: PIN, _ number: PrimaryAccountNumber) -> [UInt8] {
        var block = [UInt8](repeating: 0xFF, count: 8)
        block[0] = UInt8(pin.digits.count)
        for (index, digit) in pin.digits.enumerated() {
            let place = 1 + index / 2
            block[place] =
                index.isMultiple(of: 2) ? digit << 4 | block[place] & 0x0F : block[place] & 0xF0 | digit
        }
        let field = accountField(number)
        for index in block.indices { block[index] ^= field[index] }
        return block
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
}
