internal import Acquiring
internal import BERTLV
internal import EMV
internal import EMVDictionary
internal import Foundation
internal import Journal
internal import Kernels
internal import Terminal

/// What the API shows. Every type here has a schema in `API/openapi.yaml`.

struct CurrencyView: Encodable, Sendable {
    var code: String
    var letters: String
    var exponent: Int
    init(_ code: NumericCode, exponent: UInt8) {
        self.code = code.description
        letters = CodeTable.currency(Int(code.value))?.alpha ?? code.description
        self.exponent = Int(exponent)
    }
}

/// A message with its lights and sound, in all languages of the catalogue.
struct DisplayView: Encodable, Sendable {
    var message: CustomerMessage

    static let idle = UserInterfaceRequest(.welcome, .idle)

    enum CodingKeys: String, CodingKey { case text, texts, language, messageId, status, lights, alert, sound }
    func encode(to encoder: any Encoder) throws {
        var object = encoder.container(keyedBy: CodingKeys.self)
        try object.encode(message.text, forKey: .text)
        var texts: [String: String] = [:]
        for language in CustomerMessage.catalogueLanguages { texts[language] = message.text(in: language) }
        try object.encode(texts, forKey: .texts)
        try object.encode(message.language, forKey: .language)
        try object.encode(Hex.string([message.request.message.rawValue]), forKey: .messageId)
        try object.encode(Self.word(message.request.status), forKey: .status)
        let lights = message.lights
        try object.encode(
            [lights.first, lights.others, lights.others, lights.others].map(Self.word), forKey: .lights)
        try object.encode(lights.alert, forKey: .alert)
        try object.encode(message.sound, forKey: .sound)
    }

    static func word(_ light: CustomerMessage.Lights.Light) -> String {
        switch light {
        case .off: "off"
        case .on: "on"
        case .blinking: "blinking"
        }
    }
    static func word(_ status: UserInterfaceRequest.Status) -> String {
        switch status {
        case .notReady: "notReady"
        case .idle: "idle"
        case .readyToRead: "readyToRead"
        case .processing: "processing"
        case .cardReadSuccessfully: "cardReadSuccessfully"
        case .processingError: "processingError"
        case .contactlessCollision: "contactlessCollision"
        case .notApplicable: "notApplicable"
        }
    }
}

/// What a terminal does at the moment.
enum TerminalPhase: String, Encodable, Sendable {
    case idle, waitingForCard, reading, enteringPIN, authorizing
}

struct TerminalView: Encodable, Sendable {
    struct Field: Encodable, Sendable { var ids: [String] }
    struct Backlog: Encodable, Sendable {
        var count: Int
        var amount: UInt64
    }
    var id: String
    var merchant: String
    var merchantId: String
    var currency: CurrencyView
    var country: String
    var languages: [String]
    var reader: String
    var readerKind: String
    var state: TerminalPhase
    var payment: String?
    var display: DisplayView
    var card: Field?
    var backlog: Backlog
}

/// Where a payment stands.
enum PaymentPhase: String, Encodable, Sendable, CaseIterable {
    case waitingForCard, reading, enteringPIN, authorizing, finished
}

struct PaymentView: Encodable, Sendable {
    var id: String
    var terminal: String
    var state: PaymentPhase
    var createdAt: Date
    var finishedAt: Date?
    var amount: UInt64
    var amountOther: UInt64
    var currency: CurrencyView
    var type: String
    var purpose: String
    /// Where the journal has it: states of voids, completions, settlement.
    var journalState: String?
    var result: ResultView?
}

/// How long a payment took, in microseconds.
struct Timings: Encodable, Sendable {
    var total: UInt64 = 0
    /// For the card to be presented, and for the PIN.
    var waiting: UInt64 = 0
    var card: UInt64 = 0
    var host: UInt64 = 0
    /// All the rest: what the terminal itself took.
    var terminal: UInt64 { total - min(total, waiting &+ card &+ host) }

    enum CodingKeys: String, CodingKey { case total, waiting, card, host, terminal }
    func encode(to encoder: any Encoder) throws {
        var object = encoder.container(keyedBy: CodingKeys.self)
        try object.encode(total, forKey: .total)
        try object.encode(waiting, forKey: .waiting)
        try object.encode(card, forKey: .card)
        try object.encode(host, forKey: .host)
        try object.encode(terminal, forKey: .terminal)
    }
}

struct ReceiptView: Encodable, Sendable {
    struct Line: Encodable, Sendable {
        var label: String
        var value: String
    }
    var title: String
    var lines: [Line]
    var signatureLine: Bool
    var text: String
    init(_ receipt: Receipt) {
        title = receipt.title
        lines = receipt.lines.map { Line(label: $0.label, value: $0.value) }
        signatureLine = receipt.signatureLine
        text = receipt.text()
    }
}

struct ResultView: Encodable, Sendable {
    struct Charge: Encodable, Sendable {
        var amount: UInt64
        var currency: CurrencyView
        var rate: String
    }
    var status: String
    var online: Bool?
    var deferred: Bool?
    var responseCode: String?
    var authorizationCode: String?
    var approvedAmount: UInt64?
    var reason: String?
    var outcome: String?
    var cvm: String
    var kernel: String?
    var aid: String?
    var application: String?
    var card: String?
    var tokenRequestor: String?
    var paymentAccountReference: String?
    var formFactor: String?
    var accountCharge: Charge?
    var reversalOutstanding: Bool
    var stan: UInt32
    var retrievalReference: String
    var tvr: ExplainedNode?
    var cvmResults: ExplainedNode?
    var receipt: ReceiptView?
    var timings: Timings?

