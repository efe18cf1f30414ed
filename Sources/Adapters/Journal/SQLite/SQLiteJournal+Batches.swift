public import EMV
public import Foundation
internal import GRDB

extension SQLiteJournal {
    private static let batchList = """
        terminal, batch, merchant, currency, exponent, state, stan, debits, debit_amount, credits, credit_amount,
        closing_at, updated_at, attempts, uploaded, host_debits, host_debit_amount, host_credits,
        host_credit_amount
        """

    public func closeBatch(
        terminal: String, currency: NumericCode, at: Date
    ) async throws(JournalError) -> BatchRecord? {
        let time = Timestamp.text(at)
        return try await commit(isVital: true) { database, _ in
            if let row = try Row.fetchOne(
                database,
                sql: """
                    SELECT \(Self.batchList) FROM batches
                    WHERE terminal = ? AND currency = ? AND state <> 'closed'
                    """, arguments: [terminal, Int64(currency.value)])
            {
                return try Self.batch(row)
            }
            let members = try Row.fetchAll(
                database,
                sql: """
                    SELECT id, type, coalesce(final_amount, approved_amount, amount), exponent, merchant
                    FROM transactions WHERE terminal = ? AND currency = ?
                    AND state IN (\(Self.inBatch))
                    AND NOT (state = 'approved' AND coalesce(purpose, '') = 'pre-authorization')
                    AND id NOT IN (SELECT transaction_id FROM batch_items) ORDER BY id
                    """, arguments: [terminal, Int64(currency.value)]
            ).map { StoredRow($0, of: "transactions") }
            guard let first = members.first else { return nil }
            var sums = BatchTotals()
            for member in members {
                sums.add(try member.amount(2), isCredit: try member.integer(1) == 0x20)
            }
            let number =
                try Int64.fetchOne(
                    database, sql: "SELECT coalesce(max(batch), 0) + 1 FROM batches WHERE terminal = ?",
                    arguments: [terminal]) ?? 1
            let stan = try Self.first(
                database, "terminals",
                """
                UPDATE terminals SET stan = stan % 999999 + 1, batch = batch + (stan = 999999)
                WHERE id = ? RETURNING stan
                """, [terminal]
            ).integer(0)
            let row = try Self.first(
                database, "batches",
                """
                INSERT INTO batches (terminal, batch, merchant, currency, exponent, state, stan, debits,
                    debit_amount, credits, credit_amount, closing_at, updated_at)
                VALUES (?, ?, ?, ?, ?, 'closing', ?, ?, ?, ?, ?, ?, ?) RETURNING \(Self.batchList)
                """,
                [
                    terminal, number, try first.text(4), Int64(currency.value), try first.integer(3), stan,
                    Int64(sums.debits), Int64(clamping: sums.debitAmount), Int64(sums.credits),
                    Int64(clamping: sums.creditAmount), time, time,
                ])
            let insert = try database.cachedStatement(
                sql: "INSERT INTO batch_items (transaction_id, terminal, batch) VALUES (?, ?, ?)")
            for member in members { try insert.execute(arguments: [try member.text(0), terminal, number]) }
            return try Self.batch(row.row)
        }
    }

    public func changeBatch(
        terminal: String, batch: Int, _ change: BatchChange, at: Date
    ) async throws(JournalError) -> BatchRecord {
        let time = Timestamp.text(at)
        var sets = ["updated_at = ?"]
        var values: [(any DatabaseValueConvertible)?] = [time]
        func set(_ host: BatchTotals?) {
            sets.append(
                "host_debits = ?, host_debit_amount = ?, host_credits = ?, host_credit_amount = ?")
            values += [
                host.map { Int64($0.debits) }, host.map { Int64(clamping: $0.debitAmount) },
                host.map { Int64($0.credits) }, host.map { Int64(clamping: $0.creditAmount) },
            ]
        }
        switch change {
        case .attempt: sets.append("attempts = attempts + 1")
        case .uploading(let count, let host):
            sets.append("state = 'uploading', uploaded = ?")
            values.append(Int64(count))
            if count == 0 { set(host) }
        case .outOfBalance(let host):
            sets.append("state = 'out-of-balance', uploaded = 0")
            set(host)
        case .closed:
            sets.append("state = 'closed'")
            set(nil)
        }
        values += [terminal, Int64(batch)]
        let sql = """
            UPDATE batches SET \(sets.joined(separator: ", "))
            WHERE terminal = ? AND batch = ? AND state <> 'closed' RETURNING \(Self.batchList)
            """
        let arguments = StatementArguments(values)
        return try await commit(isVital: true) { database, chain in
            guard let row = try Self.rows(database, sql, arguments).first else {
                // Closed already, or none.
                guard
                    let row = try Row.fetchOne(
                        database,
                        sql: "SELECT \(Self.batchList) FROM batches WHERE terminal = ? AND batch = ?",
                        arguments: [terminal, Int64(batch)])
                else {
                    throw JournalError.invalidValue("batch \(batch) of terminal \(terminal): there is none")
                }
                return try Self.batch(row)
            }
            if change == .closed { try Self.settle(database, chain, terminal, batch, time) }
            return try Self.batch(row)
        }
    }

