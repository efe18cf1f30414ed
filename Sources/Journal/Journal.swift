internal import EMV
public import Foundation
internal import GRDB

/// The durable record of every transaction: SQLite in one file, one writing process at a time.
///
/// Every function that changes something returns after its change has reached the disk (write-ahead log,
/// synchronous FULL). Each change is a row of `state_changes`, chained by SHA-256, so that what was written
/// cannot be altered unnoticed.
public struct Journal: Sendable {
    public static let schemaVersion = 1
    /// "TapB" in SQLite's application_id.
    static let applicationID: Int32 = 0x5461_7042

    public let path: String
    let reader: any DatabaseReader
    let writer: GroupCommit?
    let lock: JournalLock?
    let now: @Sendable () -> Date

    // MARK: - Opening

    /// Opens a journal for writing and creates it where there is none.
    /// - Throws: `.locked`, `.cannotOpen`, `.damaged`, `.newerSchema`, `.notDurable`.
    public static func open(
        at path: String, now: @escaping @Sendable () -> Date = { Date() }
    ) async throws(JournalError) -> Journal {
        let directory = (path as NSString).deletingLastPathComponent
        if !directory.isEmpty {
            do {
                try FileManager.default.createDirectory(
                    atPath: directory, withIntermediateDirectories: true,
                    attributes: [.posixPermissions: 0o700])
            } catch {
                throw .cannotOpen(
                    path: path, reason: "\(directory) cannot be made: \(error.localizedDescription)")
            }
        }
        let lock = try JournalLock(path: path)
        do {
            try checkHeader(path)
            let pool = try await connect(path)
            try await prepare(pool, path)
            return Journal(
                path: path, reader: pool, writer: GroupCommit(pool), lock: lock, now: now)
        } catch let error as JournalError {
            throw error
        } catch {
            throw openingError(path, error)
        }
    }

    /// A journal in memory, for replays and tests: nothing outlives it.
    public static func inMemory(
        now: @escaping @Sendable () -> Date = { Date() }
    ) throws(JournalError) -> Journal {
        do {
            let queue = try DatabaseQueue()
            try queue.write { try $0.execute(sql: schema) }
            return Journal(path: ":memory:", reader: queue, writer: GroupCommit(queue), lock: nil, now: now)
        } catch {
            throw openingError(":memory:", error)
        }
    }

    /// Opens an existing journal for reading, beside a writer or alone.
    public static func openReadOnly(at path: String) throws(JournalError) -> Journal {
        guard FileManager.default.fileExists(atPath: path) else {
            throw .cannotOpen(path: path, reason: "there is no such file: no payment was taken yet")
        }
        do {
            try checkHeader(path)
            var configuration = Configuration()
            configuration.readonly = true
            configuration.busyMode = .timeout(5)
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            try queue.read { try checkIdentity($0, path) }
            return Journal(path: path, reader: queue, writer: nil, lock: nil, now: { Date() })
        } catch let error as JournalError {
            throw error
        } catch {
            throw openingError(path, error)
        }
    }

    /// `$XDG_STATE_HOME/tapbridge/journal.sqlite`, else below `~/.local/state`.
    public static var defaultPath: String {
        let environment = ProcessInfo.processInfo.environment
        if let state = environment["XDG_STATE_HOME"], state.hasPrefix("/") {
            return state + "/tapbridge/journal.sqlite"
        }
        return NSHomeDirectory() + "/.local/state/tapbridge/journal.sqlite"
    }

