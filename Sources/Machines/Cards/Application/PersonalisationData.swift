import BERTLV
import EMV

/// Why a card cannot be made from its profile.
public enum PersonalisationError: Error, Equatable, Sendable, CustomStringConvertible {
    /// No test key of that name.
    case unknownKey(String)
    /// The Test CA has no key for the AID's RID.
    case unknownRID([UInt8])
    /// A record with a data object for which the profile gives no value.
    case missingData(tag: UInt32, sfi: UInt8, record: UInt8)
    /// A record or FCI longer than a short response may be.
    case tooLong(what: String, count: Int)
    /// Something that the profile says is not well formed.
    case malformed(String)
    case cryptography(String)

    public var description: String {
        switch self {
        case .unknownKey(let name): "there is no test key \"\(name)\""
        case .unknownRID(let rid): "the test CA has no key for RID \(Hex.string(rid))"
        case .missingData(let tag, let sfi, let record):
            "record \(record) of SFI \(sfi) lists \(Tag(tag)), which the profile does not give"
        case .tooLong(let what, let count): "\(what) has \(count) bytes; at most 256 fit a response"
        case .malformed(let reason): reason
        case .cryptography(let reason): reason
        }
    }
}

/// Data objects that personalisation makes of a profile.
enum PersonalisationData {
    /// Tags that hold keys and certificates: present where there is offline data authentication.
    static let authenticationTags: Set<Tag> = [0x8F, 0x90, 0x92, 0x9F32, 0x9F46, 0x9F47, 0x9F48, 0x9F4A]
    /// Tags whose value is made new for each transaction.
    static let dynamicTags: Set<Tag> = [0x9F69, 0x9F4B]

    static func canSupply(_ tag: Tag, to profile: ApplicationProfile) -> Bool {
        if authenticationTags.contains(tag) || tag == 0x9F4B { return profile.authentication.method != .none }
        if tag == 0x9F69 { return profile.authentication.method == .fdda01 }
        return value(tag, of: profile) != nil
    }

    /// The value of a data object that depends on the profile alone; nil where the profile has none.
    static func value(_ tag: Tag, of profile: ApplicationProfile) -> [UInt8]? {
        if let value = profile.data[tag] { return Array(value) }
        switch tag.rawValue {
        case 0x57: return track2(profile)
        case 0x5A: return profile.primaryAccountNumber.compressedNumeric
        case 0x5F20: return Array(profile.cardholder.utf8)
        case 0x5F24: return EMVDate(endOfMonthYYMM: profile.expiry)?.bytes
        case 0x5F25: return profile.effective.flatMap { EMVDate(yymmdd: $0 * 100 + 1)?.bytes }
        case 0x5F28: return profile.country.bytes
        case 0x5F2D: return Array(profile.languages.utf8)
        case 0x5F30: return BCD.bytes(UInt64(profile.serviceCode), count: 2)
        case 0x5F34: return BCD.bytes(UInt64(profile.sequenceNumber), count: 1)
        case 0x82: return profile.interchangeProfile.rawValue.bytes
        case 0x9F07: return profile.usageControl.rawValue.bytes
        case 0x9F19: return profile.tokenRequestor.flatMap { UInt64($0) }.map { BCD.bytes($0, count: 6) }
        case 0x9F24: return profile.paymentAccountReference.map { Array($0.utf8) }
        case 0x9F25: return profile.lastFour.flatMap { UInt64($0) }.map { BCD.bytes($0, count: 2) }
        case 0x9F42: return profile.currency.bytes
        case 0x9F5A: return profile.programIdentifier
        case 0x9F6E: return profile.formFactor
        default: return nil
        }
    }

    /// Track 2 Equivalent Data (57): PAN D YYMM service code, discretionary data, F to whole bytes.
    static func track2(_ profile: ApplicationProfile) -> [UInt8] {
        func padded(_ number: Int, _ count: Int) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
        }
        var text = profile.primaryAccountNumber.clearDigits + "D" + padded(profile.expiry, 4)
        text += padded(profile.serviceCode, 3) + profile.track2Discretionary
        if !text.utf8.count.isMultiple(of: 2) { text += "F" }
        return Hex.bytes(text) ?? []
    }
}

extension UInt16 {
    /// Two bytes, most significant first.
    var bytes: [UInt8] { [UInt8(truncatingIfNeeded: self >> 8), UInt8(truncatingIfNeeded: self)] }
}

/// Appends data objects, leaving out or doubling those that the profile's faults name.
struct FaultyWriter {
    let faults: CardFaults
    private(set) var bytes: [UInt8] = []

    init(faults: CardFaults, reservingCapacity capacity: Int = 0) {
        self.faults = faults
        bytes.reserveCapacity(capacity)
    }

    mutating func append(_ tag: Tag, _ value: [UInt8]) {
        if !faults.omitted.isEmpty, faults.omitted.contains(tag) { return }
        write(tag, value)
        if !faults.duplicated.isEmpty, faults.duplicated.contains(tag) { write(tag, value) }
    }

    mutating func append(encoded: [UInt8]) { bytes.append(contentsOf: encoded) }

    private mutating func write(_ tag: Tag, _ value: [UInt8]) {
        BERTLVWriter.append(tag: tag, to: &bytes)
        BERTLVWriter.append(length: value.count, to: &bytes)
        bytes.append(contentsOf: value)
    }
}
