internal import BERTLV
internal import EMV
internal import EMVCryptography

/// A decline, with its reason.
struct Refusal: Error {
    let code: IssuerResponseCode
    let reason: String
    init(_ code: IssuerResponseCode, _ reason: String) {
        self.code = code
        self.reason = reason
    }
}

/// A card or token as the hosts know it.
struct Instrument {
    let id: String
    let number: PrimaryAccountNumber
    let sequence: UInt8
    let expiry: Int
    let version: CryptogramVersion?
    let scripts: [ScriptProfile]
    let issuer: IssuingWorld.Issuer
    let account: IssuingWorld.Account
    /// The card itself, or the one behind the token.
    let card: IssuingWorld.Card?
    /// Nil for a card.
    let token: IssuingWorld.Token?
}

/// An application cryptogram that was right, and what is needed to answer it.
struct VerifiedCryptogram {
    let version: CryptogramVersion
    let cryptogram: Cryptogram
    let counter: UInt16
    let masterKey: TripleDESKey
    let integrityKey: TripleDESKey
    let confidentialityKey: TripleDESKey
    /// Visa's CVR without their length as a big-endian number; nil for other schemes and formats.
    let cardVerificationResults: UInt32?

    /// What kind of cryptogram the card says it made, in data that the cryptogram covers.
    /// Visa CVR byte 2 (the first after the length): bits 8-7 second, bits 6-5 first GENERATE AC; a
    /// contactless transaction has the first alone.
    var type: CryptogramInformationData.CryptogramType? {
        cardVerificationResults.flatMap {
            CryptogramInformationData.CryptogramType(rawValue: UInt8(truncatingIfNeeded: $0 >> 20) & 0x03)
        }
    }
    /// Script commands that the card counts since it last went online (byte 4 bits 8-5), and whether one
    /// failed (byte 4 bit 4).
    var scriptCommands: UInt8 { UInt8(truncatingIfNeeded: cardVerificationResults ?? 0) >> 4 }
    var scriptFailed: Bool { (cardVerificationResults ?? 0) & 0x08 != 0 }

    /// Verifies the application cryptogram (9F26) of chip data.
    /// - Throws: `Refusal` with 63 where data are missing, the key or version is not the card's, or the
    ///   cryptogram is wrong.
    init(_ data: DataObjects, of instrument: Instrument) throws(Refusal) {
        let owner = instrument.token == nil ? "card" : "token"
        guard let bytes = data[0x9F26], let cryptogram = Cryptogram(bytes) else {
            throw Refusal(.securityViolation, "no application cryptogram (9F26) of 8 bytes")
        }
        guard let issuerData = data.span(0x9F10) else {
            throw Refusal(.securityViolation, "no issuer application data (9F10)")
        }
        guard let version = CryptogramVersion(issuerApplicationData: issuerData),
            instrument.issuer.cryptogramVersions.contains(version)
        else {
            throw Refusal(
                .securityViolation, "issuer application data name no cryptogram version of this issuer")
        }
        guard instrument.version == nil || instrument.version == version else {
            throw Refusal(
                .securityViolation, "cryptogram version \(version) is not what the \(owner) was given")
        }
        let visa = VisaIssuerApplicationData(issuerData)
        let index = visa?.derivationKeyIndex ?? issuerData[0]
        guard let keys = instrument.issuer.keys.first(where: { $0.derivationKeyIndex == index }) else {
            throw Refusal(.securityViolation, "no master keys of derivation key index \(index)")
        }
        func derive(_ key: SecretKey) throws(Refusal) -> TripleDESKey {
            do throws(CryptographyError) {
                return try TripleDESKey(key).iccMasterKey(
                    pan: instrument.number.compressedNumeric,
                    panSequenceNumber: instrument.sequence / 10 << 4 | instrument.sequence % 10,
                    derivation: keys.derivation)
            } catch { throw Refusal(.systemMalfunction, "master key: \(error)") }
        }
        let master = try derive(keys.applicationCryptogram)
        var input = CryptogramInput()
        for field in CryptogramInput.Field.allCases {
            guard let value = data.span(field.tag) else {
                if field == .amountOther { continue }
                throw Refusal(
                    .securityViolation, "\(field.tag) is missing: the cryptogram cannot be verified")
            }
            guard value.count == field.range.count else {
                throw Refusal(
                    .securityViolation, "\(field.tag) has \(value.count) bytes, not \(field.range.count)")
            }
            input.set(field, value)
        }
        let expected = version.applicationCryptogram(
            masterKey: master, input: input, issuerApplicationData: issuerData)
        guard expected == cryptogram else {
            throw Refusal(.securityViolation, "the application cryptogram (\(version)) is wrong")
        }
        self.version = version
        self.cryptogram = cryptogram
        counter = input.applicationTransactionCounter
        masterKey = master
        integrityKey = try derive(keys.scriptIntegrity)
        confidentialityKey = try derive(keys.scriptConfidentiality)
        cardVerificationResults = visa.flatMap { data in
            data.cardVerificationResults.count == 3
                ? data.cardVerificationResults.reduce(0) { $0 << 8 | UInt32($1) } : nil
        }
    }

