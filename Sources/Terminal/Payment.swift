public import Acquiring
public import EMV
public import Journal
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

    public var purpose: AuthorizationPurpose
    /// Names this payment for ever: asked for again with the same key, it is not taken again. 1 to 64 bytes.
    public var idempotencyKey: String?
    /// The transaction that a refund gives back.
    public var original: String?
    /// An approval for a part of the amount is taken.
    public var acceptsPartialApproval: Bool
    /// How long to wait for a card, each time that one is asked for; nil is what the profile says.
    public var cardWait: Duration?

    public init(
        amount: Amount, amountOther: Amount = .zero, type: TransactionType = .purchase,
        date: EMVDate? = nil, hhmmss: Int? = nil, sequenceCounter: UInt32? = nil,
        purpose: AuthorizationPurpose = .sale, idempotencyKey: String? = nil, original: String? = nil,
        acceptsPartialApproval: Bool = false, cardWait: Duration? = nil
    ) {
        self.cardWait = cardWait
        self.purpose = purpose
        self.idempotencyKey = idempotencyKey
        self.original = original
        self.acceptsPartialApproval = acceptsPartialApproval
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
    public typealias Status = PaymentStatus
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
    /// The service is given; the host is asked later.
    public var isDeferred = false
    /// The result of an earlier payment under the same idempotency key: nothing was done now.
    public var isRepeated = false

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
    /// The transaction that a refund names does not allow it.
    case rejected(FollowUpRejection)
    /// The idempotency key names an earlier payment that was another one.
    case keyReused(String)

    public var description: String {
        switch self {
        case .busy: "another payment is under way on this terminal"
        case .journal(let reason): "the journal refuses the transaction: \(reason)"
        case .rejected(let rejection): "\(rejection)"
        case .invalidRequest(let reason), .keyReused(let reason): "the payment cannot be started: \(reason)"
        }
    }
}

extension TransactionPurpose {
    init(_ purpose: AuthorizationPurpose) {
        switch purpose {
        case .sale: self = .sale
        case .preAuthorization: self = .preAuthorization
        case .deferred: self = .deferred
        }
    }
}

extension PaymentResult {
    /// How an earlier payment under the same key ended, as the journal has it.
    init(repeating record: TransactionRecord, inputs: TransactionInputs) {
        let (status, reason): (Status, String?) =
            switch record.state {
            case .approved, .adjustmentDue, .adjusted, .approvedOffline, .forwarded, .settled, .deferred:
                (.approved, record.reason)
            case .declined, .declinedOffline: (.declined, record.reason)
            case .cancelled: (.cancelled, record.reason)
            case .failed: (.failed, record.reason)
            case .reversalDue, .reversed: Self.reversed(record)
            case .started, .cardRead, .requestWritten, .authorizing, .answered:
                (.failed, "the payment under this key was interrupted: it is resolved at the next start")
            }
        self.init(
            status: status, transactionID: record.id, stan: record.stan,
            retrievalReference: record.retrievalReference, inputs: inputs)
        self.reason = reason
        isRepeated = true
        isDeferred = record.state == .deferred
        reversalOutstanding = record.state == .reversalDue
        if let code = record.responseCode {
            response = AuthorizationResponse(
                responseCode: code, authorizationCode: record.authorizationCode,
                approvedAmount: record.approvedAmount)
            online = true
        } else if status == .approved || status == .declined {
            online = false
        }
    }

    /// What was reported, or is to be reported now, of a payment that was reversed: by the reason of its reversal.
    private static func reversed(_ record: TransactionRecord) -> (Status, String?) {
        switch record.reversalReason.flatMap(ReversalRequest.Reason.init) {
        case .cancelled: (.cancelled, "the payment was taken back by a void")
        case .cardDeclined, .approvalNotTaken: (.declined, record.reason ?? record.reversalReason)
        // The host approved after it had declined, or after the first reversal.
        case .lateResponse where record.responseCode != nil:
            (.declined, record.reason ?? record.reversalReason)
        case .timeout, .malformedResponse, .restart, .lateResponse, nil:
            (.failed, record.reversalReason ?? record.reason)
        }
    }
}
