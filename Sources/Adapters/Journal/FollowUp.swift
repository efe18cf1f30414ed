public import EMV
internal import EMVDictionary

/// What is asked of a transaction after it was taken.
public enum FollowUp: Sendable, Equatable {
    /// A new transaction gives an amount of it back.
    case refund(Amount, currency: NumericCode, exponent: UInt8)
    /// It is taken back as a whole.
    case void
    /// An amount of what a pre-authorization holds is taken, and the rest is let go.
    case completion(Amount)
    /// What is taken with a tip, in place of an earlier one.
    case tip(total: Amount)
}

/// Why a follow-up is not done, and where its transaction stands.
public struct FollowUpRejection: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Reason: Sendable, Equatable {
        /// Not from this state.
        case state
        /// The transaction was sent anew under another identifier, which is meant now.
        case replaced(by: String)
        /// A refund is neither given back nor tipped.
        case isRefund
        /// What is only held was not taken: there is nothing to give back.
        case notCompleted
        case isPreAuthorization
        case isNoPreAuthorization
        /// Not the transaction's currency, or not its number of decimals.
        case otherCurrency
        /// An amount of zero.
        case isZero
        /// More than what is left.
        case exceeds(left: Amount)
        /// So much was given back, or is being given back: that much must stay taken.
        case refunded(Amount)
        /// It was completed already, with this amount.
        case completed(Amount)
        /// This is what is taken already.
        case unchanged
    }
    /// The transaction that was to be changed or given back.
    public var id: String
    public var followUp: FollowUp
    public var state: TransactionState
    public var reason: Reason
    private let currency: NumericCode
    private let exponent: UInt8

    init(of record: TransactionRecord, _ followUp: FollowUp, because reason: Reason) {
        id = record.id
        self.followUp = followUp
        state = record.state
        self.reason = reason
        currency = record.currency
        exponent = record.currencyExponent
    }

    /// Whether the very same was done before: it is taken back already, completed with this amount, or has this tip.
    public var isRepetition: Bool {
        switch (followUp, reason) {
        case (.void, .state): state == .reversalDue || state == .reversed
        case (.completion(let amount), .completed(let earlier)): amount == earlier
        case (.tip, .unchanged): true
        default: false
        }
    }

    public var description: String {
        let deed =
            switch followUp {
            case .refund(let amount, _, _): "a refund of \(words(amount)) from transaction \(id)"
            case .void: "a void of transaction \(id)"
            case .completion(let amount): "a completion of transaction \(id) with \(words(amount))"
            case .tip(let total): "a tip on transaction \(id) that makes \(words(total)) of it"
            }
        let why =
            switch reason {
            case .state where state == .settled && followUp == .void:
                "it is settled: give it back with a refund"
            case .state: "it is \(state.rawValue)"
            case .replaced(let other): "it was sent anew as \(other): name that one"
            case .isRefund: "it is a refund itself"
            case .notCompleted: "it is a pre-authorization that was not completed: it took nothing"
            case .isPreAuthorization: "it is a pre-authorization, which is completed instead"
            case .isNoPreAuthorization: "it is no pre-authorization"
            case .otherCurrency: "it is in currency \(currency) with \(exponent) decimals"
            case .isZero: "the amount is to be above zero"
            case .exceeds(let left): "\(words(left)) are left, and it is \(state.rawValue)"
            case .refunded(let amount):
                "\(words(amount)) of it are given back or being given back by refunds"
                    + (followUp == .void ? ": void those first" : "")
            case .completed(let amount): "it was completed with \(words(amount))"
            case .unchanged: "that is what is taken already"
            }
        return "\(deed) is not possible: \(why)"
    }

    /// The amount as people write it, in the decimals that the journal has for it.
    private func words(_ amount: Amount) -> String {
        let letters = CodeTable.currency(Int(currency.value))?.alpha ?? currency.description
        let digits = String(amount.minorUnits)
        let places = Int(exponent)
        guard places > 0 else { return "\(digits) \(letters)" }
        let padded = String(repeating: "0", count: max(0, places + 1 - digits.utf8.count)) + digits
        return "\(padded.dropLast(places)).\(padded.suffix(places)) \(letters)"
    }
}

/// What of a transaction is left to be given back, taken back, completed or tipped: one table, by state.
///
/// The store asks it inside the write that begins a refund or changes the transaction, with what it has read in that same
/// write, so that of two who ask at the same moment one is too late.
///
/// | state | refund | void | completion | tip |
/// | --- | --- | --- | --- | --- |
/// | approved, adjusted, forwarded | what is left | if nothing is refunded | | not below what is refunded |
/// | approved pre-authorization | | yes | up to what was approved | |
/// | completed pre-authorization | what is left | if nothing is refunded | | |
/// | adjustment due | | if nothing is refunded | | not below what is refunded |
/// | approved offline | | yes | | |
/// | settled | what is left | | | |
/// | any other | | | | |
///
/// A refund holds its amount from its beginning on, and frees it when it is declined, cancelled, failed or reversed: one
/// whose outcome is unknown, or whose reversal the host did not acknowledge yet, still holds it.
public struct TransactionRemainder: Sendable, Equatable {
    public let record: TransactionRecord
    /// What its refunds hold together.
    public let refunded: Amount
    /// The transaction that took its place.
    public let successor: String?

