internal import EMV
internal import Foundation
internal import GRDB

extension SQLiteJournal {
    /// Rows by a statement that each connection compiles once.
    static func rows(
        _ database: Database, _ sql: String, _ arguments: StatementArguments = StatementArguments()
    ) throws -> [Row] {
        try Row.fetchAll(try database.cachedStatement(sql: sql), arguments: arguments)
    }

    public func record(_ id: String) async throws(JournalError) -> TransactionRecord? {
        try await read { database in
            try Self.rows(
                database, "SELECT \(StoredRow.transactionList) FROM transactions WHERE id = ?", [id]
            ).first.map { try StoredRow($0, of: "transaction \(id)").transaction() }
        }
    }

    public func records(
        beginning: String, limit: Int
    ) async throws(JournalError) -> [TransactionRecord] {
        try await read { database in
            // A range and not LIKE, so that the index serves and `_` is itself.
            try Self.rows(
                database,
                """
                SELECT \(StoredRow.transactionList) FROM transactions
                WHERE id >= ? AND id < ? ORDER BY id LIMIT ?
                """, [beginning, beginning + "\u{10FFFF}", max(0, limit)]
            ).map { try StoredRow($0, of: "transactions").transaction() }
        }
    }

    public func changes(of id: String) async throws(JournalError) -> [StateChange] {
        try await read { database in
            try Self.rows(
                database,
                """
                SELECT \(StoredRow.changeList) FROM state_changes
                WHERE transaction_id = ? ORDER BY sequence
                """, [id]
            ).map { try StoredRow($0, of: "state_changes of \(id)").change() }
        }
    }

    public func page(
        _ filter: JournalFilter, order: JournalOrder, after: String?, limit: Int?
    ) async throws(JournalError) -> [TransactionRecord] {
        try await read { database in
            var (conditions, values) = Self.conditions(filter)
            if let after {
                conditions.append(order == .newestFirst ? "id < ?" : "id > ?")
                values.append(after)
            }
            let clause = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
            // A negative limit is none.
            values.append(limit.map { max(0, $0) } ?? -1)
            let statement = try database.cachedStatement(
                sql: """
                    SELECT \(StoredRow.transactionList) FROM transactions \(clause)
                    ORDER BY id \(order == .newestFirst ? "DESC" : "ASC") LIMIT ?
                    """)
            let rows = try Row.fetchCursor(statement, arguments: StatementArguments(values))
            var records: [TransactionRecord] = []
            while let row = try rows.next() {
                records.append(try StoredRow(row, of: "transactions").transaction())
            }
            return records
        }
    }

    public func terminals(_ filter: JournalFilter) async throws(JournalError) -> [String] {
        try await read { database in
            let (conditions, values) = Self.conditions(filter)
            // Terminal by terminal: the index of states has the terminal first.
            let clause = (["terminal = terminals.id"] + conditions).joined(separator: " AND ")
            return try Self.rows(
                database,
                "SELECT id FROM terminals WHERE EXISTS (SELECT 1 FROM transactions WHERE \(clause)) ORDER BY id",
                StatementArguments(values)
            ).map { try StoredRow($0, of: "terminals").text(0) }
        }
    }

    public func statistics(_ filter: JournalFilter) async throws(JournalError) -> JournalStatistics {
        try await read { database in
            let (conditions, values) = Self.conditions(filter)
            let clause = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
            var groups = try Row.fetchAll(
                database,
                sql: """
                    SELECT state, currency, exponent, count(*), sum(coalesce(final_amount, approved_amount, amount))
                    FROM transactions \(clause) GROUP BY state, currency, exponent ORDER BY currency
                    """, arguments: StatementArguments(values)
            ).map { row in
                let stored = StoredRow(row, of: "transactions")
                guard let currency = NumericCode(try stored.integer(1)) else {
                    throw StoredRow.Unfit(reason: "transactions: no such currency")
                }
                return JournalStatistics.Group(
                    state: try stored.state(0), currency: currency.description,
                    currencyExponent: try stored.integer(2, as: UInt8.self),
                    count: try stored.integer(3, as: Int.self), sum: try stored.integer(4))
            }
            let places = Dictionary(
                uniqueKeysWithValues: TransactionState.allCases.enumerated().map { ($1, $0) })
            groups.sort { (places[$0.state] ?? 0, $0.currency) < (places[$1.state] ?? 0, $1.currency) }
            return JournalStatistics(groups: groups)
        }
    }

    private static func conditions(
        _ filter: JournalFilter
    ) -> (conditions: [String], values: [(any DatabaseValueConvertible)?]) {
        var conditions: [String] = []
        var values: [(any DatabaseValueConvertible)?] = []
        func add(_ condition: String, _ value: any DatabaseValueConvertible) {
            conditions.append(condition)
            values.append(value)
        }
        if let terminal = filter.terminalID { add("terminal = ?", terminal) }
        if !filter.states.isEmpty {
            conditions.append("state IN (\(filter.states.map { _ in "?" }.joined(separator: ",")))")
            values += filter.states.map(\.rawValue)
        }
        if let since = filter.since { add("created_at >= ?", Timestamp.text(since)) }
        if let until = filter.until { add("created_at < ?", Timestamp.text(until)) }
        if let digits = filter.lastFour { add("substr(pan, -4) = ?", digits) }
        if let parked = filter.isParked { add("parked = ?", parked ? 1 : 0) }
        if let key = filter.idempotencyKey { add("idempotency_key = ?", key) }
        if let original = filter.original { add("original = ?", original) }
        if let batch = filter.settledBatch { add("settled_batch = ?", batch) }
        return (conditions, values)
    }

    public func verify() async throws(JournalError) -> JournalVerification {
        let keyFile = self.keyFile
        return try await read { try Verifying.all($0, keyFile) }
    }
}
