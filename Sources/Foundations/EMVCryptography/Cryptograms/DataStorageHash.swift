internal import BERTLV

/// One-way hash functions of data storage as the reader computes them (Book C-2, 8.2, 8.3). Cards have their own, written
/// apart from these.
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

    /// OWHF2AES (Book C-2, 8.3), for Data Storage Version 2. A DS ID shorter than 11 bytes has zeros on its left (GAC.44;
    /// three public implementations agree).
    public static func owhf2AES(
        _ data: [UInt8], identifier: [UInt8], operatorIdentifier: [UInt8]
    ) -> [UInt8]? {
        guard data.count == 8, operatorIdentifier.count == 8, (8...11).contains(identifier.count) else {
            return nil
        }
        let filled = [UInt8](repeating: 0, count: 11 - identifier.count) + identifier
        let message = data + operatorIdentifier
        guard let key = try? AESKey(filled + operatorIdentifier[4..<8] + [0x3F]),
            let result = try? key.encryptECB(message.span)
        else { return nil }
        return Array(xor(result, message).prefix(8))
    }

    static func xor(_ left: some Collection<UInt8>, _ right: some Collection<UInt8>) -> [UInt8] {
        zip(left, right).map { $0 ^ $1 }
    }
}
