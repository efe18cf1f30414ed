internal import Foundation
internal import GRDB
internal import Synchronization

/// Gathers writes that come while one is being synced and commits them together: each caller waits for its
/// own durable commit, and the disk is synced once for all of them. Runs on the database's own thread.
final class CommitQueue: Sendable {
    private struct Job: Sendable {
        let isVital: Bool
        /// Works inside the transaction; what it returns is called when that is durable. May run more than
        /// once, each time after everything of the time before was rolled back. A `JournalError` that it
        /// throws is its caller's alone: it must come before the job changes anything.
        let run: @Sendable (Database) throws -> (() -> Void)
        let fail: @Sendable (JournalError) -> Void
    }
    private struct State {
        var queue: [Job] = []
        var isDraining = false
        var stopped: JournalError?
    }

    private static let greatestBatch = 512
    private let database: any DatabaseWriter
    private let path: String
    private let chain: ChangeChain
    private let reserve: SpaceReserve?
    private let checkpointer: Checkpointer?
    private let identity: FileIdentity?
    private let state = Mutex(State())

    init(
        _ database: any DatabaseWriter, path: String, chain: ChangeChain, reserve: SpaceReserve?,
        checkpointer: Checkpointer?
    ) {
        self.database = database
        self.checkpointer = checkpointer
        self.path = path
        self.chain = chain
        self.reserve = reserve
        identity = reserve == nil ? nil : FileIdentity(path)
    }

    /// Runs `work` in a transaction that may be shared with others, and returns when it is durable.
    /// - Parameter isVital: may use the reserved room of a full disk.
    func commit<T: Sendable>(
        isVital: Bool, _ work: @escaping @Sendable (Database) throws -> T
    ) async throws(JournalError) -> T {
        let result = await withCheckedContinuation {
            (continuation: CheckedContinuation<Result<T, JournalError>, Never>) in
            let job = Job(
                isVital: isVital,
                run: { database in
                    let value = try work(database)
                    return { continuation.resume(returning: .success(value)) }
                },
                fail: { continuation.resume(returning: .failure($0)) })
            let mustStart = state.withLock { state in
                state.queue.append(job)
                if state.isDraining { return false }
                state.isDraining = true
                return true
            }
            if mustStart { database.asyncWriteWithoutTransaction { self.drain($0) } }
        }
        return try result.get()
    }

    /// Whether a new transaction may begin: what it may need at its end has room.
    var hasRoomForNew: Bool { reserve?.hold() ?? true }

    /// Writes that wait for the present commit to end.
    var waiting: Int { state.withLock { $0.queue.count } }

    /// No write is taken any more.
    func stop(_ reason: JournalError) {
        state.withLock { if $0.stopped == nil { $0.stopped = reason } }
    }

    /// Ends the checkpoints beside the writer, before the file is closed.
    func closeCheckpointer() { checkpointer?.close() }

    private func drain(_ database: Database) {
        while true {
            let jobs = state.withLock { state -> [Job] in
                let jobs = Array(state.queue.prefix(Self.greatestBatch))
                state.queue.removeFirst(jobs.count)
                if jobs.isEmpty { state.isDraining = false }
                return jobs
            }
            if jobs.isEmpty { return }
            if let identity, identity != FileIdentity(path) {
                stop(.stopped(path: path, reason: "the file was moved, replaced or deleted"))
            }
            run(jobs, database)
        }
    }

    private func run(_ jobs: [Job], _ database: Database) {
        if let stopped = state.withLock({ $0.stopped }) {
            for job in jobs { job.fail(stopped) }
            return
        }
        guard let error = attempt(jobs, database) else { return }
        let code = error.resultCode.primaryResultCode
        switch code {
        case .SQLITE_IOERR, .SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_READONLY:
            // After a failed sync the pages in memory may count as clean though they never reached the
            // disk: trying again would say "durable" of what is not.
            let stopped = JournalError.stopped(path: path, reason: "a disk error (\(words(error)))")
            stop(stopped)
            for job in jobs { job.fail(stopped) }
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            // Some other program has the file: one wait was enough for all.
            for job in jobs { job.fail(.locked(path: path, processID: nil)) }
        case _ where jobs.count > 1:
            for job in jobs { run([job], database) }
        case .SQLITE_FULL:
            for job in jobs {
                guard job.isVital, let reserve, reserve.release() else {
                    job.fail(.diskFull(path: path))
                    continue
                }
                run([job], database)
            }
        default:
            for job in jobs { job.fail(.writeFailed(path: path, reason: words(error))) }
        }
    }

    /// - Returns: nil where all jobs were answered; else nothing was kept and none was answered.
    private func attempt(_ jobs: [Job], _ database: Database) -> DatabaseError? {
        let head = chain.head
        var answers: [() -> Void] = []
        answers.reserveCapacity(jobs.count)
        do {
            try database.inTransaction(.immediate) {
                for job in jobs {
                    do {
                        answers.append(try job.run(database))
                    } catch let error as JournalError {
                        answers.append { job.fail(error) }
                    }
                }
                return .commit
            }
        } catch {
            chain.head = head
            return error as? DatabaseError ?? DatabaseError(message: "\(error)")
        }
        for answer in answers { answer() }
        checkpointer?.noteCommit { [weak self] error in
            // As with a commit whose sync fails: nothing is known of the disk any more.
            guard let self else { return }
            stop(.stopped(path: path, reason: "a disk error (\(words(error)))"))
        }
        return nil
    }

    private func words(_ error: DatabaseError) -> String {
        "\(error.message ?? "no message"), SQLite code \(error.extendedResultCode.rawValue)"
    }
}

/// Which file a path leads to.
struct FileIdentity: Equatable {
    let device: UInt64
    let inode: UInt64

    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
    }
}
