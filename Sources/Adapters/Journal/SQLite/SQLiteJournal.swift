internal import EMV
internal import Foundation
internal import GRDB

/// The embedded engine: SQLite in one file with a write-ahead log, one writing process at a time.
///
/// Beside `journal.sqlite` lie SQLite's own `-wal` and `-shm`, `.lock` (who writes), `.reserve` (room kept for what
/// is owed to the host when the disk is full), `.doubt` (payments that were told to have failed though their commit may
/// come back) and `.key` (of what is kept enciphered until it is forwarded).
public final class SQLiteJournal: JournalStore {
    /// Bytes kept in `.reserve`: at some 30 KB a commit enough for more than a hundred last words, while the
    /// write-ahead log itself keeps its size.
    public static let usualReserve = 4 << 20

    public let location: String
    private enum Access {
        case writing(CommitQueue)
        case reading(any DatabaseReader)
    }
    private let access: Access
    private let lock: JournalLock?
    private let chain: ChangeChain?
    private let doubtFile: DoubtFile?
    let keyFile: KeyFile

    private init(
        _ location: String, _ access: Access, lock: JournalLock? = nil, chain: ChangeChain? = nil,
        doubtFile: DoubtFile? = nil, keyFile: KeyFile
    ) {
        self.keyFile = keyFile
        self.location = location
        self.access = access
        self.lock = lock
        self.chain = chain
        self.doubtFile = doubtFile
    }

    var writer: CommitQueue? { if case .writing(let queue) = access { queue } else { nil } }

    /// What is open at the moment.
    var reader: any DatabaseReader {
        switch access {
        case .writing(let queue): queue.database
        case .reading(let reader): reader
        }
    }

    // MARK: - Opening

    /// Opens a journal for writing and creates it, with its directories, where there is none. Runs SQLite's
    /// quick check, checks the end of the chain, and brings the log into the file. An approval that came back though its
    /// payment was told to have failed becomes a reversal that is due.
    /// - Parameters:
    ///   - reserve: bytes kept for a full disk; 0 for none.
    ///   - patience: how long a write that must not be lost is tried again where the disk is full or the file locked.
    ///   - keyFile: the key of what is kept enciphered: 32 bytes or 64 hexadecimal digits. Nil for the service
    ///     manager's credential `tapbridge-journal-key`, or else `.key` beside the journal, made when needed.
    /// - Throws: `.locked`, `.cannotOpen`, `.notAJournal`, `.damaged`, `.newerSchema`, `.notDurable`.
    public static func open(
        at path: String, reserve: Int = usualReserve, keyFile: String? = nil,
        patience: Duration = .seconds(15)
    ) async throws(JournalError) -> SQLiteJournal {
        try JournalFile.makeDirectory(of: path)
        // Two names of one file must mean one lock.
        let path = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        let lock = try JournalLock(path: path)
        do {
            if try JournalFile.checkHeader(path) == .empty {
                guard JournalFile.isAtRest(path) else {
                    throw JournalError.damaged(
                        path: path, reason: "it is missing or empty, but its log \(path)-wal is not")
                }
                try create(path)
            }
            JournalFile.makePrivate(path)
            let doubtFile = try DoubtFile(path: path + ".doubt")
            let room = SpaceReserve(path: path + ".reserve", size: reserve)
            let first: CommitQueue.Connections
            do {
                first = try await connect(path, doubtFile)
            } catch let error as DatabaseError where error.isDiskFull {
                // What is owed to the host must be found and sent on a full disk, too.
                _ = room.release()
                first = try await connect(path, doubtFile, logMayStay: true)
            }
            let chain = ChangeChain(first.head)
            let writer = CommitQueue(
                first, path: path, chain: chain, reserve: room, doubtFile: doubtFile, patience: patience,
                reopen: { old in
                    old.checkpointer?.close()
                    try old.database.close()
                    return try await connect(path, doubtFile)
                })
            return SQLiteJournal(
                path, .writing(writer), lock: lock, chain: chain, doubtFile: doubtFile,
                keyFile: KeyFile.find(keyFile, journal: path))
        } catch {
            throw openingError(path, error)
        }
    }

