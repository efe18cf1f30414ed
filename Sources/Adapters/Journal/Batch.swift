public import EMV
public import Foundation

/// Where the settlement of a batch stands.
public enum BatchState: String, Sendable, Codable, CaseIterable {
    /// Its transactions are fixed; the host is asked for its totals.
    case closing
    /// The totals did not agree: its transactions are sent one by one.
    case uploading
    /// The totals did not agree after the upload either: a person must look.
    case outOfBalance = "out-of-balance"
    /// The host has closed it; its transactions are settled.
    case closed
}

/// One batch of one terminal in one currency.
public struct BatchRecord: Sendable, Codable, Equatable {
    public var terminalID: String
    /// From 1, one more for each batch of the terminal.
    public var batch: Int
    public var merchantID: String
    public var currency: NumericCode
    public var currencyExponent: UInt8
    public var state: BatchState
    /// System Trace Audit Number of the reconciliation.
    public var stan: UInt32
    public var sums: BatchTotals
    public var closingAt: Date
    public var updatedAt: Date
    /// Reconciliations transmitted so far.
    public var attempts: Int
    /// Transactions that the host took in the present upload.
    public var uploaded: Int
    /// What the host had, where it told and did not agree.
    public var hostSums: BatchTotals?
    public var count: Int { sums.debits + sums.credits }
}

/// One step of a batch's settlement.
public enum BatchChange: Sendable, Equatable {
    /// A reconciliation is about to leave.
    case attempt
    /// So many transactions were taken by the host; 0 begins an upload.
    case uploading(Int, host: BatchTotals?)
    case outOfBalance(host: BatchTotals?)
    case closed
}

/// What `prune` did.
public struct JournalPruning: Sendable, Codable, Equatable {
    public var transactions = 0
    public var changes = 0
    /// The oldest transaction that is still there though it was changed last before the time: something is open in it or
    /// beside it, and the chain of changes is only cut at its beginning.
    public var stoppedAt: String?
    public init() {}
}

extension Journal {
    /// Fixes the transactions of a terminal's next batch: all that the host owes the merchant in this currency. Where a
    /// batch of an earlier call is not closed yet, that one is given again: settle it first.
    /// - Returns: nil where there is nothing to settle.
    public func closeBatch(
        terminal: String, currency: NumericCode
    ) async throws(JournalError) -> BatchRecord? {
        try await store.closeBatch(terminal: terminal, currency: currency, at: Timestamp.rounded(now()))
    }

    /// Writes a step of a batch's settlement: durable before the next message leaves. `.closed` settles the
    /// transactions and deletes what was kept of them. A closed batch stays as it is.
    @discardableResult
    public func changeBatch(
        _ batch: BatchRecord, _ change: BatchChange
    ) async throws(JournalError) -> BatchRecord {
        try await store.changeBatch(
            terminal: batch.terminalID, batch: batch.batch, change, at: Timestamp.rounded(now()))
    }

    /// Batches, newest first.
    public func batches(
        terminal: String? = nil, limit: Int? = nil
    ) async throws(JournalError) -> [BatchRecord] {
        try await store.batches(terminal: terminal, limit: limit)
    }

    /// The transactions of a batch, oldest first.
    public func items(of batch: BatchRecord) async throws(JournalError) -> [TransactionRecord] {
        try await store.items(terminal: batch.terminalID, batch: batch.batch)
    }

    /// The currencies in which a terminal has something to settle.
    public func unsettledCurrencies(terminal: String) async throws(JournalError) -> [NumericCode] {
        var found: [NumericCode] = []
        let open = try await store.batches(terminal: terminal, limit: nil).filter { $0.state != .closed }
        for batch in open where !found.contains(batch.currency) { found.append(batch.currency) }
        let records = try await store.page(
            JournalFilter(terminalID: terminal, states: TransactionState.inBatch), order: .oldestFirst,
            after: nil, limit: nil)
        for record in records where !found.contains(record.currency) { found.append(record.currency) }
        return found
    }

    /// Deletes transactions that are final (settled, reversed, declined, cancelled, failed) and were changed last
    /// before a time, from the oldest on as far as all are: the chain of changes is cut at its beginning, and the
    /// cut is vouched for with the journal's key. Their idempotency keys are free again.
    public func prune(before: Date) async throws(JournalError) -> JournalPruning {
        try await store.prune(before: before, at: Timestamp.rounded(now()))
    }
}