    init(_ result: PaymentResult, timings: Timings?) {
        status = result.status.rawValue
        online = result.online
        deferred = result.isDeferred ? true : nil
        responseCode = result.response?.responseCode
        authorizationCode = result.response?.authorizationCode
        approvedAmount = result.response?.approvedAmount?.minorUnits
        reason = result.reason
        outcome = result.outcome?.outcome.status.rawValue
        cvm = result.cvm.rawValue
        kernel = result.outcome?.selected?.kernel.description
        aid = result.instrument.map { Hex.string($0.applicationIdentifier) }
        application = result.instrument?.applicationLabel
        card = result.instrument?.primaryAccountNumber?.masked
        tokenRequestor = result.instrument?.tokenRequestorID
        paymentAccountReference = result.instrument?.paymentAccountReference
        formFactor = result.instrument?.formFactor.rawValue
        accountCharge = result.response?.accountCharge.map {
            Charge(
                amount: $0.amount.minorUnits,
                currency: CurrencyView($0.currency, exponent: $0.currencyExponent),
                rate: $0.rate)
        }
        reversalOutstanding = result.reversalOutstanding
        stan = result.stan
        retrievalReference = result.retrievalReference
        let record = result.outcome?.outcome.dataRecord
        let context = Explaining.context(result.outcome?.selected?.kernel)
        tvr = record?[0x95].map { Explaining.object(0x95, $0, context, unset: true) }
        cvmResults = record?[0x9F34].map { Explaining.object(0x9F34, $0, context, unset: true) }
        receipt = result.receipt.map(ReceiptView.init)
        self.timings = timings
    }

    /// What the journal knows of a payment that this run did not take.
    init?(_ record: TransactionRecord) {
        switch record.state {
        case .approved, .adjustmentDue, .adjusted, .approvedOffline, .forwarded, .settled, .deferred,
            .reversalDue, .reversed:
            status =
                record.reversalReason == nil || record.reversalReason == "cancelled" ? "approved" : "failed"
        case .declined, .declinedOffline: status = "declined"
        case .cancelled: status = "cancelled"
        case .failed: status = "failed"
        case .started, .cardRead, .requestWritten, .authorizing, .answered: return nil
        }
        online =
            record.responseCode != nil
            ? true : [.approvedOffline, .declinedOffline, .forwarded].contains(record.state) ? false : nil
        deferred = record.state == .deferred ? true : nil
        responseCode = record.responseCode
        authorizationCode = record.authorizationCode
        approvedAmount = record.approvedAmount?.minorUnits
        reason = record.reason ?? record.reversalReason
        outcome = record.outcome
        cvm = record.cvm ?? Outcome.CVM.notApplicable.rawValue
        kernel = record.kernel.map { KernelIdentifier(rawValue: UInt32(clamping: $0)).description }
        aid = record.applicationIdentifier
        application = record.applicationLabel
        card = record.maskedPAN
        tokenRequestor = record.tokenRequestorID
        formFactor = record.formFactor
        reversalOutstanding = record.state == .reversalDue
        stan = record.stan
        retrievalReference = record.retrievalReference
        tvr = record.terminalVerificationResults.flatMap { Hex.bytes($0) }.map {
            Explaining.object(0x95, $0[...], nil, unset: true)
        }
    }
}

extension PaymentView {
    /// - Returns: nil where the journal's record is of a payment under way, as its terminal knows more.
    init(_ record: TransactionRecord) {
        id = record.id
        terminal = record.terminalID
        createdAt = record.createdAt
        amount = record.amount.minorUnits
        amountOther = record.amountOther.minorUnits
        currency = CurrencyView(record.currency, exponent: record.currencyExponent)
        type = TransactionType(code: record.transactionType)?.rawValue ?? "purchase"
        purpose = PaymentOrder.word(record.purpose)
        journalState = record.state.rawValue
        result = ResultView(record)
        state = result == nil ? .authorizing : .finished
        if result != nil { finishedAt = record.updatedAt }
    }
}

struct CardView: Encodable, Sendable {
    struct Application: Encodable, Sendable {
        var label: String
        var scheme: String
        var aid: String
        var pan: String
        var kernel: String
    }
    var id: String
    var profile: String
    var title: String
    var kind: String
    var applications: [Application]
    var atc: Int
    var locked: Bool?
    var asksToUnlock: Bool?
    var terminal: String?

    init(_ card: ShelfCard) {
        let state = card.state
        id = card.id
        profile = card.profile.id
        title = card.profile.title
        kind = card.profile.kind.rawValue
        applications = card.profile.applications.map {
            Application(
                label: $0.label, scheme: $0.scheme.rawValue, aid: Hex.string($0.applicationIdentifier),
                pan: $0.primaryAccountNumber.masked,
                kernel: KernelIdentifier(defaultFor: $0.applicationIdentifier).description)
        }
        atc = state.applications.values.map { Int($0.transactionCounter) }.max() ?? 0
        if card.profile.kind == .phone {
            locked = !card.isUnlocked
            asksToUnlock = card.asksToUnlock
        }
        terminal = card.terminal
    }
}

struct CardProfileView: Encodable, Sendable {
    var id: String
    var title: String
    var kind: String
    var schemes: [String]
}

struct ReaderView: Encodable, Sendable {
    enum State: String, Encodable, Sendable { case ready, busy, offline }
    var id: String
    var name: String
    var kind: String
    var state: State
    var terminal: String?
    var detail: String?
}
