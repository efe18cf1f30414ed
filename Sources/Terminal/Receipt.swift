internal import BERTLV
internal import EMV
internal import EMVCryptography
internal import Foundation
public import Journal
internal import Kernels

/// A receipt of one payment: lines for paper, masked as receipts are (last four digits only).
public struct Receipt: Sendable, Equatable {
    public struct Line: Sendable, Equatable {
        public var label: String
        public var value: String
    }
    public var title: String
    public var lines: [Line]
    public var signatureLine: Bool

    init(_ result: PaymentResult, profile: TerminalProfile) {
        title = PlainText.clean(profile.merchant.name)
        signatureLine = result.status == .approved && result.cvm == .signature
        var lines = Lines()
        lines.add("Location", profile.merchant.location)
        lines.addHead(
            terminal: profile.terminalID, merchant: profile.merchant.id,
            date: "\(result.inputs.date) \(Self.time(result.inputs.hhmmss))", stan: result.stan,
            reference: result.retrievalReference)
        let currency = result.inputs.currency
        lines.addAmounts(
            type: result.inputs.transactionType, amount: result.inputs.amount,
            other: result.inputs.amountOther, approved: result.response?.approvedAmount, currency)
        if let instrument = result.instrument {
            lines.addCard(
                application: instrument.applicationLabel,
                identifier: Hex.string(instrument.applicationIdentifier),
                lastFour: instrument.primaryAccountNumber.map {
                    instrument.lastFourOfFundingPAN ?? $0.lastFour
                }, isToken: instrument.isTokenized)
        }
        lines.add(
            "Entry", result.instrument?.isMagStripe == true ? "contactless mag-stripe" : "contactless chip")
        let record = result.outcome?.outcome.dataRecord
        lines.add("Cryptogram", record?[0x9F26].map { Hex.string($0) })
        lines.add("TVR", record?[0x95].map { Hex.string($0) })
        lines.add("Cardholder", Self.words(result.cvm))
        lines.add("Authorization", result.response?.authorizationCode)
        lines.add("Response code", result.response?.responseCode)
        if let charge = result.response?.accountCharge {
            lines.add("Account charged", "\(Money(charge.amount, charge.currency)) (rate \(charge.rate))")
        }
        lines.add("Result", Self.words(result))
        self.lines = lines.all
    }

    /// A copy for paper, made from the journal's record: what the journal does not keep (the cryptogram, a charge in another
    /// currency) is not on it.
    /// - Parameter profile: of the terminal that took the payment; nil where it is not there any more.
    /// - Returns: nil while the payment is under way.
    public init?(copyOf record: TransactionRecord, profile: TerminalProfile?) {
        guard let result = Self.words(record) else { return nil }
        title = PlainText.clean(profile?.merchant.name ?? record.merchantID)
        let method = record.cvm.flatMap(Outcome.CVM.init(rawValue:)) ?? .notApplicable
        // Signed once, on the first.
        signatureLine = false
        var lines = Lines()
        lines.add("Copy", "DUPLICATE")
        lines.add("Location", profile?.merchant.location)
        let begun = LocalTime.parts(of: time_t(record.createdAt.timeIntervalSince1970))
        lines.addHead(
            terminal: record.terminalID, merchant: record.merchantID,
            date: "\(begun.date) \(Self.time(begun.hhmmss))", stan: record.stan,
            reference: record.retrievalReference)
        lines.addAmounts(
            type: record.transactionType, amount: record.amount, other: record.amountOther,
            approved: record.approvedAmount, record.currency)
        if let final = record.finalAmount {
            lines.add("Final amount", Money(final, record.currency).description)
        }
        if let identifier = record.applicationIdentifier {
            lines.addCard(
                application: record.applicationLabel, identifier: identifier,
                lastFour: record.maskedPAN.map { String($0.suffix(4)) },
                isToken: record.tokenRequestorID != nil)
        }
        if let mode = record.entryMode {
            lines.add("Entry", mode.replacing("contactless-", with: "contactless "))
        }
        lines.add("TVR", record.terminalVerificationResults)
        lines.add("Cardholder", Self.words(method))
        lines.add("Authorization", record.authorizationCode)
        lines.add("Response code", record.responseCode)
        lines.add("Result", result)
        self.lines = lines.all
    }

