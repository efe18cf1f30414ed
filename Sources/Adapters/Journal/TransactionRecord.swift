public import EMV
internal import EMVCryptography
public import Foundation

/// Where a transaction stands. Each change is a compare-and-set from one of `predecessors`.
public enum TransactionState: String, Sendable, Codable, CaseIterable {
    /// Written before the card is asked for.
    case started
    /// The card was read; nothing was sent.
    case cardRead = "card-read"
    /// The request for the host is written, and what it needs is kept enciphered; nothing was sent.
    case requestWritten = "request-written"
    /// The service was given before the host is asked (transit): the request waits for the host.
    case deferred
    /// Sent: the authorization may have left. Written before it does.
    case authorizing
    /// The host answered; card or terminal may still have a say.
    case answered
    /// Completed as approved.
    case approved
    case declined
    /// The final amount of an approved transaction is owed to the host: a completion or a tip.
    case adjustmentDue = "adjustment-due"
    /// The host acknowledged the final amount.
    case adjusted
    /// The outcome is unknown or must be taken back: a reversal is owed to the host.
    case reversalDue = "reversal-due"
    case reversed
    /// Card and terminal approved; the host does not know yet.
    case approvedOffline = "approved-offline"
    case declinedOffline = "declined-offline"
    /// The host acknowledged an offline approval.
    case forwarded
    /// Closed in a batch that the host has balanced.
    case settled
    /// Ended before anything was sent, by customer, cashier or time.
    case cancelled
    /// Ended before anything was sent, by card, reader or terminal.
    case failed

    /// States from which this one can be reached.
    public var predecessors: [TransactionState] {
        switch self {
        case .started: []
        case .cardRead: [.started]
        case .requestWritten: [.started, .cardRead]
        // From authorizing: it certainly did not leave.
        case .deferred: [.started, .cardRead, .requestWritten, .authorizing]
        case .authorizing: [.started, .cardRead, .requestWritten, .deferred]
        case .answered: [.authorizing]
        case .approved, .declined: [.authorizing, .answered]
        // From adjustmentDue: another amount before the host knew of the first.
        case .adjustmentDue: [.approved, .forwarded, .adjusted, .adjustmentDue]
        case .adjusted: [.adjustmentDue]
        // From approved and what follows: the card declined afterwards, or the payment is taken back. From declined and
        // reversed: the host approved too late (`Journal.lateApproval`).
        case .reversalDue:
            [
                .authorizing, .answered, .approved, .adjustmentDue, .adjusted, .approvedOffline, .forwarded,
                .declined, .reversed,
            ]
        case .reversed: [.reversalDue]
        case .approvedOffline, .declinedOffline, .failed: [.started, .cardRead, .requestWritten]
        // From deferred: nobody was told of it, and nothing was sent.
        case .cancelled: [.started, .cardRead, .requestWritten, .deferred]
        case .forwarded: [.approvedOffline]
        case .settled: Self.inBatch
        }
    }

    /// States in which somebody is at work on a transaction, or was when the process ended.
    public static let inProgress: [TransactionState] =
        [.started, .cardRead, .requestWritten, .authorizing, .answered]

    /// States that a restart must look after.
    public static let unfinished: [TransactionState] = inProgress + owed

    /// States in which something is owed to the host.
    public static let owed: [TransactionState] = [.deferred, .reversalDue, .adjustmentDue, .approvedOffline]

    /// States in which the host owes the merchant the amount: closed with the next batch, but for
    /// pre-authorizations that were not completed.
    public static let inBatch: [TransactionState] = [.approved, .adjusted, .forwarded]

    /// States in which a message to the host may still need what was kept enciphered.
    public static let keeping: [TransactionState] = [
        .requestWritten, .deferred, .authorizing, .answered, .approved, .adjustmentDue, .adjusted,
        .reversalDue,
        .approvedOffline, .forwarded,
    ]

    /// States after which nothing happens any more, but for an approval that comes too late.
    public static let final: [TransactionState] = [
        .settled, .reversed, .declined, .declinedOffline, .cancelled, .failed,
    ]
}

/// What an authorization is asked for.
public enum TransactionPurpose: String, Sendable, Codable, CaseIterable {
    case sale
    /// The amount is only held until a completion names what is taken.
    case preAuthorization = "pre-authorization"
    /// The service is given before the host is asked.
    case deferred
}

/// Why the final amount differs from what was approved.
public enum AmountAdjustment: String, Sendable, Codable { case completion, tip }

