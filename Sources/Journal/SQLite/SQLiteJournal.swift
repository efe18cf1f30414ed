internal import EMV
internal import Foundation
internal import GRDB

/// The embedded engine: SQLite in one file with a write-ahead log, one writing process at a time.
///
/// Beside `journal.sqlite` lie SQLite's own `-wal` and `-shm`, `.lock` (who writes), `.reserve` (room kept for what
/// is owed to the host when the disk is full) and `.key` (of what is kept enciphered until it is forwarded).
public final class SQLiteJournal: JournalStore {
    /// Bytes kept in `.reserve`: at some 30 KB a commit enough for more than a hundred last words, while the
    /// write-ahead log itself keeps its size.
    public static let usualReserve = 4 << 20

    public let location: String
    let reader: any DatabaseReader
    let writer: CommitQueue?
    private let lock: JournalLock?
    private let chain: ChangeChain?
    let keyFile: KeyFile

    private init(
        _ location: String, reader: any DatabaseReader, writer: CommitQueue? = nil,
        lock: JournalLock? = nil, chain: ChangeChain? = nil, keyFile: KeyFile
    ) {
        self.keyFile = keyFile
        self.location = location
        self.reader = reader
        self.writer = writer
        self.lock = lock
        self.chain = chain
    }

    // MARK: - Opening

    /// Opens a journal for writing and creates it, with its directories, where there is none. Runs SQLite's
    /// quick check and checks the end of the chain.
    /// - Parameters:
    ///   - reserve: bytes kept for a full disk; 0 for none.
    ///   - keyFile: the key of what is kept enciphered: 32 bytes or 64 hexadecimal digits. Nil for the service
    ///     manager's credential `tapbridge-journal-key`, or else `.key` beside the journal, made when needed.
    /// - Throws: `.locked`, `.cannotOpen`, `.notAJournal`, `.damaged`, `.newerSchema`, `.notDurable`.
    public static func open(
        at path: String, reserve: Int = usualReserve, keyFile: String? = nil
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
            let room = SpaceReserve(path: path + ".reserve", size: reserve)
            let pool: DatabasePool
            let chain: ChangeChain
            do {
                (pool, chain) = try await openPool(path)
            } catch let error as DatabaseError where isFull(error) && room.release() {
                // What is owed to the host must be found and sent on a full disk, too.
                (pool, chain) = try await openPool(path)
            }
            let checkpointer = try Checkpointer(path: path, configuration: configuration())
            return SQLiteJournal(
                path, reader: pool,
                writer: CommitQueue(
                    pool, path: path, chain: chain, reserve: room, checkpointer: checkpointer), lock: lock,
                chain: chain, keyFile: KeyFile.find(keyFile, journal: path))
        } catch {
            throw openingError(path, error)
        }
    }

    private static func openPool(_ path: String) async throws -> (DatabasePool, ChangeChain) {
        let pool = try DatabasePool(path: path, configuration: configuration())
        return (pool, try await pool.writeWithoutTransaction { try prepare($0, path) })
    }

    /// SQLite tells a full disk as an input/output error where it makes the shared memory of the log.
    private static func isFull(_ error: DatabaseError) -> Bool {
        error.resultCode.primaryResultCode == .SQLITE_FULL
            || error.extendedResultCode == .SQLITE_IOERR_SHMSIZE
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

    private static func configuration() -> Configuration {
        var configuration = Configuration()
        configuration.busyMode = .timeout(5)
        configuration.foreignKeysEnabled = true
        configuration.maximumReaderCount = 2
        configuration.label = "journal"
        return configuration
    }

    private static func prepare(_ database: Database, _ path: String) throws -> ChangeChain {
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
        let head = try Verifying.checkEnd(database)
        return ChangeChain(head)
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
            return SQLiteJournal(path, reader: database, keyFile: KeyFile.find(keyFile, journal: path))
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
                path, reader: queue,
                writer: CommitQueue(queue, path: path, chain: chain, reserve: nil, checkpointer: nil),
                chain: chain,
                keyFile: KeyFile(path: nil))
        } catch {
            throw openingError(path, error)
        }
    }

    private static func openingError(_ path: String, _ error: any Error) -> JournalError {
        switch error {
        case let error as JournalError: return error
        case let error as StoredRow.Unfit: return .damaged(path: path, reason: error.reason)
        case let error as DatabaseError where isFull(error): return .diskFull(path: path)
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
        writer?.stop(.stopped(path: location, reason: "it was closed"))
        writer?.closeCheckpointer()
        if let pool = reader as? DatabasePool {
            // The log's content into the file, so that the file alone is the whole journal. Where a reader is in the
            // way the log stays, and nothing is lost.
            _ = try? await pool.writeWithoutTransaction { try $0.checkpoint(.truncate) }
            // The readers first: GRDB closes the writer before them, and only who closes last and may write takes the
            // log away.
            pool.releaseMemory()
        }
        do {
            try reader.close()
        } catch {
            throw .writeFailed(path: location, reason: "closing: \(error)")
        }
        lock?.release()
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
        isVital: Bool, _ work: @escaping @Sendable (Database, ChangeChain) throws -> T
    ) async throws(JournalError) -> T {
        guard let writer, let chain else {
            throw .writeFailed(path: location, reason: "it was opened for reading only")
        }
        return try await writer.commit(isVital: isVital) { [location] database in
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
