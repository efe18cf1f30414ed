public import Foundation
internal import GRDB

extension SQLiteJournal {
    /// Transactions deleted in one commit: others wait meanwhile.
    private static let greatestPruning = 500

    public func prune(before: Date, at: Date) async throws(JournalError) -> JournalPruning {
        let limit = Timestamp.text(before)
        let final = TransactionState.final.map { "'\($0.rawValue)'" }.joined(separator: ", ")
        // The first and last change of each transaction, in the order of the first.
        let spans = try await read { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT transaction_id, min(sequence), max(sequence),
                        transactions.state IN (\(final)) AND updated_at < ?, updated_at < ?
                    FROM state_changes JOIN transactions ON transactions.id = transaction_id
                    GROUP BY transaction_id ORDER BY 2
                    """, arguments: [limit, limit]
            ).map { row in
                let stored = StoredRow(row, of: "state_changes")
                return Span(
                    id: try stored.text(0), first: try stored.integer(1), last: try stored.integer(2),
                    mayGo: try stored.integer(3) != 0, isOld: try stored.integer(4) != 0)
            }
        }
        var result = JournalPruning()
        let (cuts, stoppedAt) = Self.cuts(spans)
        result.stoppedAt = stoppedAt
        for cut in cuts {
            guard let changes = try await prune(cut, at: at) else { break }
            result.transactions += cut.ids.count
            result.changes += changes
        }
        return result
    }

    private struct Span: Sendable {
        let id: String
        let first, last: Int64
        let mayGo, isOld: Bool
    }
    private struct Cut: Sendable {
        var sequence: Int64
        var ids: [String]
    }

    /// Places up to which every change belongs to a transaction that may go and has no later change.
    private static func cuts(_ spans: [Span]) -> (cuts: [Cut], stoppedAt: String?) {
        var cuts: [Cut] = []
        var pending: [String] = []
        var reach: Int64 = 0
        func cut() {
            if let last = cuts.last, last.ids.count + pending.count <= greatestPruning {
                cuts[cuts.count - 1] = Cut(sequence: reach, ids: last.ids + pending)
            } else if !pending.isEmpty {
                cuts.append(Cut(sequence: reach, ids: pending))
            }
            pending = []
        }
        for span in spans {
            if span.first > reach { cut() }
            guard span.mayGo else {
                let stoppedAt = pending.first ?? (span.isOld ? span.id : nil)
                return (cuts, stoppedAt)
            }
            reach = max(reach, span.last)
            pending.append(span.id)
        }
        cut()
        return (cuts, nil)
    }

    /// - Returns: how many changes went; nil where something was added to one of the transactions meanwhile.
    private func prune(_ cut: Cut, at: Date) async throws(JournalError) -> Int? {
        let time = Timestamp.text(at)
        let keyFile = self.keyFile
        return try await commit(isVital: true) { database, _ in
            let marks = cut.ids.map { _ in "?" }.joined(separator: ",")
            let ids = StatementArguments(cut.ids)
            let later = try Int.fetchOne(
                database,
                sql: """
                    SELECT count(*) FROM state_changes
                    WHERE sequence > \(cut.sequence) AND transaction_id IN (\(marks))
                    """, arguments: ids)
            guard later == 0 else { return nil }
            guard
                let link = try Data.fetchOne(
                    database, sql: "SELECT chain FROM state_changes WHERE sequence = ?",
                    arguments: [cut.sequence])
            else { throw StoredRow.Unfit(reason: "state_changes: change \(cut.sequence) is gone") }
            let before = try Int64.fetchOne(database, sql: "SELECT transactions FROM anchor") ?? 0
            let count = before + Int64(cut.ids.count)
            let context = try Self.anchorContext(
                database, sequence: cut.sequence, transactions: count, time: time)
            let sealed = try keyFile.sealed(Array(link), context: context)
            try database.execute(
                sql: """
                    INSERT OR REPLACE INTO anchor (only, sequence, chain, transactions, at, sealed)
                    VALUES (1, ?, ?, ?, ?, ?)
                    """, arguments: [cut.sequence, link, count, time, Data(sealed)])
            try database.execute(sql: "DELETE FROM state_changes WHERE sequence <= \(cut.sequence)")
            let changes = database.changesCount
            for table in ["kept", "batch_items"] {
                try database.execute(
                    sql: "DELETE FROM \(table) WHERE transaction_id IN (\(marks))", arguments: ids)
            }
            try database.execute(sql: "DELETE FROM transactions WHERE id IN (\(marks))", arguments: ids)
            try database.execute(
                sql: """
                    DELETE FROM days WHERE day < ? AND NOT EXISTS
                        (SELECT 1 FROM transactions WHERE transactions.day = days.day)
                    """, arguments: [String(time.prefix(10))])
            return changes
        }
    }

    /// Binds a cut of the chain to its journal and place.
    static func anchorContext(
        _ database: Database, sequence: Int64, transactions: Int64, time: String
    ) throws -> String {
        let id = try String.fetchOne(database, sql: "SELECT id FROM journal") ?? ""
        return "anchor:\(id):\(sequence):\(transactions):\(time)"
    }
}