    /// Lines as they are added; those without a value are left out.
    private struct Lines {
        var all: [Line] = []

        mutating func add(_ label: String, _ value: String?) {
            // One line each, whoever wrote the value: host, card or profile.
            if let value, !value.isEmpty { all.append(Line(label: label, value: PlainText.clean(value))) }
        }
        mutating func addHead(
            terminal: String, merchant: String, date: String, stan: UInt32, reference: String
        ) {
            add("Terminal", terminal)
            add("Merchant", merchant)
            add("Date", date)
            add("Trace", String(stan))
            add("Reference", reference)
        }
        mutating func addAmounts(
            type: UInt8, amount: Amount, other: Amount, approved: Amount?, _ currency: NumericCode
        ) {
            let word = TransactionType(code: type)?.rawValue ?? "transaction"
            add(word.capitalized, Money(amount, currency).description)
            if other > .zero { add("Of it cashback", Money(other, currency).description) }
            if let approved { add("Approved amount", Money(approved, currency).description) }
        }
        mutating func addCard(application: String?, identifier: String, lastFour: String?, isToken: Bool) {
            add("Card", application)
            add("AID", identifier)
            if let lastFour { add(isToken ? "Card (device)" : "Card number", "**** **** **** \(lastFour)") }
        }
    }

    private static func words(_ method: Outcome.CVM) -> String? {
        switch method {
        case .signature: "signature"
        case .onlinePIN: "PIN verified online"
        case .confirmationCodeVerified: "verified on the device"
        case .noCVM: "no verification needed"
        case .notApplicable: nil
        }
    }

    private static func words(_ record: TransactionRecord) -> String? {
        switch record.state {
        case .started, .cardRead, .requestWritten, .authorizing, .answered: nil
        case .approved, .adjustmentDue, .adjusted: "APPROVED"
        case .settled: record.responseCode == nil ? "APPROVED OFFLINE" : "APPROVED"
        case .approvedOffline, .forwarded: "APPROVED OFFLINE"
        case .deferred: "APPROVED: the host is asked later"
        case .declined: "DECLINED"
        case .declinedOffline: "DECLINED OFFLINE"
        case .cancelled: "CANCELLED"
        case .reversalDue, .reversed: record.reversalReason == "cancelled" ? "VOIDED" : "FAILED: reversed"
        case .failed: "FAILED"
        }
    }

    static func time(_ hhmmss: Int) -> String {
        let digits = String(hhmmss)
        let six = String(repeating: "0", count: max(0, 6 - digits.count)) + digits
        return "\(six.prefix(2)):\(six.dropFirst(2).prefix(2)):\(six.suffix(2))"
    }

    static func words(_ result: PaymentResult) -> String {
        switch result.status {
        case .approved: result.online == true ? "APPROVED" : "APPROVED OFFLINE"
        case .declined: result.online == true ? "DECLINED" : "DECLINED OFFLINE"
        case .tryAnotherInterface: "NOT COMPLETED: insert or swipe"
        case .ended: "NOT COMPLETED"
        case .refusedByMerchant: "NOT ACCEPTED HERE"
        case .cancelled: "CANCELLED"
        case .timedOut: "NO CARD PRESENTED"
        case .failed: "FAILED"
        }
    }

    /// The receipt in `width` columns.
    public func text(width: Int = 42) -> String {
        var out = String(repeating: " ", count: max(0, (width - title.count) / 2)) + title + "\n"
        out += String(repeating: "-", count: width) + "\n"
        for line in lines {
            let gap = width - line.label.count - line.value.count
            if gap >= 1 {
                out += line.label + String(repeating: " ", count: gap) + line.value + "\n"
            } else {
                out += line.label + "\n"
                var rest = Substring(line.value)
                while !rest.isEmpty {
                    let part = rest.prefix(width - 2)
                    out += String(repeating: " ", count: width - part.count) + part + "\n"
                    rest = rest.dropFirst(part.count)
                }
            }
        }
        if signatureLine { out += "\nSignature " + String(repeating: "_", count: width - 10) + "\n" }
        return out
    }
}