    /// Opens the file with all checks, and resolves what came back of commits that were told to have failed.
    /// - Parameter logMayStay: where there is no room to bring the log into the file.
    private static func connect(
        _ path: String, _ doubtFile: DoubtFile, logMayStay: Bool = false
    ) async throws -> CommitQueue.Connections {
        // Of an unclean end: what lies in the log may be in the system's memory alone, where a sync failed before.
        let hadLog = !JournalFile.isAtRest(path)
        let pool = try DatabasePool(path: path, configuration: configuration())
        do {
            let (head, frames) = try await pool.writeWithoutTransaction { database in
                try prepare(database, path)
                let frames = hadLog ? try bringLogIn(database, mayStay: logMayStay) : 0
                return (try takeBack(doubtFile, database), frames)
            }
            let checkpointer = try Checkpointer(path: path, configuration: configuration(), frames: frames)
            return CommitQueue.Connections(database: pool, checkpointer: checkpointer, head: head)
        } catch {
            try? pool.close()
            throw error
        }
    }

    /// What a payment was told decides: a success that was told to be a failure, and is there all the same, is taken back.
    /// - Returns: where the chain ends.
    private static func takeBack(_ doubtFile: DoubtFile, _ database: Database) throws -> ChangeChain.Head {
        let chain = ChangeChain(try Verifying.checkEnd(database))
        let entries = doubtFile.entries
        let cameBack = try entries.filter { entry in
            try Data.fetchOne(
                database, sql: "SELECT chain FROM state_changes WHERE sequence = ?",
                arguments: [entry.sequence])
                == Data(entry.link)
        }
        if !cameBack.isEmpty {
            try database.inTransaction(.immediate) {
                for entry in cameBack {
                    guard let change = try takingBack(entry, database) else { continue }
                    _ = try changing(change, sealed: nil)(database, chain)
                }
                return .commit
            }
        }
        doubtFile.clear()
        return chain.head
    }

    private static func takingBack(_ entry: DoubtFile.Entry, _ database: Database) throws -> JournalChange? {
        let sql = "SELECT \(StoredRow.transactionList) FROM transactions WHERE id = ?"
        guard let row = try rows(database, sql, [entry.id]).first else { return nil }
        let record = try StoredRow(row, of: "transaction \(entry.id)").transaction()
        // A deferred authorization's approval was told to nobody: the service had been given before.
        guard record.state == entry.state, record.state != .approved || record.purpose != .deferred else {
            return nil
        }
        var change = JournalChange(
            id: entry.id, from: [entry.state], to: entry.state == .deferred ? .cancelled : .reversalDue,
            at: Timestamp.rounded(Date()))
        change.detail = "told to have failed, as the journal's commit did, which came back"
        change.result = TransactionResult(reason: change.detail)
        // As for what else a restart finds (`ReversalRequest.Reason`).
        if change.to == .reversalDue { change.reversalReason = "restart" }
        return change
    }

    /// A new file is made with a rollback journal and only then turned to a write-ahead log: so its first
    /// page names its owner from its first moment, and a foreign file is told by its first page alone.
    private static func create(_ path: String) throws {
        try JournalFile.createPrivately(path)
        let queue = try DatabaseQueue(path: path, configuration: configuration())
        try queue.inDatabase { database in
            try database.execute(sql: "PRAGMA synchronous = FULL")
            try database.inTransaction(.immediate) {
                try Schema.migrate(database)
                return .commit
            }
        }
        try queue.close()
    }

    /// Seconds for which another program's lock is waited for.
    private static let busyTimeout = 5

    private static func configuration() -> Configuration {
        var configuration = Configuration()
        configuration.busyMode = .timeout(TimeInterval(busyTimeout))
        configuration.foreignKeysEnabled = true
        configuration.maximumReaderCount = 2
        configuration.label = "journal"
        return configuration
    }

    /// Settings and checks of a connection that writes.
    private static func prepare(_ database: Database, _ path: String) throws {
        let version = try Schema.userVersion(database)
        guard version <= Schema.version else {
            throw JournalError.newerSchema(path: path, found: version, supported: Schema.version)
        }
        // GRDB sets synchronous to NORMAL after its own set-up: FULL must be set on the open writer. Its own checkpoints are
        // for the case that those beside it cannot keep up.
        try database.execute(
            sql: """
                PRAGMA synchronous = FULL;
                PRAGMA secure_delete = ON;
                PRAGMA wal_autocheckpoint = 8000;
                PRAGMA journal_size_limit = \(greatestIdleLog);
                """)
        let synchronous = try Int.fetchOne(database, sql: "PRAGMA synchronous") ?? -1
        guard synchronous == 2 else {
            throw JournalError.notDurable(path: path, synchronous: synchronous)
        }
        let check = try String.fetchOne(database, sql: "PRAGMA quick_check(1)") ?? "no answer"
        guard check == "ok" else { throw JournalError.damaged(path: path, reason: check) }
        // Also finds a file that cannot be written: SQLite opens that without a word.
        try database.inTransaction(.immediate) {
            try Schema.migrate(database)
            return .commit
        }
    }

