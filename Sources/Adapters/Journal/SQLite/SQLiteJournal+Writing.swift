internal import EMV
public import Foundation
internal import GRDB

extension SQLiteJournal {
    public func begin(
        _ intent: TransactionIntent, at: Date
    ) async throws(JournalError) -> (record: TransactionRecord, isNew: Bool) {
        let fingerprint = intent.idempotencyKey == nil ? nil : Data(intent.fingerprint)
        // A repeat is answered on a full disk, too.
        if intent.idempotencyKey != nil || intent.replaces != nil,
            let known = try await read({ try Self.known($0, intent, fingerprint) })
        {
            return (known, false)
        }
        guard writer?.hasRoomForNew ?? true else { throw .diskFull(path: location) }
        let time = Timestamp.text(at)
        let day = String(time.prefix(10))
        let id = Self.makeID(at)
        return try await commit(isVital: false) { database, chain in
            if let known = try Self.known(database, intent, fingerprint) { return (known, false) }
            if let replaced = intent.replaces {
                try Self.allowReplacement(of: replaced, in: database)
            } else if let original = intent.original {
                // What takes another's place has that one's right.
                try Self.allow(intent.followUp, of: original, in: database)
            }
            guard let issued = try Self.nextOfDay(database, day) else {
                throw JournalError.invalidValue("more than \(Self.greatestOfDay) transactions in a day")
            }
            let numbers = try Self.first(
                database, "terminals",
                """
                INSERT INTO terminals (id, batch, stan) VALUES (?, 1, 1)
                ON CONFLICT (id) DO UPDATE SET stan = stan % 999999 + 1, batch = batch + (stan = 999999)
                RETURNING batch, stan
                """, [intent.terminalID])
            let row = try Self.first(
                database, "transactions",
                """
                INSERT INTO transactions (id, terminal, merchant, batch, stan, rrn, day, state, created_at,
                    updated_at, amount, amount_other, currency, exponent, type, purpose, idempotency_key,
                    fingerprint, original, replaces)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                RETURNING \(StoredRow.transactionList)
                """,
                [
                    id, intent.terminalID, intent.merchantID, try numbers.integer(0), try numbers.integer(1),
                    Self.retrievalReference(at, issued), day, TransactionState.started.rawValue, time, time,
                    Int64(intent.amount.minorUnits), Int64(intent.amountOther.minorUnits),
                    Int64(intent.currency.value), Int64(intent.currencyExponent),
                    Int64(intent.transactionType),
                    intent.purpose == .sale ? nil : intent.purpose.rawValue, intent.idempotencyKey,
                    fingerprint, intent.original, intent.replaces,
                ])
            try Self.append(database, chain, row, id, .started, time, nil)
            return (try row.transaction(), true)
        }
    }

    public func drawTraceNumber(terminal: String) async throws(JournalError) -> UInt32 {
        try await commit(isVital: false) { database, _ in
            let row = try Self.first(
                database, "terminals",
                """
                INSERT INTO terminals (id, batch, stan) VALUES (?, 1, 1)
                ON CONFLICT (id) DO UPDATE SET stan = stan % 999999 + 1, batch = batch + (stan = 999999)
                RETURNING stan
                """, [terminal])
            return try row.integer(0, as: UInt32.self)
        }
    }

    /// Only an authorization without a response is sent anew. What was decided since it was read, by a commit that came back
    /// for example, would be paid twice.
    /// - Throws: `JournalError`: `.stateMoved`, `.unknownTransaction`.
    private static func allowReplacement(of id: String, in database: Database) throws {
        let sql = "SELECT state FROM transactions WHERE id = ?"
        guard let row = try rows(database, sql, [id]).first else {
            throw JournalError.unknownTransaction(id: id)
        }
        let state = try StoredRow(row, of: "transaction \(id)").state(0)
        guard state == .authorizing else {
            throw JournalError.stateMoved(id: id, expected: [.authorizing], actual: state)
        }
    }

    /// The transaction that the intent's key names, or that is in the same one's place already.
    private static func known(
        _ database: Database, _ intent: TransactionIntent, _ fingerprint: Data?
    ) throws -> TransactionRecord? {
        if let replaced = intent.replaces {
            return try rows(
                database, "SELECT \(StoredRow.transactionList) FROM transactions WHERE replaces = ?",
                [replaced]
            ).first.map { try StoredRow($0, of: "transactions").transaction() }
        }
        guard let key = intent.idempotencyKey else { return nil }
        let sql = """
            SELECT \(StoredRow.transactionList) FROM transactions
            WHERE terminal = ? AND idempotency_key = ?
            """
        guard let row = try rows(database, sql, [intent.terminalID, key]).first else { return nil }
        let stored = StoredRow(row, of: "transactions")
        let record = try stored.transaction()
        guard try stored.optionalBytes(42).map({ Data($0) }) == fingerprint else {
            throw JournalError.keyReused(key: key, id: record.id)
        }
        return record
    }

