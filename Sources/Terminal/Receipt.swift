internal import BERTLV
internal import EMV
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
        title = profile.merchant.name
        signatureLine = result.status == .approved && result.cvm == .signature
        var lines: [Line] = []
        func add(_ label: String, _ value: String?) {
            if let value, !value.isEmpty { lines.append(Line(label: label, value: value)) }
        }
        add("Location", profile.merchant.location)
        add("Terminal", profile.terminalID)
        add("Merchant", profile.merchant.id)
        add("Date", "\(result.inputs.date) \(Self.time(result.inputs.hhmmss))")
        add("Trace", String(result.stan))
        add("Reference", result.retrievalReference)
        let type = TransactionType(code: result.inputs.transactionType)?.rawValue ?? "transaction"
        add(type.capitalized, Money(result.inputs.amount, result.inputs.currency).description)
        if result.inputs.amountOther > .zero {
            add("Of it cashback", Money(result.inputs.amountOther, result.inputs.currency).description)
        }
        if let partial = result.response?.approvedAmount {
            add("Approved amount", Money(partial, result.inputs.currency).description)
        }
        if let instrument = result.instrument {
            add("Card", instrument.applicationLabel)
            add("AID", Hex.string(instrument.applicationIdentifier))
            if let number = instrument.primaryAccountNumber {
                let shown = instrument.lastFourOfFundingPAN ?? number.lastFour
                add(instrument.isTokenized ? "Card (device)" : "Card number", "**** **** **** \(shown)")
            }
        }
        add("Entry", result.instrument?.isMagStripe == true ? "contactless mag-stripe" : "contactless chip")
        let record = result.outcome?.outcome.dataRecord
        add("Cryptogram", record?[0x9F26].map { Hex.string($0) })
        add("TVR", record?[0x95].map { Hex.string($0) })
        switch result.cvm {
        case .signature: add("Cardholder", "signature")
        case .onlinePIN: add("Cardholder", "PIN verified online")
        case .confirmationCodeVerified: add("Cardholder", "verified on the device")
        case .noCVM: add("Cardholder", "no verification needed")
        case .notApplicable: break
        }
        add("Authorization", result.response?.authorizationCode)
        add("Response code", result.response?.responseCode)
        if let charge = result.response?.accountCharge {
            add("Account charged", "\(Money(charge.amount, charge.currency)) (rate \(charge.rate))")
        }
        add("Result", Self.words(result))
        self.lines = lines
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