    /// A file that is there must be SQLite's, before SQLite is asked to open it.
    private static func checkHeader(_ path: String) throws(JournalError) {
        guard FileManager.default.fileExists(atPath: path) else { return }
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw .cannotOpen(path: path, reason: "no permission to read it")
        }
        defer { try? handle.close() }
        let head = (try? handle.read(upToCount: 16)) ?? Data()
        if head.isEmpty { return }
        guard head.elementsEqual(Array("SQLite format 3\0".utf8)) else {
            throw .damaged(path: path, reason: "it is not a SQLite database")
        }
    }

    private static func connect(_ path: String) async throws -> DatabasePool {
        var configuration = Configuration()
        configuration.busyMode = .timeout(5)
        configuration.foreignKeysEnabled = true
        configuration.maximumReaderCount = 2
        let pool = try DatabasePool(path: path, configuration: configuration)
        // GRDB sets synchronous to NORMAL after its own set-up: FULL must be set on the open writer.
        let synchronous = try await pool.writeWithoutTransaction { database in
            try database.execute(
                sql: """
                    PRAGMA synchronous = FULL;
                    PRAGMA secure_delete = ON;
                    PRAGMA wal_autocheckpoint = 1000;
                    """)
            return try Int.fetchOne(database, sql: "PRAGMA synchronous") ?? -1
        }
        guard synchronous == 2 else {
            throw JournalError.notDurable(path: path, synchronous: synchronous)
        }
        return pool
    }

    private static func checkIdentity(_ database: Database, _ path: String) throws {
        let version = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
        let application = try Int32.fetchOne(database, sql: "PRAGMA application_id") ?? 0
        guard application == applicationID else {
            throw JournalError.damaged(path: path, reason: "it is another program's database")
        }
        guard version <= schemaVersion else {
            throw JournalError.newerSchema(path: path, found: version, supported: schemaVersion)
        }
    }

    private static func prepare(_ pool: DatabasePool, _ path: String) async throws {
        try await pool.write { database in
            let tables =
                try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_master") ?? 0
            if tables == 0 {
                try database.execute(sql: schema)
                return
            }
            try checkIdentity(database, path)
            let check = try String.fetchOne(database, sql: "PRAGMA quick_check(1)") ?? "no answer"
            guard check == "ok" else { throw JournalError.damaged(path: path, reason: check) }
        }
    }

    private static func openingError(_ path: String, _ error: any Error) -> JournalError {
        if let error = error as? DatabaseError {
            switch error.resultCode {
            case .SQLITE_CORRUPT, .SQLITE_NOTADB:
                return .damaged(path: path, reason: error.message ?? "corrupt")
            case .SQLITE_READONLY:
                return .cannotOpen(path: path, reason: "the file or its directory is read-only")
            case .SQLITE_CANTOPEN:
                return .cannotOpen(path: path, reason: "no permission, or no such directory")
            case .SQLITE_FULL: return .cannotOpen(path: path, reason: "the disk is full")
            default: return .cannotOpen(path: path, reason: error.message ?? "\(error.resultCode)")
            }
        }
        return .cannotOpen(path: path, reason: "\(error)")
    }

    static let schema = """
        PRAGMA application_id = \(applicationID);
        PRAGMA user_version = \(schemaVersion);
        CREATE TABLE terminals (
            id TEXT PRIMARY KEY NOT NULL, stan INTEGER NOT NULL, batch INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE transactions (
            id TEXT PRIMARY KEY NOT NULL, terminal TEXT NOT NULL REFERENCES terminals(id),
            merchant TEXT NOT NULL, batch INTEGER NOT NULL, stan INTEGER NOT NULL, rrn TEXT NOT NULL,
            state TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
            amount INTEGER NOT NULL, amount_other INTEGER NOT NULL, currency INTEGER NOT NULL,
            exponent INTEGER NOT NULL, type INTEGER NOT NULL,
            pan TEXT, pan_sequence INTEGER, aid TEXT, label TEXT, kernel INTEGER, outcome TEXT, cvm TEXT,
            tvr TEXT, entry_mode TEXT, token_requestor TEXT, form_factor TEXT, backend TEXT,
            response_code TEXT, authorization_code TEXT, approved_amount INTEGER, reason TEXT,
            reversal_reason TEXT, reversal_attempts INTEGER NOT NULL DEFAULT 0,
            UNIQUE (terminal, batch, stan)
        ) STRICT;
        CREATE INDEX transactions_by_terminal_state ON transactions (terminal, state);
        CREATE INDEX transactions_by_time ON transactions (created_at);
        CREATE TABLE state_changes (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT, transaction_id TEXT NOT NULL REFERENCES transactions(id),
            state TEXT NOT NULL, at TEXT NOT NULL, detail TEXT, row_digest BLOB NOT NULL, chain BLOB NOT NULL
        ) STRICT;
        CREATE INDEX state_changes_by_transaction ON state_changes (transaction_id);
        """

    // MARK: - Writing

    private func commit<T: Sendable>(
        _ work: @escaping @Sendable (Database) throws -> T
    ) async throws(JournalError) -> T {
        guard let writer else {
            throw .writeFailed(path: path, reason: "it was opened for reading only")
        }
        do {
            return try await writer.commit(work)
        } catch let error as JournalError {
            throw error
        } catch let error as DatabaseError {
            throw .writeFailed(path: path, reason: error.message ?? "\(error.resultCode)")
        } catch {
            throw .writeFailed(path: path, reason: "\(error)")
        }
    }

    /// Writes a new transaction with its numbers: STAN (unique per terminal and batch) and RRN (unique per
    /// day: year digit, day of year, hour, STAN).
    public func begin(_ intent: TransactionIntent) async throws(JournalError) -> TransactionRecord {
        let at = now()
        return try await commit { database in
            try database.execute(
                sql: """
                    INSERT INTO terminals (id, stan, batch) VALUES (?, 1, 1)
                    ON CONFLICT (id) DO UPDATE SET stan = stan % 999999 + 1,
                        batch = batch + (stan = 999999)
                    """, arguments: [intent.terminalID])
            guard
                let row = try Row.fetchOne(
                    database, sql: "SELECT stan, batch FROM terminals WHERE id = ?",
                    arguments: [intent.terminalID])
            else { throw DatabaseError(message: "the terminal's counters are gone") }
            let stan: UInt32 = row["stan"]
            let record = TransactionRecord(
                id: Self.makeID(at), terminalID: intent.terminalID, merchantID: intent.merchantID,
                batch: row["batch"], stan: stan, retrievalReference: Self.retrievalReference(at, stan),
                state: .started, createdAt: at, updatedAt: at, amount: intent.amount,
                amountOther: intent.amountOther, currency: intent.currency,
                currencyExponent: intent.currencyExponent, transactionType: intent.transactionType,
                reversalAttempts: 0)
            try database.execute(
                sql: """
                    INSERT INTO transactions (id, terminal, merchant, batch, stan, rrn, state, created_at,
                        updated_at, amount, amount_other, currency, exponent, type)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    record.id, record.terminalID, record.merchantID, record.batch, Int64(record.stan),
                    record.retrievalReference, record.state.rawValue, Self.text(at), Self.text(at),
                    Int64(record.amount.minorUnits), Int64(record.amountOther.minorUnits),
                    Int64(record.currency.value), Int64(record.currencyExponent),
                    Int64(record.transactionType),
                ])
            try Self.append(database, record.id, .started, at, nil)
            return record
        }
    }

    /// Keeps what the card gave.
    public func cardRead(_ id: String, _ reading: CardReading) async throws(JournalError) {
        try await change(id, from: [.started, .cardRead], to: .cardRead, detail: reading.outcome) { columns in
            columns["pan"] = reading.maskedPAN
            columns["pan_sequence"] = reading.panSequenceNumber.map(Int64.init)
            columns["aid"] = reading.applicationIdentifier
            columns["label"] = reading.applicationLabel
            columns["kernel"] = reading.kernel
            columns["outcome"] = reading.outcome
            columns["cvm"] = reading.cvm
            columns["tvr"] = reading.terminalVerificationResults
            columns["entry_mode"] = reading.entryMode
            columns["token_requestor"] = reading.tokenRequestorID
            columns["form_factor"] = reading.formFactor
        }
    }

    /// Before anything leaves for the host: returns when that intent is durable.
    public func authorizing(_ id: String, backend: String) async throws(JournalError) {
        try await change(
            id, from: TransactionState.authorizing.predecessors, to: .authorizing, detail: backend
        ) {
            $0["backend"] = backend
        }
    }

    /// Ends a transaction, or changes its state otherwise.
    public func complete(
        _ id: String, from: [TransactionState], to state: TransactionState, result: TransactionResult
    ) async throws(JournalError) {
        try await change(id, from: from, to: state, detail: result.reason) { Self.set(&$0, result) }
    }

    /// A reversal is owed: durable before anything is reported or sent.
    public func reversalDue(
        _ id: String, reason: String, result: TransactionResult
    ) async throws(JournalError) {
        try await change(id, from: [.authorizing], to: .reversalDue, detail: reason) {
            Self.set(&$0, result)
            $0["reversal_reason"] = reason
        }
    }

    /// Counts a transmission of the reversal, before it leaves.
    /// - Returns: 1 for the first, more for repeats.
    public func reversalAttempt(_ id: String) async throws(JournalError) -> Int {
        let at = now()
        return try await commit { database in
            let record = try Self.require(database, id, [.reversalDue])
            let attempts = record.reversalAttempts + 1
            try database.execute(
                sql: "UPDATE transactions SET reversal_attempts = ?, updated_at = ? WHERE id = ?",
                arguments: [attempts, Self.text(at), id])
            try Self.append(database, id, .reversalDue, at, "transmission \(attempts)")
            return attempts
        }
    }

    /// The host acknowledged the reversal.
    public func reversed(_ id: String) async throws(JournalError) {
        try await change(id, from: [.reversalDue], to: .reversed, detail: nil) { _ in }
    }

    /// The host acknowledged an offline approval.
    public func forwarded(_ id: String) async throws(JournalError) {
        try await change(id, from: [.approvedOffline], to: .forwarded, detail: nil) { _ in }
    }

    private static func set(
        _ columns: inout [String: (any DatabaseValueConvertible)?], _ result: TransactionResult
    ) {
        if let code = result.responseCode { columns["response_code"] = code }
        if let code = result.authorizationCode { columns["authorization_code"] = code }
        if let amount = result.approvedAmount { columns["approved_amount"] = Int64(amount.minorUnits) }
        if let reason = result.reason { columns["reason"] = reason }
    }

    /// One compare-and-set of a transaction's row and one row of its history.
    private func change(
        _ id: String, from: [TransactionState], to state: TransactionState, detail: String?,
        _ fill: (inout [String: (any DatabaseValueConvertible)?]) -> Void
    ) async throws(JournalError) {
        let at = now()
        var columns: [String: (any DatabaseValueConvertible)?] = [:]
        fill(&columns)
        let names = columns.keys.sorted()
        let assignments = (["state = ?", "updated_at = ?"] + names.map { "\($0) = ?" })
            .joined(separator: ", ")
        let values: [(any DatabaseValueConvertible)?] =
            [state.rawValue, Self.text(at)] + names.map { columns[$0] ?? nil }
        let arguments = StatementArguments(values + [id])
        try await commit { database in
            _ = try Self.require(database, id, from)
            try database.execute(
                sql: "UPDATE transactions SET \(assignments) WHERE id = ?", arguments: arguments)
            try Self.append(database, id, state, at, detail)
        }
    }

    private static func require(
        _ database: Database, _ id: String, _ states: [TransactionState]
    ) throws -> TransactionRecord {
        guard
            let row = try Row.fetchOne(
                database, sql: "SELECT * FROM transactions WHERE id = ?", arguments: [id])
        else { throw JournalError.unknownTransaction(id: id) }
        let record = try Self.record(row)
        guard states.contains(record.state) else {
            throw JournalError.stateMoved(id: id, expected: states, actual: record.state)
        }
        return record
    }

    // MARK: - History and its chain

    private static func append(
        _ database: Database, _ id: String, _ state: TransactionState, _ at: Date, _ detail: String?
    ) throws {
        let previous =
            try Data.fetchOne(
                database, sql: "SELECT chain FROM state_changes ORDER BY sequence DESC LIMIT 1") ?? Data()
        let digest = try rowDigest(database, id)
        let link = chain(
            previous: previous, id: id, state: state.rawValue, at: text(at), detail: detail, row: digest)
        try database.execute(
            sql: """
                INSERT INTO state_changes (transaction_id, state, at, detail, row_digest, chain)
                VALUES (?, ?, ?, ?, ?, ?)
                """, arguments: [id, state.rawValue, text(at), detail, digest, link])
    }

    private static func chain(
        previous: Data, id: String, state: String, at: String, detail: String?, row: Data
    ) -> Data {
        var digest = SHA256()
        digest.update(Array(previous).span)
        // Each part with its length, so that no two histories spell the same bytes.
        for part in [id, state, at, detail ?? "\u{0}"] {
            let bytes = Array(part.utf8)
            digest.update(Array("\(bytes.count):".utf8).span)
            digest.update(bytes.span)
        }
        digest.update(Array(row).span)
        return Data(digest.finalize())
    }

    /// SHA-256 over all columns of a transaction.
    private static func rowDigest(_ database: Database, _ id: String) throws -> Data {
        guard
            let row = try Row.fetchOne(
                database, sql: "SELECT * FROM transactions WHERE id = ?", arguments: [id])
        else { throw JournalError.unknownTransaction(id: id) }
        return rowDigest(row)
    }

    private static func rowDigest(_ row: Row) -> Data {
        var digest = SHA256()
        for (column, value) in row {
            let bytes = Array("\(column)=\(value.description.utf8.count):\(value.description);".utf8)
            digest.update(bytes.span)
        }
        return Data(digest.finalize())
    }

    /// What `verify` found.
    public struct Verification: Sendable, Codable {
        public var transactions: Int
        public var changes: Int
        /// In words; empty for an unaltered journal.
        public var problems: [String]
        public var isSound: Bool { problems.isEmpty }
    }

    /// Checks the file (SQLite's integrity check), the chain over all changes, and that every transaction
    /// is as its last change left it.
    public func verify() async throws(JournalError) -> Verification {
        try await read { database in
            var problems = try String.fetchAll(database, sql: "PRAGMA integrity_check(20)")
                .filter { $0 != "ok" }
            var previous = Data()
            var count = 0
            var last: [String: Data] = [:]
            let changes = try Row.fetchCursor(database, sql: "SELECT * FROM state_changes ORDER BY sequence")
            while let row = try changes.next() {
                count += 1
                let link: Data = row["chain"]
                let digest: Data = row["row_digest"]
                let id: String = row["transaction_id"]
                let expected = Self.chain(
                    previous: previous, id: id, state: row["state"], at: row["at"], detail: row["detail"],
                    row: digest)
                if link != expected {
                    let sequence: Int64 = row["sequence"]
                    problems.append("change \(sequence) of \(id): the chain is broken")
                }
                previous = link
                last[id] = digest
            }
            var transactions = 0
            let rows = try Row.fetchCursor(database, sql: "SELECT * FROM transactions")
            while let row = try rows.next() {
                transactions += 1
                let id: String = row["id"]
                if last[id] != Self.rowDigest(row) {
                    problems.append("transaction \(id) is not as its last change left it")
                }
                last[id] = nil
            }
            for id in last.keys.sorted() { problems.append("transaction \(id) is gone") }
            return Verification(transactions: transactions, changes: count, problems: problems)
        }
    }

    // MARK: - Reading

    private func read<T: Sendable>(
        _ work: @escaping @Sendable (Database) throws -> T
    ) async throws(JournalError) -> T {
        do {
            return try await reader.read(work)
        } catch let error as JournalError {
            throw error
        } catch let error as DatabaseError {
            throw .readFailed(path: path, reason: error.message ?? "\(error.resultCode)")
        } catch {
            throw .readFailed(path: path, reason: "\(error)")
        }
    }

    /// One transaction by its identifier or by an unambiguous start of it; nil where there is none.
    public func show(_ id: String) async throws(JournalError) -> TransactionRecord? {
        try await read { database in
            if let row = try Row.fetchOne(
                database, sql: "SELECT * FROM transactions WHERE id = ?", arguments: [id])
            {
                return try Self.record(row)
            }
            let rows = try Row.fetchAll(
                database, sql: "SELECT * FROM transactions WHERE substr(id, 1, ?) = ? LIMIT 2",
                arguments: [id.count, id])
            return rows.count == 1 ? try Self.record(rows[0]) : nil
        }
    }

    /// A transaction's changes, oldest first.
    public func changes(of id: String) async throws(JournalError) -> [StateChange] {
        try await read { database in
            try Row.fetchAll(
                database, sql: "SELECT * FROM state_changes WHERE transaction_id = ? ORDER BY sequence",
                arguments: [id]
            ).map { row in
                StateChange(
                    sequence: row["sequence"], transactionID: row["transaction_id"],
                    state: try Self.state(row["state"]), at: Self.date(row["at"]), detail: row["detail"])
            }
        }
    }

    /// Transactions, newest first.
    /// - Parameters:
    ///   - limit: at most so many; all where nil.
    ///   - before: only those older than this transaction, for paging.
    public func list(
        _ filter: JournalFilter = JournalFilter(), limit: Int? = nil, before: String? = nil
    ) async throws(JournalError) -> [TransactionRecord] {
        try await read { database in
            var conditions: [String] = []
            var arguments: [any DatabaseValueConvertible] = []
            if let terminal = filter.terminalID {
                conditions.append("terminal = ?")
                arguments.append(terminal)
            }
            if !filter.states.isEmpty {
                conditions.append("state IN (\(filter.states.map { _ in "?" }.joined(separator: ",")))")
                arguments += filter.states.map(\.rawValue)
            }
            if let since = filter.since {
                conditions.append("created_at >= ?")
                arguments.append(Self.text(since))
            }
            if let before {
                conditions.append("id < ?")
                arguments.append(before)
            }
            let clause = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
            let bound = limit.map { "LIMIT \(max(0, $0))" } ?? ""
            return try Row.fetchAll(
                database, sql: "SELECT * FROM transactions \(clause) ORDER BY id DESC \(bound)",
                arguments: StatementArguments(arguments)
            ).map(Self.record)
        }
    }

    /// What a restart must look after, oldest first.
    public func unfinished(terminal: String) async throws(JournalError) -> [TransactionRecord] {
        try await list(JournalFilter(terminalID: terminal, states: TransactionState.unfinished)).reversed()
    }

    private static func state(_ text: String) throws -> TransactionState {
        guard let state = TransactionState(rawValue: text) else {
            throw DatabaseError(message: "unknown state \(text)")
        }
        return state
    }

    private static func record(_ row: Row) throws -> TransactionRecord {
        guard let currency = NumericCode(row["currency"] as Int64) else {
            throw DatabaseError(message: "transaction \(row["id"] as String): no such currency")
        }
        func amount(_ units: Int64) -> Amount { Amount(clamping: UInt64(clamping: units)) }
        return TransactionRecord(
            id: row["id"], terminalID: row["terminal"], merchantID: row["merchant"], batch: row["batch"],
            stan: UInt32(clamping: row["stan"] as Int64), retrievalReference: row["rrn"],
            state: try state(row["state"]), createdAt: date(row["created_at"]),
            updatedAt: date(row["updated_at"]), amount: amount(row["amount"]),
            amountOther: amount(row["amount_other"]), currency: currency,
            currencyExponent: UInt8(clamping: row["exponent"] as Int64),
            transactionType: UInt8(clamping: row["type"] as Int64), maskedPAN: row["pan"],
            panSequenceNumber: (row["pan_sequence"] as Int64?).map(UInt8.init(clamping:)),
            applicationIdentifier: row["aid"], applicationLabel: row["label"], kernel: row["kernel"],
            outcome: row["outcome"], cvm: row["cvm"], terminalVerificationResults: row["tvr"],
            entryMode: row["entry_mode"], tokenRequestorID: row["token_requestor"],
            formFactor: row["form_factor"], backend: row["backend"], responseCode: row["response_code"],
            authorizationCode: row["authorization_code"],
            approvedAmount: (row["approved_amount"] as Int64?).map(amount), reason: row["reason"],
            reversalReason: row["reversal_reason"], reversalAttempts: row["reversal_attempts"])
    }

    // MARK: - Values

    /// UTC with milliseconds, so that text sorts as time does.
    static func text(_ date: Date) -> String { date.formatted(timeStyle) }
    static func date(_ text: String) -> Date { (try? Date(text, strategy: timeStyle)) ?? .distantPast }
    private static let timeStyle = Date.ISO8601FormatStyle(includingFractionalSeconds: true)

    /// `txn_` and 24 characters that sort by time: 10 of milliseconds, 14 of chance.
    static func makeID(_ date: Date) -> String {
        let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz")
        let milliseconds = UInt64(max(0, date.timeIntervalSince1970 * 1000))
        var text = "txn_"
        for shift in stride(from: UInt64(45), through: 0, by: -5) {
            text.append(alphabet[Int(milliseconds >> shift & 31)])
        }
        for _ in 0..<14 { text.append(alphabet[Int.random(in: 0..<32)]) }
        return text
    }

    static func retrievalReference(_ date: Date, _ stan: UInt32) -> String {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = .gmt
        let year = calendar.component(.year, from: date) % 10
        let day = calendar.ordinality(of: .day, in: .year, for: date) ?? 1
        let hour = calendar.component(.hour, from: date)
        func padded(_ number: Int, _ count: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, count - digits.count)) + digits
        }
        return "\(year)\(padded(day, 3))\(padded(hour, 2))\(padded(Int(stan), 6))"
    }
}
