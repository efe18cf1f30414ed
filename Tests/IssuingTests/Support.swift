import BERTLV
import EMV
import EMVCryptography
import Foundation
import Testing

@testable import Issuing

func bytes(_ hex: String) -> [UInt8] { Hex.bytes(hex)! }

let euro = NumericCode(978)!
let dollar = NumericCode(840)!
let yuan = NumericCode(156)!
let today = EMVDate(yymmdd: 261120)!

func amount(_ minorUnits: UInt64) -> Amount { Amount(minorUnits: minorUnits)! }

/// A tap of a card or token of the test world, whose parts a test may spoil before or after the cryptogram is
/// made.
struct Tap {
    var number = "4761739001010119"
    var sequence: UInt8 = 1
    var expiry: Int? = 3112
    var version = CryptogramVersion.visaCVN10
    var derivationKeyIndex: UInt8 = 1
    var type = CryptogramInformationData.CryptogramType.arqc
    var amount: UInt64 = 1500
    var other: UInt64 = 0
    var currency = euro
    var transactionType: UInt8 = 0
    var counter: UInt16 = 1
    var tvr = "0000000000"
    /// CVR bytes 3 and 4.
    var cvrRest = "0000"
    var date = today
    var entry = EntryMode.contactlessChip
    var id = "T1"
    var terminal = "TERM0001"
    var partial = false
    var extra: DataObjects = [:]
    var issuerKey = "0123456789ABCDEFFEDCBA9876543210"

    static let credit = Tap()
    static let debit = Tap(number: "4761739001010135", version: .visaCVN18)
    static let poor = Tap(number: "4761739001010184")
    static let apple = Tap(number: "4895370000000015", sequence: 0, expiry: 2908, version: .visaCVN18)
    static let google = Tap(number: "4895380000000014", sequence: 0, expiry: 2905, version: .visaCVN17)
    static let alipay = Tap(number: "4895390000000013", sequence: 0, expiry: 2810, version: .visaCVN18)

    func with(_ change: (inout Tap) -> Void) -> Tap {
        var copy = self
        change(&copy)
        return copy
    }

    var pan: PrimaryAccountNumber { PrimaryAccountNumber(digits: number)! }

    /// DE55 with a right cryptogram.
    var chipData: DataObjects {
        let iad =
            [0x06, derivationKeyIndex, version.number, 0x03, 0x80 | type.rawValue << 4] + bytes(cvrRest)
        var data: DataObjects = [
            0x82: bytes("2000"), 0x95: bytes(tvr), 0x9A: date.bytes, 0x9C: [transactionType],
            0x9F02: BCD.bytes(amount, count: 6), 0x9F03: BCD.bytes(other, count: 6), 0x9F10: iad,
            0x9F1A: bytes("0276"), 0x9F27: [type.rawValue << 6], 0x9F37: bytes("1A2B3C4D"),
            0x5F2A: currency.bytes, 0x5F34: [sequence],
        ]
        data.set(0x9F36, number: UInt64(counter), count: 2)
        var input = CryptogramInput()
        // swift-format-ignore: ReplaceForEachWithForLoop
        for tag in data.tags {
            guard let value = data.span(tag) else { continue }
            _ = input.set(tag: tag, value)
        }
        let master = try! TripleDESKey(bytes(issuerKey)).iccMasterKey(
            pan: pan.compressedNumeric, panSequenceNumber: sequence)
        data.set(
            0x9F26,
            version.applicationCryptogram(
                masterKey: master, input: input, issuerApplicationData: iad.span
            ).bytes)
        data.merge(extra)
        return data
    }

    var request: IssuingRequest {
        IssuingRequest(
            transactionID: id, terminalID: terminal, number: pan, sequence: sequence, expiry: expiry,
            entryMode: entry, amount: Amount(minorUnits: amount)!, amountOther: Amount(minorUnits: other)!,
            currency: currency, transactionType: transactionType, date: date, chipData: chipData,
            acceptsPartialApproval: partial)
    }
}

/// An issuer whose calls may stand inside `#expect`, which takes no mutating ones.
final class Host {
    var issuer: IssuerSimulator
    init() { issuer = IssuerSimulator() }
    init(_ world: IssuingWorld, state: IssuerSimulator.State = .init(), pin: PINVerifier? = nil) throws {
        issuer = try IssuerSimulator(world: world, state: state, pinVerifier: pin)
    }
    var state: IssuerSimulator.State { issuer.state }
    var world: IssuingWorld { issuer.world }
    func authorize(_ request: IssuingRequest) -> IssuingAnswer { issuer.authorize(request) }
    func advise(_ request: IssuingRequest, approved: Bool) -> AdviceResult {
        issuer.advise(request, approved: approved)
    }
    func reverse(transactionID: String, terminalID: String = "TERM0001") -> ReversalResult {
        issuer.reverse(transactionID: transactionID, terminalID: terminalID)
    }
    func adjust(account: String, by minorUnits: Int64) -> Bool {
        issuer.adjust(account: account, by: minorUnits, reference: "test")
    }
    func balance(_ account: String) -> Int64? { issuer.balance(account) }
    func available(_ account: String) -> UInt64? { issuer.available(account) }
}
