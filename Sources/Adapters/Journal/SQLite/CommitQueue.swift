internal import Foundation
internal import GRDB
internal import Synchronization

/// Gathers writes that come while one is being synced and commits them together: each caller waits for its
/// own durable commit, and the disk is synced once for all of them. Runs on the database's own thread.
///
/// Where the file is locked by another program or the disk is full, new work is refused and what must not be lost is kept
/// and tried again, with each new write and with back-off, until it is durable or `patience` is over. After an error of the
/// disk itself nothing is tried again on that connection: the file is closed, opened and checked anew, and what was being
/// committed is looked for there; where that fails, too, the journal has stopped.
final class CommitQueue: Sendable {
    private struct Job: Sendable {
        let isVital: Bool
        /// The transaction and what it becomes, where a failure may be told of a change that comes back.
        let subject: Subject?
        /// Works inside the transaction; what it returns is called when that is durable. May run more than
        /// once, each time after everything of the time before was rolled back. A `JournalError` that it
        /// throws is its caller's alone: it must come before the job changes anything.
        let run: @Sendable (Database) throws -> (@Sendable () -> Void)
        let fail: @Sendable (JournalError) -> Void
        /// When it is given up: set with the first failure.
        var deadline: ContinuousClock.Instant?
    }

    struct Subject: Sendable {
        let id: String
        let state: TransactionState
    }

    /// An open file.
    struct Connections: Sendable {
        let database: any DatabaseWriter
        let checkpointer: Checkpointer?
        /// Where the chain of changes ends in it.
        let head: ChangeChain.Head
    }

    /// A transaction that failed.
    private struct Failure: Sendable {
        let error: DatabaseError
        let before: ChangeChain.Head
        /// Where the error came with the commit itself, which may be in the log all the same.
        var commit: Commit?

        struct Commit: Sendable {
            /// Where the chain would end.
            let head: ChangeChain.Head
            /// What would be answered.
            let answers: [@Sendable () -> Void]
            /// What must not be told without being written down.
            let doubts: [DoubtFile.Entry]
        }
    }

    private struct State {
        var connections: Connections
        var queue: [Job] = []
        /// Vital ones that did not get through yet: they come before the queue.
        var kept: [Job] = []
        var retryIsDue = false
        var isWaitingToRetry = false
        var failedTries = 0
        var isDraining = false
        /// Nothing runs while the file is opened anew.
        var isReopening = false
        var isClosed = false
        /// A checkpoint failed: the file is to be opened anew.
        var checkpointError: DatabaseError?
        /// Whether a commit has succeeded since the file was opened anew.
        var mayReopen = true
        /// Of commits that failed since the last one that succeeded.
        var doubts: [DoubtFile.Entry] = []
        var stopped: JournalError?
        /// The same, where the process is to end for it.
        var stoppedForGood: JournalError?
        var failing: JournalError?
        var lastSuccess: ContinuousClock.Instant?
        var probe: Task<JournalError?, Never>?
        var observers: [AsyncStream<JournalHealth>.Continuation] = []
    }

    private static let greatestBatch = 512
    /// How long a vital write is tried again before its caller is told of a failure: customers wait meanwhile.
    static let patience = Duration.seconds(15)
    private static let firstDelay = Duration.milliseconds(100)
    private static let greatestDelay = Duration.seconds(2)
    /// A success that is older says nothing of now.
    private static let freshness = Duration.seconds(5)

    private let path: String
    private let chain: ChangeChain
    private let reserve: SpaceReserve?
    private let doubtFile: DoubtFile?
    private let identity: FileIdentity?
    private let patience: Duration
    private let reopen: (@Sendable (Connections) async throws -> Connections)?
    private let state: Mutex<State>

    /// - Parameters:
    ///   - chain: its end is kept as the commits go.
    ///   - reopen: closes what was open and opens the file anew, with all its checks; nil where that cannot be.
    init(
        _ connections: Connections, path: String, chain: ChangeChain, reserve: SpaceReserve? = nil,
        doubtFile: DoubtFile? = nil, patience: Duration = patience,
        reopen: (@Sendable (Connections) async throws -> Connections)? = nil
    ) {
        state = Mutex(State(connections: connections))
        self.path = path
        self.chain = chain
        self.reserve = reserve
        self.doubtFile = doubtFile
        self.patience = patience
        self.reopen = reopen
        identity = reserve == nil ? nil : FileIdentity(path)
    }

    /// What is open now, for reading.
    var database: any DatabaseWriter { state.withLock { $0.connections.database } }

