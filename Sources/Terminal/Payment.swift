public import Acquiring
public import EMV
public import Kernels

/// What is to be paid.
public struct PaymentRequest: Sendable, Equatable {
    public var amount: Amount
    /// Cashback part of `amount`.
    public var amountOther: Amount
    public var type: TransactionType
    /// Replaces the clock's date and time: for replays and tests.
    public var date: EMVDate?
    public var hhmmss: Int?
    /// Replaces the journal's counter in 9F41: for replays.
    public var sequenceCounter: UInt32?

    public init(
        amount: Amount, amountOther: Amount = .zero, type: TransactionType = .purchase,
        date: EMVDate? = nil, hhmmss: Int? = nil, sequenceCounter: UInt32? = nil
    ) {
        self.amount = amount
        self.amountOther = amountOther
        self.type = type
        self.date = date
        self.hhmmss = hhmmss
        self.sequenceCounter = sequenceCounter
    }
}

/// How a payment ended.
public struct PaymentResult: Sendable {
    public enum Status: String, Sendable, Codable, CaseIterable {
        case approved, declined
        /// The card cannot be used here without contact: another interface or another card is needed.
        case tryAnotherInterface = "try-another-interface"
        case ended
        case refusedByMerchant = "refused-by-merchant"
        case cancelled
        case timedOut = "timed-out"
        /// The reader or the journal failed, or the host's answer stayed unknown (a reversal is due).
        case failed
    }
    public var status: Status
    /// The journal's identifier of the transaction.
    public var transactionID: String
    public var stan: UInt32
    public var retrievalReference: String
    public var inputs: TransactionInputs
    /// The last final outcome of the Entry Point; nil where none was reached.
    public var outcome: FinalOutcome?
    public var instrument: PaymentInstrument?
    public var response: AuthorizationResponse?
    /// Whether the host decided (true), the card and terminal (false), or nobody (nil).
    public var online: Bool?
    /// Why, in words: for cashier and engineer.
    public var reason: String?
    /// A reversal was sent and not yet acknowledged.
    public var reversalOutstanding = false
    public var receipt: Receipt?

    public var isApproved: Bool { status == .approved }
    public var cvm: Outcome.CVM { outcome?.outcome.cvm ?? .notApplicable }
}

/// Why a terminal cannot take a payment at all. Declines and cancellations are results, not errors.
public enum TerminalError: Error, Sendable, CustomStringConvertible {
    /// Another payment is under way on this terminal.
    case busy
    /// The journal does not take the transaction: nothing was done.
    case journal(String)
    case invalidRequest(String)

    public var description: String {
        switch self {
        case .busy: "another payment is under way on this terminal"
        case .journal(let reason): "the journal refuses the transaction: \(reason)"
        case .invalidRequest(let reason): "the payment cannot be started: \(reason)"
        }
    }
}
