internal import Acquiring
internal import EMV
internal import Journal
internal import Terminal

/// When a tapped card leaves the field by itself.
enum RemovalScript: Sendable, Equatable {
    case afterCommands(Int)
    /// At the first command with this INS: the card acts, its answer is lost.
    case duringCommand(UInt8)
    case afterMilliseconds(Int)
}

/// Cards that come into the field together.
struct TapOrder: Sendable, Equatable {
    var cards: [String]
    var removal: RemovalScript?
}

/// A payment as it was asked for.
struct PaymentOrder: Sendable, Equatable {
    var terminal: String
    var amount: Amount
    var amountOther: Amount
    var type: TransactionType
    var purpose: AuthorizationPurpose
    var original: String?
    var acceptsPartialApproval: Bool
    /// How long the terminal waits for a card, each time that it asks for one; nil is what its profile says.
    var cardWait: Duration?
    var tap: TapOrder?
    var key: String

    static func word(_ purpose: AuthorizationPurpose) -> String {
        switch purpose {
        case .sale: "sale"
        case .preAuthorization: "preAuthorization"
        case .deferred: "deferred"
        }
    }
    static func word(_ purpose: TransactionPurpose) -> String {
        switch purpose {
        case .sale: "sale"
        case .preAuthorization: "preAuthorization"
        case .deferred: "deferred"
        }
    }

    /// Whether a record of the journal is of this order.
    func matches(_ record: TransactionRecord) -> Bool {
        record.terminalID == terminal && record.amount == amount && record.amountOther == amountOther
            && record.transactionType == type.code && Self.word(record.purpose) == Self.word(purpose)
            && record.original == original
    }
}
