public import EMV

/// The final amount of a transaction that the host approved before. Amounts are in minor units of `currency`.
public struct AdjustmentRequest: Sendable {
    public enum Kind: String, Sendable, Codable {
        /// What is taken of a pre-authorization; the rest of the hold is let go.
        case completion
        /// A tip was added after the approval.
        case tip
    }
    public var kind: Kind
    /// The approved transaction's identifier and numbers.
    public var transactionID: String
    public var terminalID: String
    public var merchantID: String
    public var stan: UInt32
    public var retrievalReference: String
    public var authorizationCode: String?
    /// What was approved.
    public var approvedAmount: Amount
    /// What is taken in the end: replaces the amount before.
    public var amount: Amount
    public var currency: NumericCode
    /// Counts the adjustments of a transaction from 1: an older one that comes late changes nothing.
    public var revision: Int
    /// 1 for the first transmission (0220), more for repeats (0221).
    public var transmission: Int
    /// The request as it was sent: without track and PIN block, nil where nothing was kept.
    public var original: AuthorizationRequest?

    public init(
        kind: Kind, transactionID: String, terminalID: String, merchantID: String, stan: UInt32,
        retrievalReference: String, authorizationCode: String?, approvedAmount: Amount, amount: Amount,
        currency: NumericCode, revision: Int, transmission: Int = 1, original: AuthorizationRequest? = nil
    ) {
        self.kind = kind
        self.transactionID = transactionID
        self.terminalID = terminalID
        self.merchantID = merchantID
        self.stan = stan
        self.retrievalReference = retrievalReference
        self.authorizationCode = authorizationCode
        self.approvedAmount = approvedAmount
        self.amount = amount
        self.currency = currency
        self.revision = revision
        self.transmission = transmission
        self.original = original
    }
}

/// Asks the host whether it has the same totals.
public struct ReconciliationRequest: Sendable, Equatable {
    public var terminalID: String
    public var merchantID: String
    public var acquirerID: String
    /// From 1, one more for each batch of the terminal.
    public var batch: Int
    /// System Trace Audit Number of this message.
    public var stan: UInt32
    public var currency: NumericCode
    public var totals: BatchTotals
    /// All transactions of the batch were sent one by one before: the host takes what it was sent.
    public var isAfterUpload: Bool
    public var date: EMVDate
    public var hhmmss: Int

    public init(
        terminalID: String, merchantID: String, acquirerID: String, batch: Int, stan: UInt32,
        currency: NumericCode, totals: BatchTotals, isAfterUpload: Bool, date: EMVDate, hhmmss: Int
    ) {
        self.terminalID = terminalID
        self.merchantID = merchantID
        self.acquirerID = acquirerID
        self.batch = batch
        self.stan = stan
        self.currency = currency
        self.totals = totals
        self.isAfterUpload = isAfterUpload
        self.date = date
        self.hhmmss = hhmmss
    }
}

/// The host's view of a batch.
public enum ReconciliationAnswer: Sendable, Equatable {
    /// Agreed: the host has closed the batch.
    case balanced
    /// Not agreed; what the host has, where it tells.
    case outOfBalance(BatchTotals?)
}

/// One transaction of a batch that is uploaded.
public struct BatchItem: Sendable {
    public var terminalID: String
    public var batch: Int
    /// From 1 to `count`.
    public var index: Int
    public var count: Int
    public var transactionID: String
    public var stan: UInt32
    public var retrievalReference: String
    public var authorizationCode: String?
    public var amount: Amount
    public var currency: NumericCode
    /// Tag 9C.
    public var transactionType: UInt8
    public var isOffline: Bool
    /// The request as it was sent: without track and PIN block, nil where nothing was kept.
    public var original: AuthorizationRequest?

    public init(
        terminalID: String, batch: Int, index: Int, count: Int, transactionID: String, stan: UInt32,
        retrievalReference: String, authorizationCode: String?, amount: Amount, currency: NumericCode,
        transactionType: UInt8, isOffline: Bool, original: AuthorizationRequest? = nil
    ) {
        self.terminalID = terminalID
        self.batch = batch
        self.index = index
        self.count = count
        self.transactionID = transactionID
        self.stan = stan
        self.retrievalReference = retrievalReference
        self.authorizationCode = authorizationCode
        self.amount = amount
        self.currency = currency
        self.transactionType = transactionType
        self.isOffline = isOffline
        self.original = original
    }

    /// Refunds go to the cardholder.
    public var isCredit: Bool { transactionType == 0x20 }
}
