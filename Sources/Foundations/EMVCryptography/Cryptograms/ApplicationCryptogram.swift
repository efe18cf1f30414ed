public import BERTLV

/// The data that an application cryptogram covers in the order of EMV Book 2, 8.1.1, table 26: 33 bytes held
/// inline, zeros until set.
public struct CryptogramInput: Sendable {
    var bytes = InlineArray<33, UInt8>(repeating: 0)

    public init() {}

    /// Data elements with their place and length.
    public enum Field: Sendable, CaseIterable {
        /// 9F02, 6 bytes.
        case amountAuthorised
        /// 9F03, 6 bytes.
        case amountOther
        /// 9F1A, 2 bytes.
        case terminalCountryCode
        /// 95, 5 bytes.
        case terminalVerificationResults
        /// 5F2A, 2 bytes.
        case transactionCurrencyCode
        /// 9A, 3 bytes.
        case transactionDate
        /// 9C, 1 byte.
        case transactionType
        /// 9F37, 4 bytes.
        case unpredictableNumber
        /// 82, 2 bytes.
        case applicationInterchangeProfile
        /// 9F36, 2 bytes.
        case applicationTransactionCounter

        /// The field's place in the 33 bytes.
        public var range: Range<Int> {
            switch self {
            case .amountAuthorised: 0..<6
            case .amountOther: 6..<12
            case .terminalCountryCode: 12..<14
            case .terminalVerificationResults: 14..<19
            case .transactionCurrencyCode: 19..<21
            case .transactionDate: 21..<24
            case .transactionType: 24..<25
            case .unpredictableNumber: 25..<29
            case .applicationInterchangeProfile: 29..<31
            case .applicationTransactionCounter: 31..<33
            }
        }

        /// The field that holds a tag's value; nil for a tag that is not covered.
        public init?(_ tag: Tag) {
            switch tag.rawValue {
            case 0x9F02: self = .amountAuthorised
            case 0x9F03: self = .amountOther
            case 0x9F1A: self = .terminalCountryCode
            case 0x95: self = .terminalVerificationResults
            case 0x5F2A: self = .transactionCurrencyCode
            case 0x9A: self = .transactionDate
            case 0x9C: self = .transactionType
            case 0x9F37: self = .unpredictableNumber
            case 0x82: self = .applicationInterchangeProfile
            case 0x9F36: self = .applicationTransactionCounter
            default: return nil
            }
        }
    }

    /// Sets a field. A value of another length is cut on the left or filled with zeros on the left, as
    /// numbers are (Book 3, 5.4).
    public mutating func set(_ field: Field, _ value: Span<UInt8>) {
        let range = field.range
        let length = range.count
        for index in 0..<length {
            let position = value.count - length + index
            bytes[range.lowerBound + index] = position >= 0 ? value[position] : 0
        }
    }

    /// Sets a field; see `set(_:_:)`.
    public mutating func set(_ field: Field, _ value: [UInt8]) { set(field, value.span) }

    /// Sets the field of a tag; false, and nothing is set, for a tag that cryptograms do not cover.
    @discardableResult
    public mutating func set(tag: Tag, _ value: Span<UInt8>) -> Bool {
        guard let field = Field(tag) else { return false }
        set(field, value)
        return true
    }

    /// A field's value as a big-endian number.
    public func number(_ field: Field) -> UInt64 {
        var value: UInt64 = 0
        for index in field.range { value = value << 8 | UInt64(bytes[index]) }
        return value
    }

    /// The Application Transaction Counter.
    public var applicationTransactionCounter: UInt16 {
        get { UInt16(truncatingIfNeeded: number(.applicationTransactionCounter)) }
        set {
            bytes[31] = UInt8(truncatingIfNeeded: newValue >> 8)
            bytes[32] = UInt8(truncatingIfNeeded: newValue)
        }
    }

    /// The Unpredictable Number.
    public var unpredictableNumber: UInt32 { UInt32(truncatingIfNeeded: number(.unpredictableNumber)) }
}

