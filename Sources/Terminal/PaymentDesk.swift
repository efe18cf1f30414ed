internal import Acquiring
public import EMV
public import Journal

/// Why a payment cannot be taken back or changed.
public enum DeskError: Error, Sendable, CustomStringConvertible {
    /// None, or more than one, begins so.
    case notFound(String)
    /// The transaction does not allow it: where it stands, and why.
    case notPossible(id: String, state: TransactionState, String)
    case journal(JournalError)

    public var description: String {
        switch self {
        case .notFound(let id): "no transaction, or more than one, is or begins with \(id)"
        case .notPossible(_, _, let reason): reason
        case .journal(let error): "\(error)"
        }
    }
}

/// What is done to payments after they were taken, without the card: void, completion of a pre-authorization, tip. Each
/// is durable before its message leaves, is delivered at once where the line carries it and by the forwarder otherwise, and is
/// the same when it is asked for again.
///
/// What a transaction allows is the journal's to say, in the write itself (`TransactionRemainder`): of two terminals that ask
/// at the same moment one is refused, and told where the transaction stands.
public struct PaymentDesk: Sendable {
    /// Where a transaction stands after it was asked to change.
    public struct Change: Sendable {
        public var record: TransactionRecord
        /// The same was done before, and nothing was done now but to deliver it where it is still owed.
        public var isRepeated: Bool
    }

    let journal: Journal
    let forwarder: Forwarder

    public init(journal: Journal, forwarder: Forwarder) {
        self.journal = journal
        self.forwarder = forwarder
    }

    /// Takes a payment back that is not settled yet.
    /// - Parameter id: its identifier or an unambiguous start of it.
    /// - Returns: the transaction: `.reversed`, or `.reversalDue` where the host is not reached.
    public func void(_ id: String) async throws(DeskError) -> Change {
        try await change(try await find(id)) { (record) throws(JournalError) in
            try await journal.reversalDue(
                record.id, reason: ReversalRequest.Reason.cancelled.rawValue, from: TransactionState.voidable)
        }
    }

    /// Takes an amount of what a pre-authorization holds, and lets go of the rest.
    /// - Parameter amount: above zero, at most what was approved.
    /// - Returns: the transaction: `.adjusted`, or `.adjustmentDue` where the host is not reached.
    public func complete(_ id: String, _ amount: Amount) async throws(DeskError) -> Change {
        try await change(try await find(id)) { (record) throws(JournalError) in
            try await journal.adjustmentDue(record.id, .completion, amount: amount)
        }
    }

    /// Adds a tip to a payment that is not settled yet, in place of an earlier one.
    /// - Parameter tip: minor units; zero takes an earlier one back.
    public func tip(_ id: String, _ tip: Amount) async throws(DeskError) -> Change {
        let record = try await find(id)
        let (sum, isTooLarge) = (record.approvedAmount ?? record.amount).minorUnits.addingReportingOverflow(
            tip.minorUnits)
        guard !isTooLarge, let total = Amount(minorUnits: sum) else {
            throw .notPossible(
                id: record.id, state: record.state,
                "transaction \(record.id): the amount with this tip has more than twelve digits")
        }
        return try await change(record) { (record) throws(JournalError) in
            try await journal.adjustmentDue(record.id, .tip, amount: total)
        }
    }

    /// Writes a change, or finds that it was made before, and delivers it where the line carries it.
    private func change(
        _ record: TransactionRecord,
        _ write: (TransactionRecord) async throws(JournalError) -> TransactionRecord
    ) async throws(DeskError) -> Change {
        let isRepeated: Bool
        do throws(JournalError) {
            _ = try await write(record)
            isRepeated = false
        } catch .rejected(let rejection) where rejection.isRepetition {
            isRepeated = true
        } catch {
            throw Self.refusal(error, of: record)
        }
        do throws(JournalError) {
            var now = try await journal.show(record.id) ?? record
            if TransactionState.owed.contains(now.state) {
                _ = try await forwarder.flush()
                now = try await journal.show(record.id) ?? now
            }
            return Change(record: now, isRepeated: isRepeated)
        } catch {
            throw .journal(error)
        }
    }

    /// What the transaction does not allow, apart from what the journal cannot do.
    private static func refusal(_ error: JournalError, of record: TransactionRecord) -> DeskError {
        switch error {
        case .rejected(let rejection): .notPossible(id: record.id, state: rejection.state, "\(rejection)")
        case .stateMoved(_, _, let state): .notPossible(id: record.id, state: state, "\(error)")
        case .inBatch: .notPossible(id: record.id, state: record.state, "\(error)")
        default: .journal(error)
        }
    }

    private func find(_ id: String) async throws(DeskError) -> TransactionRecord {
        let found: TransactionRecord?
        do throws(JournalError) { found = try await journal.show(id) } catch { throw .journal(error) }
        guard let record = found, record.terminalID == forwarder.terminalID else { throw .notFound(id) }
        return record
    }
}