/// What is known before the card is asked for.
public struct TransactionIntent: Sendable {
    public var terminalID: String
    public var merchantID: String
    /// Minor units, `amountOther` included.
    public var amount: Amount
    public var amountOther: Amount
    public var currency: NumericCode
    public var currencyExponent: UInt8
    /// Tag 9C.
    public var transactionType: UInt8
    public var purpose: TransactionPurpose
    /// Names this payment for ever: with the same key the same transaction is found again instead of a new
    /// one. 1 to 64 bytes, unique per terminal.
    public var idempotencyKey: String?
    /// The transaction that a refund gives back.
    public var original: String?
    /// The transaction that this one takes the place of: at most one ever does. Names this one instead of an idempotency
    /// key, in a name space of its own that no client writes to.
    public private(set) var replaces: String?

    public init(
        terminalID: String, merchantID: String, amount: Amount, amountOther: Amount = .zero,
        currency: NumericCode, currencyExponent: UInt8, transactionType: UInt8,
        purpose: TransactionPurpose = .sale, idempotencyKey: String? = nil, original: String? = nil
    ) {
        self.purpose = purpose
        self.idempotencyKey = idempotencyKey
        self.original = original
        self.terminalID = terminalID
        self.merchantID = merchantID
        self.amount = amount
        self.amountOther = amountOther
        self.currency = currency
        self.currencyExponent = currencyExponent
        self.transactionType = transactionType
    }
}

extension TransactionIntent {
    /// The same again under new numbers, in place of a transaction whose outcome is unknown: it gives back what that one
    /// gives back. It begins only while that one is authorizing.
    public init(replacing record: TransactionRecord) {
        self.init(
            terminalID: record.terminalID, merchantID: record.merchantID, amount: record.amount,
            amountOther: record.amountOther, currency: record.currency,
            currencyExponent: record.currencyExponent, transactionType: record.transactionType,
            purpose: record.purpose, original: record.original)
        replaces = record.id
    }

    /// Refunds go to the cardholder (tag 9C).
    public var isCredit: Bool { transactionType == 0x20 }

    /// Tells whether two intents under one key are the same.
    var fingerprint: [UInt8] {
        let parts: [String] = [
            merchantID, "\(amount.minorUnits)", "\(amountOther.minorUnits)", "\(currency.value)",
            "\(currencyExponent)", "\(transactionType)", purpose.rawValue, original ?? "",
        ]
        return SHA256.hash(Array(parts.map { "\($0.utf8.count):\($0)" }.joined().utf8))
    }
}

/// What reading the card gave. Card numbers come masked and are stored so.
public struct CardReading: Sendable {
    public var maskedPAN: String?
    public var panSequenceNumber: UInt8?
    /// Hexadecimal.
    public var applicationIdentifier: String?
    public var applicationLabel: String?
    public var kernel: Int?
    /// The kernel's outcome.
    public var outcome: String?
    public var cvm: String?
    /// Hexadecimal, five bytes.
    public var terminalVerificationResults: String?
    public var entryMode: String?
    public var tokenRequestorID: String?
    public var formFactor: String?

    public init(
        maskedPAN: String? = nil, panSequenceNumber: UInt8? = nil, applicationIdentifier: String? = nil,
        applicationLabel: String? = nil, kernel: Int? = nil, outcome: String? = nil, cvm: String? = nil,
        terminalVerificationResults: String? = nil, entryMode: String? = nil,
        tokenRequestorID: String? = nil, formFactor: String? = nil
    ) {
        self.maskedPAN = maskedPAN
        self.panSequenceNumber = panSequenceNumber
        self.applicationIdentifier = applicationIdentifier
        self.applicationLabel = applicationLabel
        self.kernel = kernel
        self.outcome = outcome
        self.cvm = cvm
        self.terminalVerificationResults = terminalVerificationResults
        self.entryMode = entryMode
        self.tokenRequestorID = tokenRequestorID
        self.formFactor = formFactor
    }
}

/// How a transaction ended, or why it changed.
public struct TransactionResult: Sendable, Equatable {
    public var responseCode: String?
    public var authorizationCode: String?
    public var approvedAmount: Amount?
    public var reason: String?

    public init(
        responseCode: String? = nil, authorizationCode: String? = nil, approvedAmount: Amount? = nil,
        reason: String? = nil
    ) {
        self.responseCode = responseCode
        self.authorizationCode = authorizationCode
        self.approvedAmount = approvedAmount
        self.reason = reason
    }
}