    /// Runs `work` in a transaction that may be shared with others, and returns when it is durable.
    /// - Parameters:
    ///   - isVital: may use the reserved room of a full disk, and is tried again.
    ///   - subject: what it changes, where somebody may be told of its failure.
    func commit<T: Sendable>(
        isVital: Bool, subject: Subject? = nil, _ work: @escaping @Sendable (Database) throws -> T
    ) async throws(JournalError) -> T {
        let result = await withCheckedContinuation {
            (continuation: CheckedContinuation<Result<T, JournalError>, Never>) in
            let job = Job(
                isVital: isVital, subject: subject,
                run: { database in
                    let value = try work(database)
                    return { continuation.resume(returning: .success(value)) }
                },
                fail: { continuation.resume(returning: .failure($0)) })
            start { $0.queue.append(job) }
        }
        return try result.get()
    }

    /// Changes the state, and drains where nobody does.
    private func start(_ change: (inout State) -> Void) {
        let database = state.withLock { state -> (any DatabaseWriter)? in
            change(&state)
            if state.isDraining || state.isReopening { return nil }
            state.isDraining = true
            return state.connections.database
        }
        database?.asyncWriteWithoutTransaction { self.drain($0) }
    }

    /// Whether a new transaction may begin: what it may need at its end has room.
    var hasRoomForNew: Bool {
        if reserve?.hold() ?? true, doubtFile?.isReady ?? true { return true }
        // The log may hold the room that is missing, though all of it is in the file.
        state.withLock { $0.isReopening || $0.isClosed ? nil : $0.connections.checkpointer }?.giveBack()
        return false
    }

    /// Writes that wait for the present commit to end.
    var waiting: Int { state.withLock { $0.queue.count } }

    /// No write is taken any more.
    func stop(_ reason: JournalError) { start { if $0.stopped == nil { $0.stopped = reason } } }

    /// No write is taken any more, and the checkpoints beside the writer end.
    /// - Returns: what is to be closed; nil where it is closed already, or could not be opened anew.
    func end(_ reason: JournalError) -> (any DatabaseWriter)? {
        stop(reason)
        let open = state.withLock { state -> Connections? in
            // One that is being opened anew is closed there.
            defer { state.isClosed = true }
            return state.isClosed || state.isReopening ? nil : state.connections
        }
        open?.checkpointer?.close()
        return open?.database
    }

    // MARK: - How it is

