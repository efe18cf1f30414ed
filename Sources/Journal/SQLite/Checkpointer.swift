internal import GRDB
internal import Synchronization

/// Brings the write-ahead log into the database beside the writer, on a connection and thread of its own. SQLite's automatic
/// checkpoint would run inside some commit, which then waits for the copying of a thousand pages and for two more syncs.
final class Checkpointer: Sendable {
    /// Commits between two checkpoints: some 4 MB of log.
    private static let interval = 128
    private struct State {
        var commits = 0
        var isRunning = false
    }
    private let database: DatabaseQueue
    private let state = Mutex(State())

    init(path: String, configuration: Configuration) throws {
        database = try DatabaseQueue(path: path, configuration: configuration)
        try database.inDatabase { try $0.execute(sql: "PRAGMA synchronous = FULL") }
    }

    /// Counts a commit of the writer; starts a checkpoint where it is time for one.
    /// - Parameter failed: called where the disk fails.
    func noteCommit(failed: @escaping @Sendable (DatabaseError) -> Void) {
        let isDue = state.withLock { state in
            state.commits += 1
            guard state.commits >= Self.interval, !state.isRunning else { return false }
            state.commits = 0
            state.isRunning = true
            return true
        }
        guard isDue else { return }
        database.asyncWriteWithoutTransaction { [self] database in
            do {
                // Passive: never waits for a reader or the writer, nor makes one wait.
                try database.checkpoint(.passive)
            } catch let error as DatabaseError
                where [.SQLITE_IOERR, .SQLITE_CORRUPT, .SQLITE_NOTADB].contains(
                    error.resultCode.primaryResultCode)
            {
                failed(error)
            } catch {
                // No room, or busy: the log stays as it is, and is complete.
            }
            state.withLock { $0.isRunning = false }
        }
    }

    func close() { try? database.close() }
}
