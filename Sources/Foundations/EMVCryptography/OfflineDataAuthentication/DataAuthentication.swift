internal import BERTLV
public import EMV

extension IssuerPublicKey {
    /// Static data authentication (EMV Book 2, 5.4).
    /// - Parameters:
    ///   - signature: Signed Static Application Data (93).
    ///   - staticData: static data to be authenticated (Book 3, 10.3).
    /// - Returns: the Data Authentication Code (9F45), two bytes as a big-endian number.
    /// - Throws: the field that is wrong, step `signedStaticApplicationData`.
    public func verifySignedStaticApplicationData(
        _ signature: Span<UInt8>, staticData: Span<UInt8>
    ) throws(OfflineDataAuthenticationError) -> UInt16 {
        let step = OfflineDataAuthenticationError.Step.signedStaticApplicationData
        let recovered = try recover(signature, with: key, step: step, format: 0x03, minimum: 26)
        guard recovered[2] == 0x01 else {
            throw OfflineDataAuthenticationError(step, .hashAlgorithm(recovered[2]))
        }
        var digest = SHA1()
        digest.update(recovered.span.extracting(1..<recovered.count - 21))
        digest.update(staticData)
        guard hashMatches(digest.finalize(), recovered) else {
            throw OfflineDataAuthenticationError(step, .hash)
        }
        return UInt16(recovered[3]) << 8 | UInt16(recovered[4])
    }
}

/// What a card signed in dynamic data authentication.
public struct ICCDynamicData: Hashable, Sendable {
    /// ICC Dynamic Number (9F4C), 2 to 8 bytes; a qVSDC card's ATC.
    public let iccDynamicNumber: [UInt8]
    /// All of the ICC dynamic data, its length byte of the ICC dynamic number included.
    public let data: [UInt8]
}

/// What a card signed in combined DDA/application cryptogram generation.
public struct CombinedDynamicData: Hashable, Sendable {
    /// ICC Dynamic Number (9F4C), 2 to 8 bytes.
    public let iccDynamicNumber: [UInt8]
    /// Cryptogram Information Data (9F27).
    public let cryptogramInformationData: UInt8
    /// TC or ARQC (9F26).
    public let cryptogram: Cryptogram
    /// What follows the transaction data hash code, as the relay resistance data of kernel 2.
    public let rest: [UInt8]
}

/// Which data a qVSDC card's signature covers beside its own (Book C-3, fast DDA version number).
public enum FastDDAVersion: UInt8, Sendable {
    /// The unpredictable number alone. Unconfirmed: Book C-3 has withdrawn this version.
    case version00 = 0x00
    /// Unpredictable number, amount authorised, transaction currency code, card authentication related data.
    case version01 = 0x01
}

/// Signed Data Format of a fast DDA signature (Book C-3, Annex C): it tells an offline approval from an online request, so
/// that the signature of one cannot be brought along with the other.
public enum FastDDAFormat: UInt8, Sendable {
    /// With a Transaction Certificate, as in any other DDA (EMV Book 2, table 15).
    case offline = 0x05
    /// With an Authorisation Request Cryptogram. Confirmed by recordings of cards of several issuers.
    case online = 0x95

    /// The format that goes with a cryptogram; nil for one that comes without a signature.
    public init?(_ type: CryptogramInformationData.CryptogramType) {
        switch type {
        case .tc: self = .offline
        case .arqc: self = .online
        case .aac, .aar: return nil
        }
    }
}

extension ICCPublicKey {
    /// Dynamic data authentication (EMV Book 2, 6.5.2).
    /// - Parameters:
    ///   - signature: Signed Dynamic Application Data (9F4B).
    ///   - terminalDynamicData: the data of the INTERNAL AUTHENTICATE command that the DDOL asked for.
    /// - Throws: the field that is wrong, step `signedDynamicApplicationData`.
    public func verifySignedDynamicApplicationData(
        _ signature: Span<UInt8>, terminalDynamicData: Span<UInt8>
    ) throws(OfflineDataAuthenticationError) -> ICCDynamicData {
        var digest = SHA1()
        let recovered = try recoverDynamic(signature, &digest)
        digest.update(terminalDynamicData)
        return try finish(recovered, &digest)
    }

    /// Fast DDA of qVSDC (Book C-3): a signature that came with the GPO response or a record.
    /// - Parameters:
    ///   - signature: Signed Dynamic Application Data (9F4B).
    ///   - version: fDDA version number, the first byte of the card authentication related data.
    ///   - unpredictableNumber: 9F37, four bytes.
    ///   - amountAuthorised: 9F02, six bytes.
    ///   - transactionCurrencyCode: 5F2A, two bytes.
    ///   - cardAuthenticationRelatedData: 9F69, whole.
    ///   - format: what the card must have signed as, see `FastDDAFormat(_:)`; a signature of the other is refused.
    /// - Returns: the ICC dynamic number, which is the card's ATC.
    /// - Throws: the field that is wrong, step `signedDynamicApplicationData`.
    public func verifyFastDDA(
        _ signature: Span<UInt8>, version: FastDDAVersion = .version01, format: FastDDAFormat = .offline,
        unpredictableNumber: Span<UInt8>, amountAuthorised: Span<UInt8>, transactionCurrencyCode: Span<UInt8>,
        cardAuthenticationRelatedData: Span<UInt8>
    ) throws(OfflineDataAuthenticationError) -> ICCDynamicData {
        var digest = SHA1()
        let recovered = try recoverDynamic(signature, format: format.rawValue, &digest)
        digest.update(unpredictableNumber)
        if version == .version01 {
            digest.update(amountAuthorised)
            digest.update(transactionCurrencyCode)
            digest.update(cardAuthenticationRelatedData)
        }
        return try finish(recovered, &digest)
    }