/// One transaction as the journal has it.
public struct TransactionRecord: Sendable, Equatable, Codable {
    public var id: String
    public var terminalID: String
    public var merchantID: String
    public var batch: Int
    /// System Trace Audit Number, 1...999 999.
    public var stan: UInt32
    /// Retrieval Reference Number, 12 characters.
    public var retrievalReference: String
    public var state: TransactionState
    public var createdAt: Date
    public var updatedAt: Date
    public var amount: Amount
    public var amountOther: Amount
    public var currency: NumericCode
    public var currencyExponent: UInt8
    public var transactionType: UInt8
    public var maskedPAN: String?
    public var panSequenceNumber: UInt8?
    public var applicationIdentifier: String?
    public var applicationLabel: String?
    public var kernel: Int?
    public var outcome: String?
    public var cvm: String?
    public var terminalVerificationResults: String?
    public var entryMode: String?
    public var tokenRequestorID: String?
    public var formFactor: String?
    public var backend: String?
    public var responseCode: String?
    public var authorizationCode: String?
    public var approvedAmount: Amount?
    public var reason: String?
    public var reversalReason: String?
    /// Transmissions of the reversal so far.
    public var reversalAttempts: Int
    /// Transmissions of the offline approval's advice so far.
    public var forwardAttempts: Int
    /// Set aside for a person: no longer retried, still owed.
    public var isParked: Bool
    /// SHA-256 of the authorization request.
    public var requestDigest: String?
    public var purpose: TransactionPurpose
    /// What is taken in the end, after a completion or a tip.
    public var finalAmount: Amount?
    public var adjustment: AmountAdjustment?
    /// Final amounts so far, counted from 1; 0 without any.
    public var revision: Int
    /// Transmissions of the present final amount so far.
    public var adjustmentAttempts: Int
    public var idempotencyKey: String?
    /// The transaction that this one gives back.
    public var original: String?
    /// The batch in which it was settled.
    public var settledBatch: Int?
    /// The transaction that this one takes the place of.
    public var replaces: String?

    /// What the merchant gets, or gives back: the final amount, else what was approved, else what was asked for.
    public var amountTaken: Amount { finalAmount ?? approvedAmount ?? amount }
    /// Refunds go to the cardholder (tag 9C).
    public var isCredit: Bool { transactionType == 0x20 }
}

extension TransactionRecord {
    /// A transaction as it is when it begins.
    /// - Parameters:
    ///   - number: System Trace Audit Number, 1...999 999.
    ///   - reference: Retrieval Reference Number, 12 characters.
    package init(
        beginning intent: TransactionIntent, id: String, number: UInt32, reference: String, at time: Date
    ) {
        self.init(
            id: id, terminalID: intent.terminalID, merchantID: intent.merchantID, batch: 1, stan: number,
            retrievalReference: reference, state: .started, createdAt: time, updatedAt: time,
            amount: intent.amount, amountOther: intent.amountOther, currency: intent.currency,
            currencyExponent: intent.currencyExponent, transactionType: intent.transactionType,
            reversalAttempts: 0, forwardAttempts: 0, isParked: false, purpose: intent.purpose, revision: 0,
            adjustmentAttempts: 0, idempotencyKey: intent.idempotencyKey, original: intent.original,
            replaces: intent.replaces)
    }
}

/// One change of state, in the order in which it was committed.
public struct StateChange: Sendable, Equatable, Codable {
    public var sequence: Int64
    public var transactionID: String
    public var state: TransactionState
    public var at: Date
    public var detail: String?
}

/// Which transactions are meant. Empty conditions hold for all.
public struct JournalFilter: Sendable, Equatable {
    public var terminalID: String?
    public var states: [TransactionState]
    /// Begun at this time or later.
    public var since: Date?
    /// Begun before this time.
    public var until: Date?
    /// Last four digits of the card number.
    public var lastFour: String?
    /// Nil for all, else only those that are (not) parked.
    public var isParked: Bool?
    public var idempotencyKey: String?
    /// Only those that give this transaction back.
    public var original: String?
    /// Only those settled in this batch.
    public var settledBatch: Int?

    public init(
        terminalID: String? = nil, states: [TransactionState] = [], since: Date? = nil, until: Date? = nil,
        lastFour: String? = nil, isParked: Bool? = nil, idempotencyKey: String? = nil,
        original: String? = nil, settledBatch: Int? = nil
    ) {
        self.idempotencyKey = idempotencyKey
        self.original = original
        self.settledBatch = settledBatch
        self.terminalID = terminalID
        self.states = states
        self.since = since
        self.until = until
        self.lastFour = lastFour
        self.isParked = isParked
    }
}

/// By the time of their beginning.
public enum JournalOrder: Sendable { case newestFirst, oldestFirst }