    /// The log gives back what is above this when it begins anew.
    private static let greatestIdleLog = 8 << 20

    /// An unclean end leaves the log as it was: many of them, one after the other, must not let it grow. Where another
    /// program reads at the moment it stays as it is.
    /// - Parameter mayStay: where there is no room for it in the file.
    /// - Returns: pages that are not in the file.
    private static func bringLogIn(_ database: Database, mayStay: Bool) throws -> Int {
        try database.execute(sql: "PRAGMA busy_timeout = 0")
        defer { try? database.execute(sql: "PRAGMA busy_timeout = \(busyTimeout * 1000)") }
        do {
            let result = try database.checkpoint(.truncate)
            return max(0, result.walFrameCount - result.checkpointedFrameCount)
        } catch let error as DatabaseError where error.resultCode.primaryResultCode == .SQLITE_BUSY {
            return 1
        } catch let error as DatabaseError where error.isDiskFull && mayStay {
            return 1
        }
    }

    /// Opens an existing journal for reading, beside a writer or alone.
    /// - Throws: `.cannotOpen`, `.notAJournal`, `.damaged`, `.newerSchema`.
    public static func openReadOnly(
        at path: String, keyFile: String? = nil
    ) throws(JournalError) -> SQLiteJournal {
        guard FileManager.default.fileExists(atPath: path) else {
            throw .cannotOpen(path: path, reason: "there is no such file: no payment was taken yet")
        }
        guard try JournalFile.checkHeader(path) == .journal else {
            throw .cannotOpen(path: path, reason: "it is empty: no payment was taken yet")
        }
        do {
            var configuration = configuration()
            configuration.readonly = true
            var database: DatabaseQueue
            do {
                database = try DatabaseQueue(path: path, configuration: configuration)
                _ = try database.read { try Schema.userVersion($0) }
            } catch let error as DatabaseError
                where [.SQLITE_CANTOPEN, .SQLITE_READONLY].contains(error.resultCode.primaryResultCode)
                && JournalFile.isAtRest(path)
            {
                // In a directory that cannot be written (the first code where the file system is read-only, the
                // second where only this user may not) the shared memory of the log cannot be made; a file
                // without a log that no one can write needs none.
                let allowed = CharacterSet.urlPathAllowed.subtracting(CharacterSet(charactersIn: "?#%"))
                let escaped = path.addingPercentEncoding(withAllowedCharacters: allowed) ?? path
                database = try DatabaseQueue(
                    path: "file:\(escaped)?immutable=1", configuration: configuration)
            }
            let version = try database.read { try Schema.userVersion($0) }
            guard version <= Schema.version else {
                throw JournalError.newerSchema(path: path, found: version, supported: Schema.version)
            }
            if version < Schema.version { try database.inDatabase(Schema.coverMissingColumns) }
            return SQLiteJournal(path, .reading(database), keyFile: KeyFile.find(keyFile, journal: path))
        } catch {
            throw openingError(path, error)
        }
    }

    /// A journal in memory.
    public static func inMemory() throws(JournalError) -> SQLiteJournal {
        let path = ":memory:"
        do {
            let queue = try DatabaseQueue(configuration: configuration())
            let chain = try queue.inDatabase { database in
                try database.inTransaction {
                    try Schema.migrate(database)
                    return .commit
                }
                return ChangeChain(try Verifying.checkEnd(database))
            }
            return SQLiteJournal(
                path,
                .writing(
                    CommitQueue(
                        CommitQueue.Connections(database: queue, checkpointer: nil, head: chain.head),
                        path: path, chain: chain)), chain: chain, keyFile: KeyFile(path: nil))
        } catch {
            throw openingError(path, error)
        }
    }