/// Which application cryptogram a card makes: keys, data, padding and the issuer's answer, all of which follow
/// from scheme and Cryptogram Version Number (CVN).
public enum CryptogramVersion: Sendable, Hashable, CaseIterable {
    /// CVN 10 (0A): master key, data and CVR, padding method 1, ARPC method 1.
    case visaCVN10
    /// CVN 17 (11): master key, amount, unpredictable number, ATC and the fifth byte of the issuer application
    /// data (the first of the CVR after its length), padding method 1.
    // Unconfirmed: no public implementation of CVN 17 was found to compare with.
    case visaCVN17
    /// CVN 18 (12): EMV common session key, data and issuer application data, padding method 2, ARPC method 2.
    case visaCVN18
    /// CVN '22' (22 hexadecimal): as CVN 18 with issuer application data of format 2, and issuer scripts under EMV common
    /// session keys.
    case visaCVN22
    /// M/Chip CVN 16 (10): Mastercard's session key, data and CVR.
    case mChipCVN16
    /// M/Chip CVN 17 (11): the same with the counters.
    case mChipCVN17
    /// M/Chip CVN 20 (14): EMV common session key, data and CVR.
    case mChipCVN20
    /// M/Chip CVN 21 (15): the same with the counters.
    case mChipCVN21

    /// The version that issuer application data (9F10) name; nil if they do not, or name one that is not known.
    public init?(issuerApplicationData data: Span<UInt8>) {
        if let visa = VisaIssuerApplicationData(data) {
            switch visa.cryptogramVersionNumber {
            case 0x0A: self = .visaCVN10
            case 0x11: self = .visaCVN17
            case 0x12: self = .visaCVN18
            case 0x22: self = .visaCVN22
            default: return nil
            }
        } else if let mChip = MChipIssuerApplicationData(data) {
            switch mChip.cryptogramVersionNumber {
            case 0x10: self = .mChipCVN16
            case 0x11: self = .mChipCVN17
            case 0x14: self = .mChipCVN20
            case 0x15: self = .mChipCVN21
            default: return nil
            }
        } else {
            return nil
        }
    }

    /// The byte that stands for it in the issuer application data.
    public var number: UInt8 {
        switch self {
        case .visaCVN10: 0x0A
        case .visaCVN17: 0x11
        case .visaCVN18: 0x12
        case .visaCVN22: 0x22
        case .mChipCVN16: 0x10
        case .mChipCVN17: 0x11
        case .mChipCVN20: 0x14
        case .mChipCVN21: 0x15
        }
    }

    /// How issuers of this version usually derive master keys.
    public var usualMasterKeyDerivation: MasterKeyDerivation {
        switch self {
        case .visaCVN18, .visaCVN22: .optionB
        default: .optionA
        }
    }

    /// Padding of the cryptogram's data.
    public var padding: MACPadding {
        switch self {
        case .visaCVN10, .visaCVN17: .method1
        default: .method2
        }
    }

    /// How the issuer's answer to the cryptogram is made.
    public enum ResponseMethod: Sendable, Hashable { case method1, method2 }

    /// ARPC method (EMV Book 2, 8.2).
    public var responseMethod: ResponseMethod {
        switch self {
        case .visaCVN18, .visaCVN22: .method2
        default: .method1
        }
    }

    /// The key for application cryptograms of one transaction.
    public func applicationCryptogramKey(
        masterKey: TripleDESKey, applicationTransactionCounter: UInt16, unpredictableNumber: UInt32
    ) -> TripleDESKey {
        switch self {
        case .visaCVN10, .visaCVN17: masterKey
        case .visaCVN18, .visaCVN22, .mChipCVN20, .mChipCVN21:
            masterKey.commonSessionKey(applicationTransactionCounter: applicationTransactionCounter)
        case .mChipCVN16, .mChipCVN17:
            masterKey.mastercardSessionKey(
                applicationTransactionCounter: applicationTransactionCounter,
                unpredictableNumber: unpredictableNumber)
        }
    }

    /// The key for ARPCs of one transaction.
    public func responseCryptogramKey(
        masterKey: TripleDESKey, applicationTransactionCounter: UInt16
    ) -> TripleDESKey {
        switch self {
        case .visaCVN10, .visaCVN17, .mChipCVN16, .mChipCVN17: masterKey
        case .visaCVN18, .visaCVN22, .mChipCVN20, .mChipCVN21:
            masterKey.commonSessionKey(applicationTransactionCounter: applicationTransactionCounter)
        }
    }