    /// Settles a batch's transactions and deletes what was kept of them.
    private static func settle(
        _ database: Database, _ chain: ChangeChain, _ terminal: String, _ batch: Int, _ time: String
    ) throws {
        let ids = try String.fetchAll(
            database,
            sql: "SELECT transaction_id FROM batch_items WHERE terminal = ? AND batch = ? ORDER BY 1",
            arguments: [terminal, Int64(batch)])
        let update = try database.cachedStatement(
            sql: """
                UPDATE transactions SET state = 'settled', settled_batch = ?, updated_at = ?
                WHERE id = ? AND state IN (\(inBatch)) RETURNING \(StoredRow.transactionList)
                """)
        let wipe = try database.cachedStatement(sql: "DELETE FROM kept WHERE transaction_id = ?")
        for id in ids {
            guard let row = try Row.fetchAll(update, arguments: [Int64(batch), time, id]).first else {
                throw StoredRow.Unfit(reason: "batch \(batch): transaction \(id) left it")
            }
            try wipe.execute(arguments: [id])
            try append(
                database, chain, StoredRow(row, of: "transactions"), id, .settled, time, "batch \(batch)")
        }
    }

    private static var inBatch: String {
        TransactionState.inBatch.map { "'\($0.rawValue)'" }.joined(separator: ", ")
    }

    public func batches(terminal: String?, limit: Int?) async throws(JournalError) -> [BatchRecord] {
        try await read { database in
            let clause = terminal == nil ? "" : "WHERE terminal = ?"
            let bound = limit.map { "LIMIT \(max(0, $0))" } ?? ""
            return try Row.fetchAll(
                database,
                sql: """
                    SELECT \(Self.batchList) FROM batches \(clause)
                    ORDER BY closing_at DESC, terminal, batch DESC \(bound)
                    """, arguments: terminal.map { [$0] } ?? []
            ).map { try Self.batch($0) }
        }
    }

    public func items(terminal: String, batch: Int) async throws(JournalError) -> [TransactionRecord] {
        try await read { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT \(StoredRow.transactionList) FROM transactions WHERE id IN
                        (SELECT transaction_id FROM batch_items WHERE terminal = ? AND batch = ?) ORDER BY id
                    """, arguments: [terminal, Int64(batch)]
            ).map { try StoredRow($0, of: "transactions").transaction() }
        }
    }

    private static func batch(_ row: Row) throws -> BatchRecord {
        let stored = StoredRow(row, of: "batches")
        guard let currency = NumericCode(try stored.integer(3)) else {
            throw StoredRow.Unfit(reason: "batches: no such currency")
        }
        guard let state = try stored.named(5, as: BatchState.self) else {
            throw StoredRow.Unfit(reason: "batches: no state")
        }
        var host: BatchTotals?
        if let debits = try stored.optionalInteger(15, as: Int.self) {
            host = BatchTotals(
                debits: debits, debitAmount: try stored.integer(16, as: UInt64.self),
                credits: try stored.integer(17, as: Int.self),
                creditAmount: try stored.integer(18, as: UInt64.self))
        }
        return BatchRecord(
            terminalID: try stored.text(0), batch: try stored.integer(1, as: Int.self),
            merchantID: try stored.text(2), currency: currency,
            currencyExponent: try stored.integer(4, as: UInt8.self), state: state,
            stan: try stored.integer(6, as: UInt32.self),
            sums: BatchTotals(
                debits: try stored.integer(7, as: Int.self),
                debitAmount: try stored.integer(8, as: UInt64.self),
                credits: try stored.integer(9, as: Int.self),
                creditAmount: try stored.integer(10, as: UInt64.self)),
            closingAt: try stored.date(11), updatedAt: try stored.date(12),
            attempts: try stored.integer(13, as: Int.self), uploaded: try stored.integer(14, as: Int.self),
            hostSums: host)
    }
}