    public init(of record: TransactionRecord, refunded: Amount, successor: String? = nil) {
        self.record = record
        self.refunded = refunded
        self.successor = successor
    }

    /// What it took for certain and has not changed since: nothing while an amount is only held, unknown, on its way or
    /// taken back.
    private var firmlyTaken: Amount {
        guard !record.isCredit else { return .zero }
        switch record.state {
        // What was completed leaves this state; an offline approval is taken as it is.
        case .approved: return record.purpose == .preAuthorization ? .zero : record.amountTaken
        case .adjusted, .forwarded, .settled: return record.amountTaken
        case .started, .cardRead, .requestWritten, .deferred, .authorizing, .answered, .declined,
            .adjustmentDue, .reversalDue, .reversed, .approvedOffline, .declinedOffline, .cancelled, .failed:
            return .zero
        }
    }

    /// What refunds may still give back.
    public var refundable: Amount {
        Amount(clamping: firmlyTaken.minorUnits - min(refunded.minorUnits, firmlyTaken.minorUnits))
    }

    /// - Returns: nil where it may be done.
    public func rejection(of followUp: FollowUp) -> FollowUpRejection? {
        let reason: FollowUpRejection.Reason? =
            if let successor {
                .replaced(by: successor)
            } else {
                switch followUp {
                case .refund(let amount, let currency, let exponent):
                    refund(amount, currency: currency, exponent: exponent)
                case .void: void
                case .completion(let amount): completion(amount)
                case .tip(let total): tip(total)
                }
            }
        return reason.map { FollowUpRejection(of: record, followUp, because: $0) }
    }

    private func refund(
        _ amount: Amount, currency: NumericCode, exponent: UInt8
    ) -> FollowUpRejection.Reason? {
        if record.isCredit { return .isRefund }
        guard currency == record.currency, exponent == record.currencyExponent else { return .otherCurrency }
        if firmlyTaken == .zero {
            return record.state == .approved && record.purpose == .preAuthorization ? .notCompleted : .state
        }
        if amount == .zero { return .isZero }
        return amount > refundable ? .exceeds(left: refundable) : nil
    }

    private var void: FollowUpRejection.Reason? {
        guard TransactionState.voidable.contains(record.state) else { return .state }
        return refunded > .zero ? .refunded(refunded) : nil
    }

    private func completion(_ amount: Amount) -> FollowUpRejection.Reason? {
        guard record.purpose == .preAuthorization else { return .isNoPreAuthorization }
        if record.adjustment == .completion, let final = record.finalAmount,
            TransactionState.withFinalAmount.contains(record.state)
        {
            return .completed(final)
        }
        guard record.state == .approved else { return .state }
        if amount == .zero { return .isZero }
        let approved = record.approvedAmount ?? record.amount
        return amount > approved ? .exceeds(left: approved) : nil
    }

    private func tip(_ total: Amount) -> FollowUpRejection.Reason? {
        if record.isCredit { return .isRefund }
        if record.purpose == .preAuthorization { return .isPreAuthorization }
        let mayChange = TransactionState.adjustmentDue.predecessors.contains(record.state)
        guard mayChange || record.state == .settled else { return .state }
        if total == record.amountTaken { return .unchanged }
        guard mayChange else { return .state }
        return total < refunded ? .refunded(refunded) : nil
    }
}

extension TransactionState {
    /// States from which a payment is taken back as a whole.
    public static let voidable: [TransactionState] = [
        .approved, .adjusted, .adjustmentDue, .approvedOffline, .forwarded,
    ]

    /// States in which a refund gives nothing back, for certain.
    package static let givingNothing: [TransactionState] = [
        .declined, .declinedOffline, .reversed, .cancelled, .failed,
    ]

    /// States that a completed pre-authorization can be in.
    fileprivate static let withFinalAmount: [TransactionState] = [.adjustmentDue, .adjusted, .settled]
}

extension TransactionIntent {
    /// What this intent asks of the transaction that it gives back.
    package var followUp: FollowUp { .refund(amount, currency: currency, exponent: currencyExponent) }
}

extension JournalChange {
    /// What this change asks of its transaction, where it is more than the next step of its own payment.
    var followUp: FollowUp? {
        if let (amount, kind) = finalAmount {
            return kind == .completion ? .completion(amount) : .tip(total: amount)
        }
        return to == .reversalDue && from.contains(where: TransactionState.voidable.contains) ? .void : nil
    }
}
