import EMVCryptography

/// One-way hash functions of data storage as the card computes them: of the kernel's it shares nothing but DES, so that a
/// mistake on one side shows.
///
/// The card checks with OWHF2 (Book C-2, 8.2) that a writer knows what its digest was made of, and makes its next summary
/// with OWHF1.
// Unconfirmed: OWHF1, which is M/Chip's own: after one public implementation.
struct CardDataStorageHash {
    /// Operator identifier and DS ID of the slot.
    private let operatorIdentifier: UInt64
    private let left: UInt64
    private let right: UInt64

    /// - Parameters:
    ///   - identifier: DS ID, 8 to 11 bytes of BCD.
    ///   - operatorIdentifier: 8 bytes.
    /// - Returns: nil where a length is wrong.
    init?(identifier: [UInt8], operatorIdentifier: [UInt8]) {
        guard (8...11).contains(identifier.count), operatorIdentifier.count == 8 else { return nil }
        self.operatorIdentifier = Self.number(operatorIdentifier)
        // Six bytes from either end, each pair of digits as a number from 0 to 99, doubled: a DES key has its parity bit last.
        func half(_ bytes: ArraySlice<UInt8>) -> UInt64 {
            bytes.reduce(0) { key, pair in
                let value = UInt64(pair >> 4) * 10 + UInt64(pair & 0x0F)
                return key << 8 | (value << 1 & 0xFF)
            }
        }
        left = half(identifier[..<6])
        right = half(identifier[(identifier.count - 6)...])
    }

    /// OWHF2 of 8 bytes: the block under a two-part key, exclusive or with the block before.
    func digest(_ input: [UInt8]) -> [UInt8]? {
        guard input.count == 8 else { return nil }
        let block = Self.number(input)
        // Each half of the key ends with two bytes of the operator's second half.
        let first = left << 16 | operatorIdentifier >> 16 & 0xFFFF
        let second = right << 16 | operatorIdentifier & 0xFFFF
        guard let key = Self.key(first, second), let result = Self.encrypt(block ^ operatorIdentifier, key)
        else { return nil }
        return Self.bytes(result ^ block)
    }

    /// What a summary is made of beside the one before.
    struct Change {
        /// P1 of GENERATE AC.
        var parameter: UInt8
        /// Amount, Authorised, and Transaction Currency Code.
        var amount: UInt64
        var currency: UInt64
        /// The terminal's Unpredictable Number.
        var unpredictableNumber: [UInt8]
        /// DS Unpredictable Number.
        var storageNumber: [UInt8]
    }

    /// The next DS Summary (OWHF1), in version 1: 8 bytes; nil where a length is wrong.
    func summary(after summary: [UInt8], _ change: Change) -> [UInt8]? {
        guard summary.count == 8, change.unpredictableNumber.count == 4, change.storageNumber.count == 4
        else { return nil }
        let storage = Self.number(change.storageNumber)
        let block =
            Self.number(summary) ^ (Self.packed(change.amount % 10_000) << 16 | storage & 0xFFFF)
        let currency = Self.packed(change.currency % 1_000)
        let second =
            UInt64(change.parameter & 0xF0) << 56 | currency << 48
            | Self.number(change.unpredictableNumber) << 16 | storage >> 16
        let first = left << 16 | storage >> 16
        guard let single = Self.key(first, first), let middle = Self.encrypt(block, single),
            let double = Self.key(middle ^ block, right << 16 | storage & 0xFFFF),
            let result = Self.encrypt(second, double)
        else { return nil }
        return Self.bytes(result ^ block ^ second)
    }

    private static func key(_ first: UInt64, _ second: UInt64) -> TripleDESKey? {
        try? TripleDESKey(bytes(first) + bytes(second))
    }
    private static func encrypt(_ block: UInt64, _ key: TripleDESKey) -> UInt64? {
        (try? key.encryptECB(bytes(block).span)).map { number($0) }
    }
    private static func number(_ bytes: [UInt8]) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
    private static func bytes(_ number: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(56 - 8 * $0)) }
    }
    /// Four decimal digits, a half-byte each.
    private static func packed(_ number: UInt64) -> UInt64 {
        [1_000, 100, 10, 1].reduce(0) { $0 << 4 | (number / $1) % 10 }
    }
}