    public func apply(_ change: JournalChange) async throws(JournalError) -> TransactionRecord {
        let sealed = try change.kept.map { (bytes) throws(JournalError) in
            try keyFile.sealed(bytes, context: change.id)
        }
        let subject = change.to.flatMap { state in
            DoubtFile.states.contains(state) ? CommitQueue.Subject(id: change.id, state: state) : nil
        }
        return try await commit(
            isVital: change.isVital, subject: subject, Self.changing(change, sealed: sealed))
    }

    /// The change as a part of a write transaction.
    /// - Parameter sealed: what is kept with it, enciphered.
    static func changing(
        _ change: JournalChange, sealed: [UInt8]?
    ) -> @Sendable (Database, ChangeChain) throws -> TransactionRecord {
        let time = Timestamp.text(change.at)
        var sets = ["updated_at = ?"]
        var values: [(any DatabaseValueConvertible)?] = [time]
        func set(_ column: String, _ value: (any DatabaseValueConvertible)?) {
            sets.append("\(column) = ?")
            values.append(value)
        }
        if let state = change.to { set("state", state.rawValue) }
        if let reading = change.reading {
            set("pan", reading.maskedPAN)
            set("pan_sequence", reading.panSequenceNumber.map { Int64($0) })
            set("aid", reading.applicationIdentifier)
            set("label", reading.applicationLabel)
            set("kernel", reading.kernel)
            set("outcome", reading.outcome)
            set("cvm", reading.cvm)
            set("tvr", reading.terminalVerificationResults)
            set("entry_mode", reading.entryMode)
            set("token_requestor", reading.tokenRequestorID)
            set("form_factor", reading.formFactor)
        }
        if let result = change.result {
            if let code = result.responseCode { set("response_code", code) }
            if let code = result.authorizationCode { set("authorization_code", code) }
            if let amount = result.approvedAmount { set("approved_amount", Int64(amount.minorUnits)) }
            if let reason = result.reason { set("reason", reason) }
        }
        if let backend = change.backend { set("backend", backend) }
        if let digest = change.requestDigest { set("request_digest", Data(digest)) }
        if let reason = change.reversalReason { set("reversal_reason", reason) }
        switch change.transmission {
        case .reversal: sets.append("reversal_attempts = reversal_attempts + 1")
        case .forwarding: sets.append("forward_attempts = forward_attempts + 1")
        case .adjustment: sets.append("adjustment_attempts = coalesce(adjustment_attempts, 0) + 1")
        case nil: break
        }
        if let (amount, kind) = change.finalAmount {
            set("final_amount", Int64(amount.minorUnits))
            set("adjustment", kind.rawValue)
            sets.append("revision = coalesce(revision, 0) + 1")
            sets.append("adjustment_attempts = 0")
        }
        if let parked = change.parked {
            set("parked", parked ? 1 : 0)
        } else if change.to != nil {
            // Whatever was parked, something else is owed now.
            sets.append("parked = 0")
        }
        values.append(change.id)
        values += change.from.map(\.rawValue)
        if let revision = change.revision { values.append(Int64(revision)) }
        // The compare-and-set: one statement, one row.
        let sql = """
            UPDATE transactions SET \(sets.joined(separator: ", "))
            WHERE id = ? AND state IN (\(change.from.map { _ in "?" }.joined(separator: ",")))
            \(change.revision == nil ? "" : "AND revision = ?") \(Self.isOpen(change))
            RETURNING \(StoredRow.transactionList)
            """
        let arguments = StatementArguments(values)

        return { database, chain in
            if let followUp = change.followUp {
                try Self.allow(followUp, of: change.id, in: database, from: change.from)
            }
            guard let found = try Self.rows(database, sql, arguments).first else {
                throw try Self.unchanged(database, change)
            }
            let row = StoredRow(found, of: "transaction \(change.id)")
            let record = try row.transaction()
            var detail = change.detail
            switch change.transmission {
            case .reversal: detail = "\(detail ?? "reversal") (\(record.reversalAttempts))"
            case .forwarding: detail = "\(detail ?? "advice") (\(record.forwardAttempts))"
            case .adjustment: detail = "\(detail ?? "adjustment") (\(record.adjustmentAttempts))"
            case nil: break
            }
            if let sealed {
                try database.cachedStatement(
                    sql: "INSERT OR REPLACE INTO kept (transaction_id, sealed) VALUES (?, ?)"
                ).execute(arguments: [change.id, Data(sealed)])
            } else if let state = change.to, !TransactionState.keeping.contains(state) {
                try database.cachedStatement(sql: "DELETE FROM kept WHERE transaction_id = ?")
                    .execute(arguments: [change.id])
            }
            try Self.append(database, chain, row, change.id, record.state, time, detail)
            return record
        }
    }

    // MARK: - What is left of a transaction

    /// A transaction with what its refunds hold and what took its place: three look-ups, each by an index.
    static let remainderQuery = """
        SELECT \(StoredRow.transactionList),
            (SELECT sum(coalesce(refunds.final_amount, refunds.approved_amount, refunds.amount))
                FROM transactions AS refunds WHERE refunds.original = transactions.id AND refunds.type = 32
                AND refunds.state NOT IN (\(TransactionState.givingNothing.map { "'\($0.rawValue)'" }.joined(separator: ", ")))),
            (SELECT later.id FROM transactions AS later WHERE later.replaces = transactions.id)
        FROM transactions WHERE id = ?
        """

