internal import GRDB
internal import Synchronization

/// Brings the write-ahead log into the database beside the writer, on a connection and thread of its own. SQLite's automatic
/// checkpoint would run inside some commit, which then waits for the copying of a thousand pages and for two more syncs.
final class Checkpointer: Sendable {
    /// Commits between two checkpoints: some 4 MB of log.
    private static let interval = 128
    private struct State {
        /// Commits that are in the log and not in the file, as far as is known.
        var commits: Int
        var isRunning = false
        var isClosed = false
    }
    private let database: DatabaseQueue
    private let state: Mutex<State>

    /// - Parameter frames: pages that the log has from before and that are not in the file.
    init(path: String, configuration: Configuration, frames: Int = 0) throws {
        var configuration = configuration
        // A checkpoint that is in somebody's way is made later: nobody waits for it.
        configuration.busyMode = .immediateError
        database = try DatabaseQueue(path: path, configuration: configuration)
        state = Mutex(State(commits: frames > 0 ? Self.interval : 0))
        try database.inDatabase { try $0.execute(sql: "PRAGMA synchronous = FULL") }
    }

    /// Counts a commit of the writer; starts a checkpoint where it is time for one.
    /// - Parameter failed: called where the disk fails.
    func noteCommit(failed: @escaping @Sendable (DatabaseError) -> Void) {
        let isDue = state.withLock { state in
            state.commits += 1
            guard state.commits >= Self.interval, !state.isRunning, !state.isClosed else { return false }
            state.commits = 0
            state.isRunning = true
            return true
        }
        // Passive: never waits for a reader or the writer, nor makes one wait.
        if isDue { run(.passive, failed) }
    }

    /// Gives the log's room back to the file system, where nobody needs what is in it.
    func giveBack() {
        let mayRun = state.withLock { state in
            guard !state.isRunning, !state.isClosed else { return false }
            state.isRunning = true
            return true
        }
        if mayRun { run(.truncate) { _ in } }
    }

    private func run(
        _ kind: Database.CheckpointMode, _ failed: @escaping @Sendable (DatabaseError) -> Void
    ) {
        database.asyncWriteWithoutTransaction { [self] database in
            if state.withLock({ $0.isClosed }) { return }
            var left = 0
            do {
                let result = try database.checkpoint(kind)
                left = max(0, result.walFrameCount - result.checkpointedFrameCount)
            } catch let error as DatabaseError
                where [.SQLITE_IOERR, .SQLITE_CORRUPT, .SQLITE_NOTADB].contains(
                    error.resultCode.primaryResultCode) && !error.isDiskFull
            {
                failed(error)
            } catch {
                // No room, or busy: the log stays as it is, and is complete.
                left = 1
            }
            state.withLock { state in
                state.isRunning = false
                // What a reader held back is tried again sooner.
                if left > 0 { state.commits = max(state.commits, Self.interval / 2) }
            }
        }
    }

    func close() {
        // No other begins: what runs is waited for.
        state.withLock { $0.isClosed = true }
        try? database.close()
    }
}
