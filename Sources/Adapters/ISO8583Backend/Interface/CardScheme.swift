internal import BERTLV
internal import EMV

/// Whose rules a message follows.
public enum CardScheme: String, Sendable, CaseIterable {
    case visa, mastercard, amex, discover, jcb, unionpay, other

    /// By the registered application provider of chip data (tags 84, 9F06), else by the number's first digits.
    public init(_ request: AuthorizationRequestSummary) {
        self = Self.of(request.applicationIdentifier) ?? Self.of(request.number)
    }

    private static func of(_ identifier: ArraySlice<UInt8>?) -> CardScheme? {
        guard let identifier, identifier.count >= 5 else { return nil }
        switch Array(identifier.prefix(5)) {
        case [0xA0, 0, 0, 0, 0x03]: return .visa
        case [0xA0, 0, 0, 0, 0x04]: return .mastercard
        case [0xA0, 0, 0, 0, 0x25]: return .amex
        case [0xA0, 0, 0, 0x01, 0x52]: return .discover
        case [0xA0, 0, 0, 0, 0x65]: return .jcb
        case [0xA0, 0, 0, 0x03, 0x33]: return .unionpay
        default: return nil
        }
    }

    /// Ranges as the schemes publish them.
    private static func of(_ number: PrimaryAccountNumber) -> CardScheme {
        let digits = number.clearDigits
        let six = Int(digits.prefix(6)) ?? 0
        switch six {
        case 400_000...499_999: return .visa
        case 510_000...559_999, 222_100...272_099, 500_000...509_999, 560_000...589_999, 670_000...679_999:
            return .mastercard
        case 340_000...349_999, 370_000...379_999: return .amex
        case 352_800...358_999: return .jcb
        case 620_000...629_999: return .unionpay
        case 601_100...601_199, 644_000...659_999: return .discover
        default: return .other
        }
    }
}

/// What of a request tells the scheme.
public struct AuthorizationRequestSummary {
    let applicationIdentifier: ArraySlice<UInt8>?
    let number: PrimaryAccountNumber
    init(number: PrimaryAccountNumber, chipData: [UInt8]) {
        self.number = number
        let chip = ChipData(chipData)
        applicationIdentifier = chip[0x84] ?? chip[0x9F06]
    }
}

/// Data objects of field 55 by their tags, the whole value kept as it came.
struct ChipData {
    private var objects: [(tag: BERTLV.Tag, value: ArraySlice<UInt8>, whole: ArraySlice<UInt8>)] = []
    /// Nil where the bytes are well-formed.
    private(set) var error: String?

    init(_ bytes: [UInt8]) {
        var reader = BERTLVReader(bytes.span, padding: .none)
        var start = 0
        while true {
            do throws(BERTLVError) {
                guard let element = try reader.next() else { return }
                objects.append((element.tag, bytes[element.value], bytes[start..<element.value.upperBound]))
                start = element.value.upperBound
            } catch {
                self.error = "\(error)"
                return
            }
        }
    }

    subscript(_ tag: BERTLV.Tag) -> ArraySlice<UInt8>? { objects.first { $0.tag == tag }?.value }

    /// Encodings of these tags, whole, in the order they came.
    func encoded(_ isWanted: (BERTLV.Tag) -> Bool) -> [UInt8] {
        objects.filter { isWanted($0.tag) }.flatMap(\.whole)
    }
}
