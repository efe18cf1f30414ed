/// Issuer Application Data (9F10) of Visa.
///
/// Formats 0, 1, 3: length 06, derivation key index, CVN, CVR (length 03 and three bytes), issuer
/// discretionary data. Formats 2 and 4: length 1F, CVN, derivation key index, CVR (five bytes), issuer
/// discretionary data to 32 bytes in all. The format is the first digit of the CVN.
public struct VisaIssuerApplicationData: Hashable, Sendable {
    public var derivationKeyIndex: UInt8
    /// 0A for CVN 10, 11 for CVN 17, 12 for CVN 18, 22 for CVN '22'.
    public var cryptogramVersionNumber: UInt8
    /// Card Verification Results without their length: three bytes in formats 0, 1, 3, five in 2 and 4.
    public var cardVerificationResults: [UInt8]
    /// What follows the CVR: in formats 0, 1, 3 with its length byte, in formats 2 and 4 up to 24 bytes whose
    /// first is the option identifier.
    public var issuerDiscretionaryData: [UInt8]

    public init(
        derivationKeyIndex: UInt8, cryptogramVersionNumber: UInt8, cardVerificationResults: [UInt8],
        issuerDiscretionaryData: [UInt8] = []
    ) {
        self.derivationKeyIndex = derivationKeyIndex
        self.cryptogramVersionNumber = cryptogramVersionNumber
        self.cardVerificationResults = cardVerificationResults
        self.issuerDiscretionaryData = issuerDiscretionaryData
    }

    /// 0 to 4: the first digit of the CVN.
    public var format: UInt8 { cryptogramVersionNumber >> 4 }

    private static func isLong(_ version: UInt8) -> Bool { version >> 4 == 2 || version >> 4 == 4 }

    /// Nil unless the bytes have one of Visa's formats.
    public init?(_ bytes: Span<UInt8>) {
        if bytes.count >= 7, bytes[0] == 0x06, bytes[3] == 0x03, [0, 1, 3].contains(bytes[2] >> 4) {
            self.init(
                derivationKeyIndex: bytes[1], cryptogramVersionNumber: bytes[2],
                cardVerificationResults: array(bytes, 4..<7),
                issuerDiscretionaryData: array(bytes, 7..<bytes.count))
        } else if bytes.count == 32, bytes[0] == 0x1F, Self.isLong(bytes[1]) {
            self.init(
                derivationKeyIndex: bytes[2], cryptogramVersionNumber: bytes[1],
                cardVerificationResults: array(bytes, 3..<8),
                issuerDiscretionaryData: array(bytes, 8..<32))
        } else {
            return nil
        }
    }

    /// The value of 9F10. CVR and discretionary data are cut or filled with zeros where the format has a fixed
    /// length.
    public var bytes: [UInt8] {
        if Self.isLong(cryptogramVersionNumber) {
            return [0x1F, cryptogramVersionNumber, derivationKeyIndex]
                + fitted(cardVerificationResults, 5) + fitted(issuerDiscretionaryData, 24)
        }
        return [0x06, derivationKeyIndex, cryptogramVersionNumber, 0x03]
            + fitted(cardVerificationResults, 3) + issuerDiscretionaryData
    }
}

/// Issuer Application Data (9F10) of M/Chip 4 and M/Chip Advance: derivation key index, CVN, CVR (six bytes),
/// DAC or ICC dynamic number (two bytes), counters (eight bytes or, in M/Chip Advance, up to 18).
public struct MChipIssuerApplicationData: Hashable, Sendable {
    public var derivationKeyIndex: UInt8
    /// 10 (CVN 16), 11 (17), 14 (20), 15 (21); the bit 0x01 says that the counters are in the cryptogram.
    public var cryptogramVersionNumber: UInt8
    /// Six bytes.
    public var cardVerificationResults: [UInt8]
    /// Data Authentication Code or the leftmost two bytes of the ICC Dynamic Number.
    public var dataAuthenticationCode: UInt16
    /// Plain or enciphered counters; for M/Chip 4 eight bytes.
    public var counters: [UInt8]

    public init(
        derivationKeyIndex: UInt8, cryptogramVersionNumber: UInt8, cardVerificationResults: [UInt8],
        dataAuthenticationCode: UInt16 = 0, counters: [UInt8] = [UInt8](repeating: 0xFF, count: 8)
    ) {
        self.derivationKeyIndex = derivationKeyIndex
        self.cryptogramVersionNumber = cryptogramVersionNumber
        self.cardVerificationResults = cardVerificationResults
        self.dataAuthenticationCode = dataAuthenticationCode
        self.counters = counters
    }

    /// Nil unless the bytes have M/Chip's layout: 18, 20, 26 or 28 bytes with a CVN of 1x.
    public init?(_ bytes: Span<UInt8>) {
        guard [18, 20, 26, 28].contains(bytes.count), bytes[1] & 0xF0 == 0x10, bytes[1] & 0x0A == 0 else {
            return nil
        }
        self.init(
            derivationKeyIndex: bytes[0], cryptogramVersionNumber: bytes[1],
            cardVerificationResults: array(bytes, 2..<8),
            dataAuthenticationCode: UInt16(bytes[8]) << 8 | UInt16(bytes[9]),
            counters: array(bytes, 10..<bytes.count))
    }

    /// The value of 9F10.
    public var bytes: [UInt8] {
        [derivationKeyIndex, cryptogramVersionNumber] + fitted(cardVerificationResults, 6)
            + [
                UInt8(truncatingIfNeeded: dataAuthenticationCode >> 8),
                UInt8(truncatingIfNeeded: dataAuthenticationCode),
            ] + counters
    }
}

private func array(_ bytes: Span<UInt8>, _ range: Range<Int>) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(range.count)
    for index in range { result.append(bytes[index]) }
    return result
}

private func fitted(_ bytes: [UInt8], _ count: Int) -> [UInt8] {
    Array(bytes.prefix(count)) + repeatElement(0, count: max(0, count - bytes.count))
}
