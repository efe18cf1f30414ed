public import EMV
public import Foundation

/// Where a transaction stands. Each change is a compare-and-set from one of `predecessors`.
public enum TransactionState: String, Sendable, Codable, CaseIterable {
    /// Written before the card is asked for.
    case started
    /// The card was read; nothing was sent.
    case cardRead = "card-read"
    /// The authorization may have left: written before it does.
    case authorizing
    case approved, declined
    /// The outcome is unknown or must be taken back: a reversal is owed to the host.
    case reversalDue = "reversal-due"
    case reversed
    /// Card and terminal approved; the host does not know yet.
    case approvedOffline = "approved-offline"
    case declinedOffline = "declined-offline"
    /// The host acknowledged an offline approval.
    case forwarded
    /// Ended before anything was sent, by customer, cashier or time.
    case cancelled
    /// Ended before anything was sent, by card, reader or terminal.
    case failed

    /// States from which this one can be reached.
    public var predecessors: [TransactionState] {
        switch self {
        case .started: []
        case .cardRead: [.started]
        case .authorizing: [.started, .cardRead]
        case .approved, .declined: [.authorizing]
        // From approved: the card declined afterwards, or the payment is taken back.
        case .reversalDue: [.authorizing, .approved]
        case .reversed: [.reversalDue]
        case .approvedOffline, .declinedOffline, .cancelled, .failed: [.started, .cardRead]
        case .forwarded: [.approvedOffline]
        }
    }

    /// States that a restart must look after.
    public static let unfinished: [TransactionState] = [
        .started, .cardRead, .authorizing, .reversalDue, .approvedOffline,
    ]

    /// States in which a message to the host may still need what was kept enciphered.
    public static let keeping: [TransactionState] = [.authorizing, .reversalDue, .approvedOffline]
}

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

    public init(
        terminalID: String, merchantID: String, amount: Amount, amountOther: Amount = .zero,
        currency: NumericCode, currencyExponent: UInt8, transactionType: UInt8
    ) {
        self.terminalID = terminalID
        self.merchantID = merchantID
        self.amount = amount
        self.amountOther = amountOther
        self.currency = currency
        self.currencyExponent = currencyExponent
        self.transactionType = transactionType
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
public struct TransactionResult: Sendable {
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

    public init(
        terminalID: String? = nil, states: [TransactionState] = [], since: Date? = nil, until: Date? = nil,
        lastFour: String? = nil, isParked: Bool? = nil
    ) {
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