    /// ARQC, TC or AAC (EMV Book 2, 8.1).
    /// - Parameters:
    ///   - masterKey: the card's master key (MK AC, UDK).
    ///   - input: the transaction's data.
    ///   - issuerApplicationData: 9F10. Bytes that it lacks are left out of the data.
    ///   - plaintextCounters: M/Chip CVN 17 and 21 where the issuer application data's counters are
    ///     enciphered: the clear ones; else nil.
    public func applicationCryptogram(
        masterKey: TripleDESKey, input: CryptogramInput, issuerApplicationData: Span<UInt8>,
        plaintextCounters: [UInt8]? = nil
    ) -> Cryptogram {
        let key = applicationCryptogramKey(
            masterKey: masterKey, applicationTransactionCounter: input.applicationTransactionCounter,
            unpredictableNumber: input.unpredictableNumber)
        var buffer = InlineArray<128, UInt8>(repeating: 0)
        var count = 0
        func append(_ byte: UInt8) {
            guard count < 128 else { return }
            buffer[count] = byte
            count += 1
        }
        if self == .visaCVN17 {
            for field in [
                CryptogramInput.Field.amountAuthorised, .unpredictableNumber, .applicationTransactionCounter,
            ] {
                for index in field.range { append(input.bytes[index]) }
            }
        } else {
            for index in input.bytes.indices { append(input.bytes[index]) }
        }
        let covered: Range<Int>
        switch self {
        case .visaCVN10: covered = 3..<7
        case .visaCVN17: covered = 4..<5
        case .visaCVN18, .visaCVN22: covered = 0..<32
        case .mChipCVN16, .mChipCVN20: covered = 2..<8
        case .mChipCVN17, .mChipCVN21: covered = 2..<8
        }
        for index in covered.clamped(to: issuerApplicationData.indices) {
            append(issuerApplicationData[index])
        }
        if self == .mChipCVN17 || self == .mChipCVN21 {
            if let plaintextCounters {
                for byte in plaintextCounters { append(byte) }
            } else {
                for index in (10..<26).clamped(to: issuerApplicationData.indices) {
                    append(issuerApplicationData[index])
                }
            }
        }
        return key.retailMAC(buffer.span.extracting(0..<count), padding: padding)
    }
}

/// Authorisation Response Cryptogram and what the issuer sends with it (EMV Book 2, 8.2).
extension TripleDESKey {
    /// ARPC of method 1 (8.2.1): the ARQC exclusive-or the response code, enciphered. Eight bytes.
    /// - Parameter authorisationResponseCode: two bytes as a big-endian number, "00" being 3030.
    public func responseCryptogram(
        arqc: Cryptogram, authorisationResponseCode: UInt16
    ) -> Cryptogram {
        let block = arqc.rawValue ^ UInt64(authorisationResponseCode) << 48
        return Cryptogram(
            rawValue: UInt64(bigEndian: transform(block.bigEndian, encrypt: true)))
    }

    /// ARPC of method 2 (8.2.2): the first four bytes of the MAC over the ARQC, the card status update and
    /// proprietary authentication data.
    /// - Parameters:
    ///   - cardStatusUpdate: four bytes as a big-endian number.
    ///   - proprietaryAuthenticationData: up to eight bytes.
    /// - Returns: four bytes as a big-endian number.
    public func responseCryptogram(
        arqc: Cryptogram, cardStatusUpdate: UInt32, proprietaryAuthenticationData: [UInt8] = []
    ) -> UInt32 {
        var data = arqc.bytes
        withUnsafeBytes(of: cardStatusUpdate.bigEndian) { data.append(contentsOf: $0) }
        data += proprietaryAuthenticationData
        return UInt32(truncatingIfNeeded: retailMAC(data.span, padding: .method2).rawValue >> 32)
    }

    /// Application cryptogram or other MAC of EMV Book 2, 8.1.2 over any data, under this session key.
    public func applicationCryptogram(over data: Span<UInt8>, padding: MACPadding = .method2) -> Cryptogram {
        retailMAC(data, padding: padding)
    }
}