    /// Combined DDA/application cryptogram generation (EMV Book 2, 6.6.2).
    /// - Parameters:
    ///   - signature: Signed Dynamic Application Data (9F4B).
    ///   - unpredictableNumber: 9F37, four bytes.
    ///   - cryptogramInformationData: 9F27 of the response.
    ///   - transactionDataHash: SHA-1 of the exchanged data, see `TransactionDataHash`.
    /// - Throws: the field that is wrong, step `signedDynamicApplicationData`.
    public func verifyCombined(
        _ signature: Span<UInt8>, unpredictableNumber: Span<UInt8>, cryptogramInformationData: UInt8,
        transactionDataHash: [UInt8]
    ) throws(OfflineDataAuthenticationError) -> CombinedDynamicData {
        let step = OfflineDataAuthenticationError.Step.signedDynamicApplicationData
        var digest = SHA1()
        let recovered = try recoverDynamic(signature, &digest)
        digest.update(unpredictableNumber)
        let dynamic = try finish(recovered, &digest)
        // Table 19: number, cryptogram information data, cryptogram (8), hash code (20).
        let start = 1 + dynamic.iccDynamicNumber.count
        guard dynamic.data.count >= start + 29 else {
            throw OfflineDataAuthenticationError(
                step, .iccDynamicDataLength(UInt8(clamping: dynamic.data.count)))
        }
        let signed = dynamic.data[start]
        guard signed == cryptogramInformationData else {
            throw OfflineDataAuthenticationError(
                step, .cryptogramInformationData(signed: signed, found: cryptogramInformationData))
        }
        guard let cryptogram = Cryptogram(dynamic.data[(start + 1)..<(start + 9)]),
            dynamic.data[(start + 9)..<(start + 29)].elementsEqual(transactionDataHash)
        else { throw OfflineDataAuthenticationError(step, .transactionDataHash) }
        return CombinedDynamicData(
            iccDynamicNumber: dynamic.iccDynamicNumber, cryptogramInformationData: signed,
            cryptogram: cryptogram, rest: Array(dynamic.data[(start + 29)...]))
    }

    /// Recovers the signature and starts the hash with its signed part.
    private func recoverDynamic(
        _ signature: Span<UInt8>, format: UInt8 = 0x05, _ digest: inout SHA1
    ) throws(OfflineDataAuthenticationError) -> [UInt8] {
        let step = OfflineDataAuthenticationError.Step.signedDynamicApplicationData
        let recovered = try recover(signature, with: key, step: step, format: format, minimum: 25)
        guard recovered[2] == 0x01 else {
            throw OfflineDataAuthenticationError(step, .hashAlgorithm(recovered[2]))
        }
        digest.update(recovered.span.extracting(1..<recovered.count - 21))
        return recovered
    }

    /// Compares the hash and takes the ICC dynamic data out.
    private func finish(
        _ recovered: [UInt8], _ digest: inout SHA1
    ) throws(OfflineDataAuthenticationError) -> ICCDynamicData {
        let step = OfflineDataAuthenticationError.Step.signedDynamicApplicationData
        guard hashMatches(digest.finalize(), recovered) else {
            throw OfflineDataAuthenticationError(step, .hash)
        }
        let length = Int(recovered[3])
        guard length >= 1, 4 + length <= recovered.count - 21 else {
            throw OfflineDataAuthenticationError(step, .iccDynamicDataLength(recovered[3]))
        }
        let numberLength = Int(recovered[4])
        guard (2...8).contains(numberLength), numberLength + 1 <= length else {
            throw OfflineDataAuthenticationError(step, .iccDynamicNumberLength(recovered[4]))
        }
        return ICCDynamicData(
            iccDynamicNumber: Array(recovered[5..<(5 + numberLength)]),
            data: Array(recovered[4..<(4 + length)]))
    }
}

/// The Transaction Data Hash Code of CDA (EMV Book 2, 6.6.1 and 6.6.2): SHA-1 over the values of the PDOL,
/// the CDOL1, on the second GENERATE AC also of the CDOL2, and the response's data objects but for 9F4B.
public struct TransactionDataHash {
    private var digest = SHA1()

    public init() {}

    /// Appends the data of a DOL as sent to the card.
    public mutating func append(_ bytes: Span<UInt8>) { digest.update(bytes) }

    /// Appends the data objects of a GENERATE AC response, without the template 77 around them, leaving out
    /// 9F4B.
    /// - Throws: `.response`, step `signedDynamicApplicationData`.
    public mutating func append(
        responseDataObjects bytes: Span<UInt8>
    ) throws(OfflineDataAuthenticationError) {
        var reader = BERTLVReader(bytes)
        do throws(BERTLVError) {
            while let element = try reader.next() {
                if element.tag == 0x9F4B { continue }
                digest.update(bytes.extracting(element.whole))
            }
        } catch { throw OfflineDataAuthenticationError(.signedDynamicApplicationData, .response(error)) }
    }

    /// The 20 bytes. The state is then spent.
    public mutating func finalize() -> [UInt8] { digest.finalize() }
}
