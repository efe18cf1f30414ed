public import EMV

/// Secure messaging of issuer script commands (EMV Book 2, section 9) in the manner of one scheme.
public struct ScriptSecureMessaging: Sendable {
    /// The key derivation and padding that a card uses.
    public enum Style: Sendable, Hashable {
        /// Visa CVN 10 and 18: master keys exclusive-or the ATC.
        case visa
        /// Visa CVN '22': EMV common session keys of the ARQC, Visa's padding of confidential data.
        case visaCommonSessionKey
        /// M/Chip: EMV common session keys of the ARQC, which counts up by one with each command; confidential
        /// data are padded only where they are not whole blocks.
        case mChip
        /// EMV common session keys of the ARQC, confidential data always padded (CCD).
        case emv
    }

    public let style: Style
    private let integrityKey: TripleDESKey
    private let confidentialityKey: TripleDESKey
    private let atc: UInt16
    private let arqc: Cryptogram

    /// - Parameters:
    ///   - integrityMasterKey: the card's master key for MACs (MK SMI).
    ///   - confidentialityMasterKey: the card's master key for encipherment (MK SMC).
    ///   - applicationTransactionCounter: of the transaction.
    ///   - cryptogram: ARQC of the transaction.
    ///   - commandIndex: 0 for the transaction's first script command; counted by M/Chip alone.
    public init(
        style: Style, integrityMasterKey: TripleDESKey, confidentialityMasterKey: TripleDESKey,
        applicationTransactionCounter: UInt16, cryptogram: Cryptogram, commandIndex: UInt64 = 0
    ) {
        self.style = style
        atc = applicationTransactionCounter
        arqc = style == .mChip ? cryptogram.advanced(by: commandIndex) : cryptogram
        switch style {
        case .visa:
            integrityKey = integrityMasterKey.visaSecureMessagingSessionKey(
                applicationTransactionCounter: atc)
            confidentialityKey = confidentialityMasterKey.visaSecureMessagingSessionKey(
                applicationTransactionCounter: atc)
        case .visaCommonSessionKey, .mChip, .emv:
            integrityKey = integrityMasterKey.commonSessionKey(diversification: arqc.rawValue)
            confidentialityKey = confidentialityMasterKey.commonSessionKey(diversification: arqc.rawValue)
        }
    }

    /// MAC over header, ATC, ARQC and command data (9.2, format 2). The command then is header, data, MAC or
    /// its first bytes.
    /// - Parameters:
    ///   - header: CLA INS P1 P2 Lc, Lc counting the MAC too.
    ///   - data: command data as sent, enciphered where they are.
    public func commandMAC(header: [UInt8], data: [UInt8] = []) -> Cryptogram {
        var bytes = header
        bytes.append(UInt8(truncatingIfNeeded: atc >> 8))
        bytes.append(UInt8(truncatingIfNeeded: atc))
        arqc.append(to: &bytes)
        bytes += data
        return integrityKey.retailMAC(bytes.span, padding: .method2)
    }

    /// Confidential command data enciphered (9.3, format 2).
    public func encipher(_ data: [UInt8]) -> [UInt8] {
        var padded = data
        switch style {
        case .visa, .visaCommonSessionKey:
            padded.insert(UInt8(truncatingIfNeeded: data.count), at: 0)
            Self.pad(&padded)
        case .mChip: if !data.count.isMultiple(of: 8) { Self.pad(&padded) }
        case .emv: Self.pad(&padded)
        }
        let result: [UInt8]?
        switch style {
        case .visa, .visaCommonSessionKey: result = try? confidentialityKey.encryptECB(padded.span)
        case .mChip, .emv: result = try? confidentialityKey.encryptCBC(padded.span)
        }
        // Whole blocks always encipher.
        return result ?? []
    }

    /// Confidential command data in clear. For M/Chip the padding stays, since it is not told from data.
    /// - Throws: `.notWholeBlocks`, `.padding`.
    public func decipher(_ data: [UInt8]) throws(CryptographyError) -> [UInt8] {
        switch style {
        case .visa, .visaCommonSessionKey:
            let clear = try confidentialityKey.decryptECB(data.span)
            guard let length = clear.first, Int(length) < clear.count else { throw .padding }
            var check = Array(clear.prefix(Int(length) + 1))
            Self.pad(&check)
            guard check == clear else { throw .padding }
            return Array(clear[1..<(Int(length) + 1)])
        case .mChip: return try confidentialityKey.decryptCBC(data.span)
        case .emv:
            let clear = try confidentialityKey.decryptCBC(data.span)
            guard let end = clear.lastIndex(where: { $0 != 0 }), clear[end] == 0x80 else { throw .padding }
            return Array(clear[..<end])
        }
    }

    /// ISO/IEC 9797-1 padding method 2.
    private static func pad(_ bytes: inout [UInt8]) {
        bytes.append(0x80)
        while !bytes.count.isMultiple(of: 8) { bytes.append(0) }
    }
}