    /// Inside the write, before it changes anything: so that what was left a moment ago is still left.
    /// - Parameter from: the states that a change expects.
    /// - Throws: `JournalError`: `.rejected`, `.unknownTransaction`.
    private static func allow(
        _ followUp: FollowUp, of id: String, in database: Database, from: [TransactionState] = []
    ) throws {
        guard let row = try rows(database, remainderQuery, [id]).first else {
            throw JournalError.unknownTransaction(id: id)
        }
        let stored = StoredRow(row, of: "transaction \(id)")
        let count = StoredRow.transactionColumns.count
        let record = try stored.transaction()
        // A payment that takes back its own approval, which nobody was told of, is no void.
        if followUp == .void, from.contains(record.state), !TransactionState.voidable.contains(record.state) {
            return
        }
        let remainder = TransactionRemainder(
            of: record,
            refunded: Amount(clamping: UInt64(max(0, try stored.optionalInteger(count) ?? 0))),
            successor: try stored.optionalText(count + 1))
        if let rejection = remainder.rejection(of: followUp) { throw JournalError.rejected(rejection) }
    }

    /// What would change a batch's totals is not done to a transaction in a batch.
    private static func isOpen(_ change: JournalChange) -> String {
        change.to == .reversalDue || change.to == .adjustmentDue
            ? "AND id NOT IN (SELECT transaction_id FROM batch_items)" : ""
    }

    private static func unchanged(_ database: Database, _ change: JournalChange) throws -> JournalError {
        let sql = "SELECT state FROM transactions WHERE id = ?"
        guard let row = try rows(database, sql, [change.id]).first else {
            return .unknownTransaction(id: change.id)
        }
        let state = try StoredRow(row, of: "transaction \(change.id)").state(0)
        if change.from.contains(state),
            let batch = try Int.fetchOne(
                database, sql: "SELECT batch FROM batch_items WHERE transaction_id = ?",
                arguments: [change.id])
        {
            return .inBatch(id: change.id, batch: batch)
        }
        return .stateMoved(id: change.id, expected: change.from, actual: state)
    }

    static func first(
        _ database: Database, _ table: String, _ sql: String, _ arguments: StatementArguments
    ) throws -> StoredRow {
        guard let row = try rows(database, sql, arguments).first else {
            throw StoredRow.Unfit(reason: "\(table): a row was not written")
        }
        return StoredRow(row, of: table)
    }

    static func append(
        _ database: Database, _ chain: ChangeChain, _ row: StoredRow, _ id: String,
        _ state: TransactionState, _ time: String, _ detail: String?
    ) throws {
        let digest = row.digest(columns: StoredRow.transactionColumns)
        let head = chain.head
        let sequence = head.sequence + 1
        let link = ChangeChain.link(
            after: head.link, sequence: sequence, id: id, state: state.rawValue, at: time, detail: detail,
            row: digest)
        try database.cachedStatement(
            sql: "INSERT INTO state_changes (\(StoredRow.changeList)) VALUES (?, ?, ?, ?, ?, ?, ?)"
        ).execute(arguments: [sequence, id, state.rawValue, time, detail, Data(digest), Data(link)])
        chain.head = ChangeChain.Head(sequence: sequence, link: link)
    }

    // MARK: - Numbers

    static let greatestOfDay: Int64 = 99_999_999

    /// Nil, and nothing written, where the day's numbers are spent.
    private static func nextOfDay(_ database: Database, _ day: String) throws -> Int64? {
        let sql = """
            INSERT INTO days (day, issued) VALUES (?, 1)
            ON CONFLICT (day) DO UPDATE SET issued = issued + 1 WHERE issued < \(greatestOfDay)
            RETURNING issued
            """
        return try rows(database, sql, [day]).first.map { try StoredRow($0, of: "days").integer(0) }
    }

    /// Retrieval Reference Number: last digit of the year, day of the year, and the day's count over all
    /// terminals of this journal (ISO 8583 field 37 has 12 characters and leaves their meaning to the
    /// acquirer; hosts expect it to begin with the Julian date).
    static func retrievalReference(_ date: Date, _ issued: Int64) -> String {
        let (year, dayOfYear) = Timestamp.parts(date)
        func padded(_ number: Int64, _ count: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, count - digits.utf8.count)) + digits
        }
        return "\(year % 10)\(padded(dayOfYear, 3))\(padded(issued, 8))"
    }

    /// `txn_` and 24 characters that sort by time: 10 of milliseconds, 14 of chance.
    static func makeID(_ date: Date) -> String {
        let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)
        let milliseconds = UInt64(max(0, Timestamp.milliseconds(date)))
        var text = Array("txn_".utf8)
        for shift in stride(from: UInt64(45), through: 0, by: -5) {
            text.append(alphabet[Int(milliseconds >> shift & 31)])
        }
        for _ in 0..<14 { text.append(alphabet[Int.random(in: 0..<32)]) }
        return String(decoding: text, as: UTF8.self)
    }
}
