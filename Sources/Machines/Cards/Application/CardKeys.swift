import EMV
import EMVCryptography

/// The card's master keys, derived from its issuer's at personalisation (EMV Book 2, A1.4, option A), and the
/// cryptogram version that uses them.
struct CardKeys: Sendable {
    let version: CryptogramVersion
    let applicationCryptogram: TripleDESKey
    let scriptIntegrity: TripleDESKey
    let scriptConfidentiality: TripleDESKey
    /// For CVC3 of mag-stripe mode.
    let cardVerificationCode: TripleDESKey

    init(_ profile: ApplicationProfile) throws(PersonalisationError) {
        guard let version = profile.cryptogram.version.cryptogramVersion(profile.scheme) else {
            throw .malformed(
                "\(profile.scheme.rawValue) has no cryptogram version \(profile.cryptogram.version.rawValue)")
        }
        self.version = version
        guard let masters = TestKeys.shared.masterKeys[profile.cryptogram.keySet] else {
            throw .unknownKey(profile.cryptogram.keySet)
        }
        let pan = profile.primaryAccountNumber.compressedNumeric
        let psn = BCD.bytes(UInt64(profile.sequenceNumber), count: 1)[0]
        func derive(_ key: SecretKey) throws(PersonalisationError) -> TripleDESKey {
            do throws(CryptographyError) {
                return try TripleDESKey(key).iccMasterKey(pan: pan, panSequenceNumber: psn)
            } catch { throw .cryptography("\(error)") }
        }
        applicationCryptogram = try derive(masters.applicationCryptogram)
        scriptIntegrity = try derive(masters.scriptIntegrity)
        scriptConfidentiality = try derive(masters.scriptConfidentiality)
        cardVerificationCode = try derive(masters.cardVerificationCode)
    }

    /// Whether Issuer Authentication Data (91) proves that the issuer answered this cryptogram, and what it
    /// says. CVN 10 and 17: ARPC (8 bytes) and response code (2). CVN 18: ARPC (4), Card Status Update (4),
    /// proprietary data (0...8).
    func issuerAnswer(
        _ data: ArraySlice<UInt8>, cryptogram: Cryptogram, counter: UInt16
    ) -> IssuerAnswer? {
        let key = version.responseCryptogramKey(
            masterKey: applicationCryptogram, applicationTransactionCounter: counter)
        switch version.responseMethod {
        case .method1:
            guard data.count == 10 else { return nil }
            let code = UInt16(truncatingIfNeeded: number(data.suffix(2)))
            let expected = key.responseCryptogram(arqc: cryptogram, authorisationResponseCode: code)
            guard Cryptogram(data.prefix(8)) == expected else { return nil }
            return .responseCode(code)
        case .method2:
            guard (8...16).contains(data.count) else { return nil }
            let update = UInt32(truncatingIfNeeded: number(data.dropFirst(4).prefix(4)))
            let expected = key.responseCryptogram(
                arqc: cryptogram, cardStatusUpdate: update,
                proprietaryAuthenticationData: Array(data.dropFirst(8)))
            guard UInt32(truncatingIfNeeded: number(data.prefix(4))) == expected else { return nil }
            return .statusUpdate(CardStatusUpdate(rawValue: update))
        }
    }

    private func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
}

/// What an authenticated issuer told the card.
enum IssuerAnswer: Equatable {
    /// ARPC method 1: the Authorisation Response Code, two characters.
    case responseCode(UInt16)
    /// ARPC method 2.
    case statusUpdate(CardStatusUpdate)
}

/// Card Status Update, 4 bytes (EMV Book 3, Annex C9; EMV CCD).
struct CardStatusUpdate: OptionSet, Equatable {
    let rawValue: UInt32
    static let cardBlock = Self(rawValue: 0x0040_0000)
    static let applicationBlock = Self(rawValue: 0x0020_0000)
    static let updatePINTryCounter = Self(rawValue: 0x0010_0000)
    static let goOnlineNextTime = Self(rawValue: 0x0008_0000)
    /// Byte 2 bits 2-1: 00 counters stay, 01 to their upper limits, 10 to zero, 11 add the transaction.
    var counterUpdate: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 16) & 0x03 }
    /// Byte 1 bits 4-1: the new PIN Try Counter.
    var pinTries: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 24) & 0x0F }
}
