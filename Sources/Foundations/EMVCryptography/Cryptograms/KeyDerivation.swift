internal import BERTLV

/// How a card's master key comes from the issuer's (EMV Book 2, A1.4).
public enum MasterKeyDerivation: Sendable, Hashable {
    /// Option A: the rightmost 16 digits of PAN and PAN sequence number.
    case optionA
    /// Option B: for PANs of more than 16 digits, digits of the SHA-1 of both; else as option A.
    case optionB
}

extension TripleDESKey {
    /// The card's master key (UDK) out of this issuer master key. EMV Book 2, A1.4.1 and A1.4.2.
    /// - Parameters:
    ///   - pan: Application PAN as BCD, padded with F (5A).
    ///   - panSequenceNumber: BCD, 00 where the card has none (5F34).
    public func iccMasterKey(
        pan: [UInt8], panSequenceNumber: UInt8 = 0, derivation: MasterKeyDerivation = .optionA
    ) -> TripleDESKey {
        var digits: [UInt8] = []
        digits.reserveCapacity(2 * pan.count + 2)
        for byte in pan {
            digits.append(byte >> 4)
            digits.append(byte & 0x0F)
        }
        if let end = digits.firstIndex(where: { $0 > 9 }) { digits.removeSubrange(end...) }
        let panDigits = digits.count
        digits.append(panSequenceNumber >> 4)
        digits.append(panSequenceNumber & 0x0F)
        var value: UInt64 = 0
        if derivation == .optionB, panDigits > 16 {
            value = Self.decimalised(digits)
        } else {
            for digit in digits.suffix(16) { value = value << 4 | UInt64(digit) }
        }
        return derive(value, ~value)
    }

    /// The first 16 decimal digits of the SHA-1 of `digits`, made up with A to F taken as 0 to 5.
    private static func decimalised(_ digits: [UInt8]) -> UInt64 {
        var bytes: [UInt8] = []
        var rest = digits[...]
        if !digits.count.isMultiple(of: 2), let first = rest.popFirst() { bytes.append(first) }
        while let high = rest.popFirst(), let low = rest.popFirst() { bytes.append(high << 4 | low & 0x0F) }
        let nibbles = SHA1.hash(bytes.span).flatMap { [$0 >> 4, $0 & 0x0F] }
        let chosen = nibbles.filter { $0 <= 9 } + nibbles.filter { $0 > 9 }.map { $0 - 10 }
        return chosen.prefix(16).reduce(0) { $0 << 4 | UInt64($1) }
    }

    /// EMV common session key (EMV Book 2, A1.3.1) of a diversification value of eight bytes: ATC and zeros
    /// for application cryptograms, the ARQC for secure messaging.
    /// - Parameter diversification: eight bytes as a big-endian number; its third byte is replaced.
    public func commonSessionKey(diversification: UInt64) -> TripleDESKey {
        let value = diversification & ~(0xFF << 40)
        return derive(value | 0xF0 << 40, value | 0x0F << 40)
    }

    /// EMV common session key for application cryptograms: diversification value ATC and zeros.
    public func commonSessionKey(applicationTransactionCounter: UInt16) -> TripleDESKey {
        commonSessionKey(diversification: UInt64(applicationTransactionCounter) << 48)
    }

    /// Mastercard's proprietary session key for application cryptograms: diversification value ATC, 0000,
    /// unpredictable number.
    public func mastercardSessionKey(
        applicationTransactionCounter: UInt16, unpredictableNumber: UInt32
    ) -> TripleDESKey {
        commonSessionKey(
            diversification: UInt64(applicationTransactionCounter) << 48 | UInt64(unpredictableNumber))
    }

    /// Visa's session key for issuer scripts: the halves of the master key exclusive-or the ATC and its
    /// complement.
    public func visaSecureMessagingSessionKey(applicationTransactionCounter: UInt16) -> TripleDESKey {
        let counter = UInt64(applicationTransactionCounter)
        let first = half(0) ^ counter.bigEndian
        let second = half(1) ^ (counter ^ 0xFFFF).bigEndian
        return TripleDESKey(oddParity(first), oddParity(second))
    }

    /// A key of two big-endian blocks enciphered under this one, with odd parity.
    private func derive(_ first: UInt64, _ second: UInt64) -> TripleDESKey {
        TripleDESKey(
            oddParity(transform(first.bigEndian, encrypt: true)),
            oddParity(transform(second.bigEndian, encrypt: true)))
    }
}