    /// Value of tag 91. Method 1: ARPC (8 bytes) and response code in characters (2). Method 2: ARPC (4) and
    /// Card Status Update (4).
    // Unconfirmed: M/Chip's own two-byte ARPC response code (CVN 16, 17, 20, 21) in place of characters.
    func issuerAuthenticationData(_ code: IssuerResponseCode) -> [UInt8] {
        let key = version.responseCryptogramKey(masterKey: masterKey, applicationTransactionCounter: counter)
        switch version.responseMethod {
        case .method1:
            let characters = Array(code.rawValue.utf8)
            let number = characters.reduce(0) { $0 << 8 | UInt16($1) }
            return key.responseCryptogram(arqc: cryptogram, authorisationResponseCode: number).bytes
                + characters
        case .method2:
            let update = Self.cardStatusUpdate(code)
            let response = key.responseCryptogram(arqc: cryptogram, cardStatusUpdate: update)
            return [response, update].flatMap { word in
                [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: word >> UInt32($0)) }
            }
        }
    }

    /// Card Status Update (EMV Book 3, Annex C9): approves and sets the offline counters to zero (byte 2 bits 8
    /// and 2-1 = 10), or declines and leaves them; blocks the application of a lost or stolen card (bit 6).
    static func cardStatusUpdate(_ code: IssuerResponseCode) -> UInt32 {
        switch code {
        case .approved, .approvedForPart: 0x0082_0000
        case .lostCard, .stolenCard: 0x0020_0000
        default: 0
        }
    }
}

extension CryptogramInput.Field {
    var tag: BERTLV.Tag {
        switch self {
        case .amountAuthorised: 0x9F02
        case .amountOther: 0x9F03
        case .terminalCountryCode: 0x9F1A
        case .terminalVerificationResults: 0x95
        case .transactionCurrencyCode: 0x5F2A
        case .transactionDate: 0x9A
        case .transactionType: 0x9C
        case .unpredictableNumber: 0x9F37
        case .applicationInterchangeProfile: 0x82
        case .applicationTransactionCounter: 0x9F36
        }
    }
}

/// Writes issuer script templates with their MACs.
struct ScriptBuilder {
    private let cryptogram: VerifiedCryptogram
    /// M/Chip counts commands over all scripts of an answer.
    private var index: UInt64 = 0
    private(set) var bytes: [UInt8] = []

    init(_ cryptogram: VerifiedCryptogram) { self.cryptogram = cryptogram }

    mutating func append(_ script: ScriptProfile) {
        let style: ScriptSecureMessaging.Style =
            switch cryptogram.version {
            case .visaCVN10, .visaCVN17, .visaCVN18: .visa
            case .visaCVN22: .visaCommonSessionKey
            case .mChipCVN16, .mChipCVN17, .mChipCVN20, .mChipCVN21: .mChip
            }
        var commands: [[UInt8]] = []
        for command in script.commands {
            let messaging = ScriptSecureMessaging(
                style: style, integrityMasterKey: cryptogram.integrityKey,
                confidentialityMasterKey: cryptogram.confidentialityKey,
                applicationTransactionCounter: cryptogram.counter, cryptogram: cryptogram.cryptogram,
                commandIndex: index)
            index += 1
            let (header, data) = command.parts
            let start = header + [UInt8(truncatingIfNeeded: data.count + 8)]
            let mac = messaging.commandMAC(header: start, data: data)
            commands.append(start + data + mac.bytes)
        }
        bytes += Self.template(script, commands)
    }

    private static func template(_ script: ScriptProfile, _ commands: [[UInt8]]) -> [UInt8] {
        var writer = BERTLVWriter()
        writer.template(Tag(UInt32(script.template.rawValue))) { inside in
            if let identifier = script.identifier { inside.append(0x9F18, identifier) }
            for command in commands { inside.append(0x86, command) }
        }
        return writer.bytes
    }

    /// Bytes of the whole template.
    static func length(of script: ScriptProfile) -> Int {
        template(
            script, script.commands.map { [UInt8](repeating: 0, count: 13 + $0.parts.data.count) }
        ).count
    }
}
