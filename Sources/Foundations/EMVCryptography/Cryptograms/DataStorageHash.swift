internal import BERTLV
internal import EMV

/// One-way hash functions of data storage (Book C-2, 8.2, 8.3; the card's is M/Chip's own).
public enum DataStorageHash {
    /// DS ID halves as keys: each digit pair as a number, doubled (Book C-2, 8.2: DSPKL, DSPKR).
    static func partialKeys(_ identifier: [UInt8]) -> (left: [UInt8], right: [UInt8])? {
        guard (8...11).contains(identifier.count) else { return nil }
        func key(_ part: some Sequence<UInt8>) -> [UInt8] {
            part.map { ($0 >> 4 &* 10 &+ $0 & 0x0F) &* 2 }
        }
        return (key(identifier.prefix(6)), key(identifier.suffix(6)))
    }

    /// OWHF2 (Book C-2, 8.2).
    /// - Parameters:
    ///   - data: 8 bytes.
    ///   - identifier: DS ID, 8 to 11 bytes.
    ///   - operatorIdentifier: DS Requested Operator ID, 8 bytes.
    /// - Returns: 8 bytes; nil where a length is wrong.
    public static func owhf2(
        _ data: [UInt8], identifier: [UInt8], operatorIdentifier: [UInt8]
    ) -> [UInt8]? {
        guard data.count == 8, operatorIdentifier.count == 8, let parts = partialKeys(identifier),
            let key = try? TripleDESKey(
                parts.left + operatorIdentifier[4..<6] + parts.right + operatorIdentifier[6..<8]),
            let result = try? key.encryptECB(xor(operatorIdentifier, data).span)
        else { return nil }
        return xor(result, data)
    }

    /// OWHF2AES (Book C-2, 8.3), for Data Storage Version 2.
    // Unconfirmed: DS IDs shorter than 11 bytes are filled with zeros on the right.
    public static func owhf2AES(
        _ data: [UInt8], identifier: [UInt8], operatorIdentifier: [UInt8]
    ) -> [UInt8]? {
        guard data.count == 8, operatorIdentifier.count == 8, (8...11).contains(identifier.count) else {
            return nil
        }
        let filled = identifier + [UInt8](repeating: 0, count: 11 - identifier.count)
        let message = data + operatorIdentifier
        guard let key = try? AESKey(filled + operatorIdentifier[4..<8] + [0x3F]),
            let result = try? key.encryptECB(message.span)
        else { return nil }
        return Array(xor(result, message).prefix(8))
    }

    /// The card's next DS Summary (OWHF1), in version 1.
    /// - Parameters:
    ///   - summary: the summary before, 8 bytes.
    ///   - parameter: P1 of GENERATE AC.
    ///   - amount: Amount, Authorised.
    ///   - currency: Transaction Currency Code.
    ///   - unpredictableNumber: the terminal's, 4 bytes.
    ///   - storageNumber: DS Unpredictable Number, 4 bytes.
    /// - Returns: 8 bytes; nil where a length is wrong.
    // Unconfirmed: after one public implementation.
    public static func summary(
        _ summary: [UInt8], identifier: [UInt8], parameter: UInt8, amount: UInt64, currency: UInt64,
        unpredictableNumber: [UInt8], storageNumber: [UInt8]
    ) -> [UInt8]? {
        guard summary.count == 8, unpredictableNumber.count == 4, storageNumber.count == 4,
            let parts = partialKeys(identifier)
        else { return nil }
        let cents = BCD.bytes(amount % 10_000, count: 2)
        let code = BCD.bytes(currency % 1_000, count: 2)
        let first = xor(summary, [0, 0, 0, 0] + cents + storageNumber[2..<4])
        let second =
            [parameter & 0xF0 | code[0] & 0x0F, code[1]] + unpredictableNumber + storageNumber[0..<2]
        let left = parts.left + storageNumber[0..<2]
        let right = parts.right + storageNumber[2..<4]
        // One DES key twice is DES itself.
        guard let single = try? TripleDESKey(left + left), let third = try? single.encryptECB(first.span),
            let key = try? TripleDESKey(xor(third, first) + right),
            let result = try? key.encryptECB(second.span)
        else { return nil }
        return xor(xor(result, first), second)
    }

    static func xor(_ left: some Collection<UInt8>, _ right: some Collection<UInt8>) -> [UInt8] {
        zip(left, right).map { $0 ^ $1 }
    }
}