    private static func openingError(_ path: String, _ error: any Error) -> JournalError {
        switch error {
        case let error as JournalError: return error
        case let error as StoredRow.Unfit: return .damaged(path: path, reason: error.reason)
        case let error as DatabaseError where error.isDiskFull: return .diskFull(path: path)
        case let error as DatabaseError:
            switch error.resultCode.primaryResultCode {
            case .SQLITE_CORRUPT, .SQLITE_NOTADB:
                return .damaged(path: path, reason: error.message ?? "corrupt")
            case .SQLITE_BUSY: return .locked(path: path, processID: nil)
            case .SQLITE_ERROR:
                // A statement of ours that does not fit what is there: tables are missing.
                return .damaged(path: path, reason: error.message ?? "tables are missing")
            case .SQLITE_READONLY:
                return .cannotOpen(path: path, reason: "the file or its directory is read-only")
            case .SQLITE_CANTOPEN:
                return .cannotOpen(path: path, reason: "no permission, or no such directory")
            default:
                return .cannotOpen(
                    path: path,
                    reason: (error.message ?? "no message")
                        + ", SQLite code \(error.extendedResultCode.rawValue)")
            }
        default: return .cannotOpen(path: path, reason: "\(error)")
        }
    }

    public func close() async throws(JournalError) {
        let open: (any DatabaseReader)? =
            switch access {
            case .writing(let queue): queue.end(.stopped(path: location, reason: "it was closed"))
            case .reading(let reader): reader
            }
        defer {
            doubtFile?.close()
            lock?.release()
        }
        guard let open else { return }
        if let pool = open as? DatabasePool {
            // The log's content into the file, so that the file alone is the whole journal. Where a reader is in the
            // way the log stays, and nothing is lost.
            _ = try? await pool.writeWithoutTransaction { try $0.checkpoint(.truncate) }
            // The readers first: GRDB closes the writer before them, and only who closes last and may write takes the
            // log away.
            pool.releaseMemory()
        }
        do {
            try open.close()
        } catch {
            throw .writeFailed(path: location, reason: "closing: \(error)")
        }
    }

    // MARK: - How it is

    public func checkWrites() async throws(JournalError) {
        guard let writer else {
            throw .writeFailed(path: location, reason: "it was opened for reading only")
        }
        try await writer.checkWrites()
    }

    public func healthChanges() -> AsyncStream<JournalHealth> {
        writer?.healthChanges() ?? AsyncStream { $0.finish() }
    }

    // MARK: - What is kept enciphered

    public func kept(_ id: String) async throws(JournalError) -> [UInt8]? {
        let sealed = try await read { database in
            try Data.fetchOne(
                try database.cachedStatement(sql: "SELECT sealed FROM kept WHERE transaction_id = ?"),
                arguments: [id])
        }
        guard let sealed else { return nil }
        guard let bytes = try keyFile.opened(Array(sealed), context: id) else {
            throw .damaged(
                path: location,
                reason: "what was kept of \(id) cannot be deciphered with the key in use")
        }
        return bytes
    }

    // MARK: - Access

    func commit<T: Sendable>(
        isVital: Bool, subject: CommitQueue.Subject? = nil,
        _ work: @escaping @Sendable (Database, ChangeChain) throws -> T
    ) async throws(JournalError) -> T {
        guard let writer, let chain else {
            throw .writeFailed(path: location, reason: "it was opened for reading only")
        }
        return try await writer.commit(isVital: isVital, subject: subject) { [location] database in
            do {
                return try work(database, chain)
            } catch let error as StoredRow.Unfit {
                // Ends the whole transaction, as something may have been written before.
                throw DatabaseError(
                    resultCode: .SQLITE_CORRUPT, message: "\(location): \(error.reason)")
            }
        }
    }

    func read<T: Sendable>(
        _ work: @escaping @Sendable (Database) throws -> T
    ) async throws(JournalError) -> T {
        do {
            return try await reader.read(work)
        } catch let error as JournalError {
            throw error
        } catch let error as StoredRow.Unfit {
            throw .damaged(path: location, reason: error.reason)
        } catch let error as DatabaseError {
            switch error.resultCode.primaryResultCode {
            case .SQLITE_CORRUPT, .SQLITE_NOTADB:
                throw .damaged(path: location, reason: error.message ?? "corrupt")
            default: throw .readFailed(path: location, reason: error.message ?? "\(error.resultCode)")
            }
        } catch {
            throw .readFailed(path: location, reason: "\(error)")
        }
    }
}