    /// - Returns: each change, until it has stopped.
    func healthChanges() -> AsyncStream<JournalHealth> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: JournalHealth.self, bufferingPolicy: .bufferingNewest(8))
        state.withLock { state in
            guard let error = state.stoppedForGood else { return state.observers.append(continuation) }
            continuation.yield(.stopped(error))
            continuation.finish()
        }
        return stream
    }

    private static func tell(_ health: JournalHealth, _ state: inout State) {
        for observer in state.observers { observer.yield(health) }
    }

    /// Whether writes are taken: by the last one, or by one that is made for it where that was long ago.
    /// - Throws: why not. While writes fail one is tried beside this, for the next who asks.
    func checkWrites() async throws(JournalError) {
        if let stopped = state.withLock({ $0.stopped }) { throw stopped }
        guard hasRoomForNew else { throw .diskFull(path: path) }
        enum Answer {
            case known(JournalError?)
            case probing(Task<JournalError?, Never>)
        }
        let answer = state.withLock { state -> Answer in
            if let stopped = state.stopped { return .known(stopped) }
            let isFresh = state.lastSuccess.map { ContinuousClock.now - $0 < Self.freshness } ?? false
            if state.failing == nil, isFresh { return .known(nil) }
            let probe = state.probe ?? Task { await self.probe() }
            state.probe = probe
            return state.failing.map { .known($0) } ?? .probing(probe)
        }
        let error: JournalError? =
            switch answer {
            case .known(let error): error
            case .probing(let task): await task.value
            }
        if let error { throw error }
    }

    /// A commit that changes nothing but writes a page: the version of the schema is as it was.
    private func probe() async -> JournalError? {
        var found: JournalError?
        do throws(JournalError) {
            try await commit(isVital: false) {
                try $0.execute(sql: "PRAGMA user_version = \(Schema.version)")
            }
        } catch { found = error }
        state.withLock { $0.probe = nil }
        return found
    }

    // MARK: - Running

    private func drain(_ database: Database) {
        while true {
            let (jobs, checkpointError) = state.withLock { state -> ([Job], DatabaseError?) in
                if let error = state.checkpointError {
                    state.checkpointError = nil
                    return ([], error)
                }
                var jobs: [Job] = []
                // New work is the occasion to try what was kept, as is the time.
                if state.retryIsDue || !state.queue.isEmpty || state.stopped != nil {
                    jobs = state.kept + state.queue.prefix(max(0, Self.greatestBatch - state.kept.count))
                    state.queue.removeFirst(jobs.count - state.kept.count)
                    state.kept = []
                    state.retryIsDue = false
                }
                if jobs.isEmpty { state.isDraining = false }
                return (jobs, nil)
            }
            if let checkpointError {
                return openAnew([], Failure(error: checkpointError, before: chain.head))
            }
            if jobs.isEmpty { return }
            if let identity, identity != FileIdentity(path) {
                stop(.stopped(path: path, reason: "the file was moved, replaced or deleted"))
            }
            guard run(jobs, database) else { return }
        }
    }

    /// - Returns: whether more can run on this connection.
    private func run(_ jobs: [Job], _ database: Database) -> Bool {
        if let stopped = state.withLock({ $0.stopped }) {
            for job in jobs { give(up: job, stopped) }
            return true
        }
        guard let failure = attempt(jobs, database) else { return true }
        let error = failure.error
        if error.resultCode.primaryResultCode == .SQLITE_IOERR, !error.isDiskFull {
            // After a failed sync the pages in memory may count as clean though they never reached the
            // disk: trying again would say "durable" of what is not.
            openAnew(jobs, failure)
            return false
        }
        state.withLock { $0.doubts += failure.commit?.doubts ?? [] }
        switch error.resultCode.primaryResultCode {
        case _ where error.isDiskFull:
            if jobs.count > 1 { return runEach(jobs, database) }
            for job in jobs {
                if job.isVital, let reserve, reserve.release() { return run([job], database) }
                keep(job, .diskFull(path: path))
            }
        case .SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_READONLY:
            let stopped = JournalError.stopped(path: path, reason: "a disk error (\(words(error)))")
            state.withLock { failed(stopped, &$0) }
            stop(stopped)
            return run(jobs, database)
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            // Some other program has the file: one wait was enough for all.
            for job in jobs { keep(job, .locked(path: path, processID: nil)) }
        case _ where jobs.count > 1: return runEach(jobs, database)
        default: for job in jobs { give(up: job, .writeFailed(path: path, reason: words(error))) }
        }
        return true
    }

    /// One after the other, as one of them may be what the others failed for.
    private func runEach(_ jobs: [Job], _ database: Database) -> Bool {
        for (index, job) in jobs.enumerated() {
            guard run([job], database) else {
                // The others follow on the new connection.
                state.withLock { $0.queue.insert(contentsOf: jobs[(index + 1)...], at: 0) }
                return false
            }
        }
        return true
    }

    /// - Returns: nil where all jobs were answered; else none was, and nothing was kept as far as the error tells.
    private func attempt(_ jobs: [Job], _ database: Database) -> Failure? {
        let before = chain.head
        var answers: [@Sendable () -> Void] = []
        answers.reserveCapacity(jobs.count)
        var doubts: [DoubtFile.Entry] = []
        var isCommitting = false
        do {
            try database.inTransaction(.immediate) {
                for job in jobs {
                    do {
                        answers.append(try job.run(database))
                        if let subject = job.subject {
                            let head = chain.head
                            doubts.append(
                                DoubtFile.Entry(
                                    id: subject.id, state: subject.state, sequence: head.sequence,
                                    link: head.link))
                        }
                    } catch let error as JournalError {
                        answers.append { job.fail(error) }
                    }
                }
                isCommitting = true
                return .commit
            }
        } catch {
            let after = chain.head
            chain.head = before
            let error = error as? DatabaseError ?? DatabaseError(message: "\(error)")
            guard isCommitting else { return Failure(error: error, before: before) }
            return Failure(
                error: error, before: before,
                commit: Failure.Commit(head: after, answers: answers, doubts: doubts))
        }
        succeeded()
        for answer in answers { answer() }
        state.withLock { $0.connections.checkpointer }?.noteCommit { [weak self] error in
            // As with a commit whose sync fails: nothing is known of the disk any more.
            self?.start { $0.checkpointError = error }
        }
        return nil
    }

    /// The log goes on with this commit: none that failed before can come back.
    private func succeeded() {
        let hadFailed = state.withLock { state in
            defer {
                state.failing = nil
                state.failedTries = 0
                state.doubts = []
                state.mayReopen = true
                state.lastSuccess = .now
            }
            if state.failing != nil { Self.tell(.takesWrites, &state) }
            return state.failing != nil
        }
        if hadFailed { doubtFile?.clear() }
    }

    private func failed(_ error: JournalError, _ state: inout State) {
        if state.failing == nil { Self.tell(.failing(error), &state) }
        state.failing = error
    }

    /// Keeps a vital job for another try; the others, and those whose time is over, are told.
    private func keep(_ job: Job, _ error: JournalError) {
        var job = job
        let now = ContinuousClock.now
        let deadline = job.deadline ?? now + patience
        job.deadline = deadline
        guard job.isVital, now < deadline else {
            state.withLock { failed(error, &$0) }
            return give(up: job, error)
        }
        let delay = state.withLock { state -> Duration? in
            failed(error, &state)
            state.kept.append(job)
            if state.isWaitingToRetry { return nil }
            state.isWaitingToRetry = true
            state.failedTries += 1
            return min(Self.firstDelay * (1 << min(state.failedTries - 1, 8)), Self.greatestDelay)
        }
        guard let delay else { return }
        Task {
            try? await Task.sleep(for: delay)
            start { state in
                state.isWaitingToRetry = false
                state.retryIsDue = !state.kept.isEmpty
            }
        }
    }

    /// Tells a job that it failed, after what may come back of it was written down.
    private func give(up job: Job, _ error: JournalError) {
        let doubts = state.withLock { state in state.doubts.filter { $0.id == job.subject?.id } }
        var error = error
        if !doubts.isEmpty, let doubtFile, !doubtFile.add(doubts) {
            error = .stopped(path: path, reason: "\(error); \(doubtFile.path) does not take what is in doubt")
            stopForGood(error)
        }
        job.fail(error)
    }

    // MARK: - Opening anew

    private func openAnew(_ jobs: [Job], _ failure: Failure) {
        let stopped = JournalError.stopped(path: path, reason: "a disk error (\(words(failure.error)))")
        let (old, earlier) = state.withLock { state -> (Connections?, [DoubtFile.Entry]) in
            let earlier = state.doubts
            state.doubts += failure.commit?.doubts ?? []
            state.isDraining = false
            failed(stopped, &state)
            guard state.mayReopen, reopen != nil, state.stopped == nil else { return (nil, earlier) }
            state.isReopening = true
            state.mayReopen = false
            return (state.connections, earlier)
        }
        guard let old, let reopen else {
            stopForGood(stopped)
            for job in jobs { give(up: job, stopped) }
            return start { _ in }
        }
        Task {
            // What failed before this commit is taken back where it comes back; whether this one is there is seen below.
            if !earlier.isEmpty { _ = doubtFile?.add(earlier) }
            let opened: Connections
            do {
                opened = try await reopen(old)
            } catch {
                let reason = JournalError.stopped(
                    path: path,
                    reason: "a disk error (\(words(failure.error))), and it cannot be opened anew: \(error)")
                stopForGood(reason)
                for job in jobs { give(up: job, reason) }
                return start { state in
                    state.isReopening = false
                    state.isClosed = true
                }
            }
            take(opened, jobs, failure)
        }
    }

    /// Goes on with the file as it was found: what was being committed is there as a whole, or not at all.
    private func take(_ opened: Connections, _ jobs: [Job], _ failure: Failure) {
        if let stopped = state.withLock({ $0.stopped }) {
            // Closed meanwhile.
            opened.checkpointer?.close()
            try? opened.database.close()
            for job in jobs { job.fail(stopped) }
            return start { $0.isReopening = false }
        }
        chain.head = opened.head
        let isThere = failure.commit.map {
            $0.head.link == opened.head.link && $0.head.sequence > failure.before.sequence
        }
        if isThere == true {
            succeeded()
            for answer in failure.commit?.answers ?? [] { answer() }
        }
        let again = isThere == true ? [] : jobs.filter(\.isVital)
        start { state in
            state.connections = opened
            state.isReopening = false
            state.doubts = []
            // Each is a compare-and-set against what is there.
            state.kept = again + state.kept
            state.retryIsDue = !state.kept.isEmpty
        }
        guard isThere != true else { return }
        for job in jobs where !job.isVital {
            job.fail(
                .writeFailed(
                    path: path, reason: "a disk error (\(words(failure.error))); the journal was opened anew")
            )
        }
    }

    /// No write is taken any more, and whoever runs the process hears of it.
    private func stopForGood(_ error: JournalError) {
        state.withLock { state in
            if state.stopped == nil { state.stopped = error }
            guard state.stoppedForGood == nil else { return }
            state.stoppedForGood = error
            state.failing = error
            Self.tell(.stopped(error), &state)
            for observer in state.observers { observer.finish() }
            state.observers = []
        }
    }

    private func words(_ error: DatabaseError) -> String {
        "\(error.message ?? "no message"), SQLite code \(error.extendedResultCode.rawValue)"
    }
}

extension DatabaseError {
    /// SQLite tells a full disk as an input/output error where it makes the shared memory of the log.
    var isDiskFull: Bool {
        resultCode.primaryResultCode == .SQLITE_FULL || extendedResultCode == .SQLITE_IOERR_SHMSIZE
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
