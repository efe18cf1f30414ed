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
        case .reversalDue: [.authorizing]
        case .reversed: [.reversalDue]
        case .approvedOffline, .declinedOffline, .cancelled, .failed: [.started, .cardRead]
        case .forwarded: [.approvedOffline]
        }
    }

    /// States that a restart must look after.
    public static let unfinished: [TransactionState] = [
        .started, .cardRead, .authorizing, .reversalDue, .approvedOffline,
    ]
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
}

/// One change of state, in the order in which it was committed.
public struct StateChange: Sendable, Equatable, Codable {
    public var sequence: Int64
    public var transactionID: String
    public var state: TransactionState
    public var at: Date
    public var detail: String?
}

/// What the journal cannot do, where, and what to do about it.
public enum JournalError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Another process writes to this journal.
    case locked(path: String, processID: Int32?)
    case cannotOpen(path: String, reason: String)
    /// Not a journal, or a damaged one: nothing was changed.
    case damaged(path: String, reason: String)
    /// Written by a newer version.
    case newerSchema(path: String, found: Int, supported: Int)
    /// `PRAGMA synchronous` is not FULL: what is acknowledged would not be durable.
    case notDurable(path: String, synchronous: Int)
    case unknownTransaction(id: String)
    /// The state moved on meanwhile, or the change is not allowed.
    case stateMoved(id: String, expected: [TransactionState], actual: TransactionState)
    /// A write failed; the journal takes no more until it is opened anew.
    case writeFailed(path: String, reason: String)
    case readFailed(path: String, reason: String)

    public var description: String {
        switch self {
        case .locked(let path, let process):
            "journal \(path) is in use"
                + (process.map { " by process \($0)" } ?? "") + ": stop it or choose another with --journal"
        case .cannotOpen(let path, let reason): "journal \(path) cannot be opened: \(reason)"
        case .damaged(let path, let reason):
            "journal \(path) is damaged (\(reason)): nothing was changed; keep the file, restore a copy or choose another with --journal"
        case .newerSchema(let path, let found, let supported):
            "journal \(path) has schema \(found), this program knows up to \(supported): use the newer program"
        case .notDurable(let path, let value):
            "journal \(path): synchronous is \(value) instead of 2 (FULL), refusing to run"
        case .unknownTransaction(let id): "no transaction \(id) in the journal"
        case .stateMoved(let id, let expected, let actual):
            "transaction \(id) is \(actual.rawValue), expected "
                + expected.map(\.rawValue).joined(separator: " or ")
        case .writeFailed(let path, let reason):
            "journal \(path): a write failed (\(reason)); no more payments until it is mended and opened anew"
        case .readFailed(let path, let reason): "journal \(path) cannot be read: \(reason)"
        }
    }
}

/// Which transactions to list.
public struct JournalFilter: Sendable, Equatable {
    public var terminalID: String?
    public var states: [TransactionState]
    public var since: Date?
    public init(terminalID: String? = nil, states: [TransactionState] = [], since: Date? = nil) {
        self.terminalID = terminalID
        self.states = states
        self.since = since
    }
}
