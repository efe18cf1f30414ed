internal import Acquiring
public import EMV
public import Journal

/// Why a payment cannot be taken back or changed.
public enum DeskError: Error, Sendable, CustomStringConvertible {
    /// None, or more than one, begins so.
    case notFound(String)
    case notPossible(id: String, String)
    case journal(JournalError)

    public var description: String {
        switch self {
        case .notFound(let id): "no transaction, or more than one, is or begins with \(id)"
        case .notPossible(let id, let reason): "transaction \(id): \(reason)"
        case .journal(let error): "\(error)"
        }
    }
}

/// What is done to payments after they were taken, without the card: void, completion of a pre-authorization, tip. Each
/// is durable before its message leaves, is delivered at once where the line carries it and by the forwarder otherwise, and is
/// the same when it is asked for again.
public struct PaymentDesk: Sendable {
    let journal: Journal
    let forwarder: Forwarder

    public init(journal: Journal, forwarder: Forwarder) {
        self.journal = journal
        self.forwarder = forwarder
    }

    /// Takes a payment back that is not settled yet.
    /// - Parameter id: its identifier or an unambiguous start of it.
    /// - Returns: the transaction: `.reversed`, or `.reversalDue` where the host is not reached.
    public func void(_ id: String) async throws(DeskError) -> TransactionRecord {
        let record = try await find(id)
        switch record.state {
        case .reversed: return record
        case .reversalDue: break
        case .approved, .adjusted, .adjustmentDue, .approvedOffline, .forwarded:
            try await journalled { () async throws(JournalError) in
                try await journal.reversalDue(
                    record.id, reason: ReversalRequest.Reason.cancelled.rawValue, from: [record.state])
            }
        case .settled:
            throw .notPossible(
                id: record.id,
                "it is settled in batch \(record.settledBatch ?? 0): give it back with a refund")
        default:
            throw .notPossible(id: record.id, "it is \(record.state.rawValue): there is nothing to take back")
        }
        return try await deliver(record)
    }

    /// Takes an amount of what a pre-authorization holds, and lets go of the rest.
    /// - Parameter amount: above zero, at most what was approved.
    /// - Returns: the transaction: `.adjusted`, or `.adjustmentDue` where the host is not reached.
    public func complete(_ id: String, _ amount: Amount) async throws(DeskError) -> TransactionRecord {
        let record = try await find(id)
        guard record.purpose == .preAuthorization else {
            throw .notPossible(id: record.id, "it is no pre-authorization")
        }
        let approved = record.approvedAmount ?? record.amount
        guard amount > .zero, amount <= approved else {
            throw .notPossible(
                id: record.id, "a completion is above zero and at most \(Money(approved, record.currency))")
        }
        switch record.state {
        case .approved: break
        case .adjusted, .adjustmentDue, .settled:
            guard record.finalAmount == amount else {
                throw .notPossible(
                    id: record.id, "it was completed with \(Money(record.amountTaken, record.currency))")
            }
            return record.state == .adjustmentDue ? try await deliver(record) : record
        default: throw .notPossible(id: record.id, "it is \(record.state.rawValue)")
        }
        return try await adjust(record, .completion, amount)
    }

    /// Adds a tip to a payment that is not settled yet, in place of an earlier one.
    /// - Parameter tip: minor units; zero takes an earlier one back.
    public func tip(_ id: String, _ tip: Amount) async throws(DeskError) -> TransactionRecord {
        let record = try await find(id)
        guard record.purpose != .preAuthorization, !record.isCredit else {
            throw .notPossible(id: record.id, "a tip is added to a sale")
        }
        let (sum, isTooLarge) = (record.approvedAmount ?? record.amount).minorUnits.addingReportingOverflow(
            tip.minorUnits)
        guard !isTooLarge, let total = Amount(minorUnits: sum) else {
            throw .notPossible(id: record.id, "the amount with this tip has more than twelve digits")
        }
        if record.amountTaken == total {
            return record.state == .adjustmentDue ? try await deliver(record) : record
        }
        guard TransactionState.adjustmentDue.predecessors.contains(record.state) else {
            throw .notPossible(id: record.id, "it is \(record.state.rawValue): no tip can be added")
        }
        return try await adjust(record, .tip, total)
    }

    private func adjust(
        _ record: TransactionRecord, _ kind: AmountAdjustment, _ amount: Amount
    ) async throws(DeskError) -> TransactionRecord {
        try await journalled { () async throws(JournalError) in
            try await journal.adjustmentDue(record.id, kind, amount: amount)
        }
        return try await deliver(record)
    }

    /// Delivers what is owed, where the line carries it, and tells where the transaction stands then.
    private func deliver(_ record: TransactionRecord) async throws(DeskError) -> TransactionRecord {
        try await journalled { () async throws(JournalError) in
            _ = try await forwarder.flush()
            return try await journal.show(record.id) ?? record
        }
    }

    private func find(_ id: String) async throws(DeskError) -> TransactionRecord {
        let found = try await journalled { () async throws(JournalError) in try await journal.show(id) }
        guard let record = found, record.terminalID == forwarder.terminalID else { throw .notFound(id) }
        return record
    }

    @discardableResult
    private func journalled<T: Sendable>(
        _ body: () async throws(JournalError) -> T
    ) async throws(DeskError) -> T {
        do throws(JournalError) { return try await body() } catch { throw .journal(error) }
    }
}
