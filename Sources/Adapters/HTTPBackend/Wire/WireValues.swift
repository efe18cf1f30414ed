internal import Acquiring
internal import BERTLV
internal import EMV

// Values of the wire as `openapi.yaml` writes them. Every reader names the member that is wrong, never its value.

/// What every message begins with.
struct WireHead: Codable {
    static let version = 1
    var version: Int
    var message: HTTPMessage.Kind
}

func wrong(_ member: String, _ reason: String) -> HTTPMessageError {
    HTTPMessageError(member: member, reason: reason)
}

extension HexText {
    static func bytes(_ text: String, _ member: String) throws(HTTPMessageError) -> [UInt8] {
        guard let bytes = Hex.bytes(text) else {
            throw wrong(member, "expected hexadecimal digits in pairs")
        }
        return bytes
    }
}

enum HexText {
    static func text(_ bytes: [UInt8]) -> String { Hex.string(bytes) }
}

enum AmountNumber {
    static func amount(_ units: UInt64, _ member: String) throws(HTTPMessageError) -> Amount {
        guard let amount = Amount(minorUnits: units) else {
            throw wrong(member, "more than twelve digits")
        }
        return amount
    }
}

enum CodeText {
    static func code(_ text: String, _ member: String) throws(HTTPMessageError) -> NumericCode {
        guard isDigits(text, 3), let number = Int(text), let code = NumericCode(number) else {
            throw wrong(member, "expected a three-digit code")
        }
        return code
    }
}

enum TransactionTypeText {
    static func text(_ type: UInt8) -> String {
        let digits = String(type, radix: 16)
        return digits.utf8.count == 1 ? "0" + digits : digits
    }
    static func type(_ text: String, _ member: String) throws(HTTPMessageError) -> UInt8 {
        // Tag 9C is BCD: its digits are those of a hexadecimal number.
        guard isDigits(text, 2), let type = UInt8(text, radix: 16) else {
            throw wrong(member, "expected two digits")
        }
        return type
    }
}

enum DateText {
    static func date(_ text: String, _ member: String) throws(HTTPMessageError) -> EMVDate {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false).map { String($0) }
        guard parts.count == 3, isDigits(parts[0], 4), isDigits(parts[1], 2), isDigits(parts[2], 2),
            let year = Int(parts[0]), let month = Int(parts[1]), let day = Int(parts[2]),
            let date = EMVDate(year: year, month: month, day: day)
        else { throw wrong(member, "expected a date such as 2026-11-20") }
        return date
    }
}

enum TimeText {
    static func text(_ hhmmss: Int) -> String {
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(two(hhmmss / 10000)):\(two(hhmmss / 100 % 100)):\(two(hhmmss % 100))"
    }
    static func hhmmss(_ text: String, _ member: String) throws(HTTPMessageError) -> Int {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { String($0) }
        guard parts.count == 3, parts.allSatisfy({ isDigits($0, 2) }), let hour = Int(parts[0]),
            let minute = Int(parts[1]), let second = Int(parts[2]), hour <= 23, minute <= 59, second <= 59
        else { throw wrong(member, "expected a time such as 14:05:00") }
        return (hour * 100 + minute) * 100 + second
    }
}

/// Card data in clear: never shown.
struct WireCard: Codable {
    var number: String
    var sequenceNumber: UInt8?
    /// Last day on which the card is good.
    var expires: String?
    /// `NUMBER=YYMM...`, as on the track without sentinels.
    var track2: String?

    init(_ request: AuthorizationRequest) {
        number = request.primaryAccountNumber.clearDigits
        sequenceNumber = request.panSequenceNumber
        expires = request.expiry?.description
        track2 = request.track2?.clearText()
    }

    func primaryAccountNumber() throws(HTTPMessageError) -> PrimaryAccountNumber {
        guard number.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = PrimaryAccountNumber(digits: number)
        else { throw wrong("card.number", "expected 8 to 19 digits") }
        return number
    }

    func track() throws(HTTPMessageError) -> Track2EquivalentData? {
        guard let track2 else { return nil }
        var digits = track2.replacing("=", with: "D")
        if !digits.utf8.count.isMultiple(of: 2) { digits += "F" }
        guard let bytes = Hex.bytes(digits), let track = Track2EquivalentData(bytes) else {
            throw wrong("card.track2", "expected NUMBER=YYMM and up to 37 characters")
        }
        return track
    }
}

struct WirePIN: Codable {
    var block: String
    var keySerialNumber: String
}

struct WireTotals: Codable {
    var debits: Int
    var debitAmount: UInt64
    var credits: Int
    var creditAmount: UInt64

    init(_ totals: BatchTotals) {
        debits = totals.debits
        debitAmount = totals.debitAmount
        credits = totals.credits
        creditAmount = totals.creditAmount
    }

    var totals: BatchTotals {
        BatchTotals(
            debits: debits, debitAmount: debitAmount, credits: credits, creditAmount: creditAmount)
    }
}

func isDigits(_ text: String, _ count: Int) -> Bool {
    text.utf8.count == count && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
}

enum WireEntryMode: String, Codable {
    case contactlessChip = "contactless-chip"
    case contactlessMagStripe = "contactless-mag-stripe"
    case contactChip = "contact-chip"
    case manual

    init(_ mode: PointOfServiceEntryMode) {
        switch mode {
        case .contactlessChip: self = .contactlessChip
        case .contactlessMagStripe: self = .contactlessMagStripe
        case .contactChip: self = .contactChip
        case .manual: self = .manual
        }
    }
    var mode: PointOfServiceEntryMode {
        switch self {
        case .contactlessChip: .contactlessChip
        case .contactlessMagStripe: .contactlessMagStripe
        case .contactChip: .contactChip
        case .manual: .manual
        }
    }
}

enum WireCardholderVerification: String, Codable {
    case notApplicable = "not-applicable"
    case noCVM = "none"
    case signature
    case onlinePIN = "online-pin"
    case onDevice = "on-device"

    init(_ method: Outcome.CVM) {
        switch method {
        case .notApplicable: self = .notApplicable
        case .noCVM: self = .noCVM
        case .signature: self = .signature
        case .onlinePIN: self = .onlinePIN
        case .confirmationCodeVerified: self = .onDevice
        }
    }
    var method: Outcome.CVM {
        switch self {
        case .notApplicable: .notApplicable
        case .noCVM: .noCVM
        case .signature: .signature
        case .onlinePIN: .onlinePIN
        case .onDevice: .confirmationCodeVerified
        }
    }
}

enum WireReversalReason: String, Codable {
    case timeout
    case malformedResponse = "malformed-response"
    case restart
    case cardDeclined = "card-declined"
    case cancelled
    case lateResponse = "late-response"

    init(_ reason: ReversalRequest.Reason) {
        switch reason {
        case .timeout: self = .timeout
        case .malformedResponse: self = .malformedResponse
        case .restart: self = .restart
        case .cardDeclined: self = .cardDeclined
        case .cancelled: self = .cancelled
        case .lateResponse: self = .lateResponse
        // The protocol has no word of its own, and a host must not refuse a reversal for one that it does not know.
        case .approvalNotTaken: self = .cancelled
        }
    }
    var reason: ReversalRequest.Reason {
        switch self {
        case .timeout: .timeout
        case .malformedResponse: .malformedResponse
        case .restart: .restart
        case .cardDeclined: .cardDeclined
        case .cancelled: .cancelled
        case .lateResponse: .lateResponse
        }
    }
}
