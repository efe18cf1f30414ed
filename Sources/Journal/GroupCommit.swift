internal import GRDB

/// Gathers writes that come while one is being synced and commits them together: each caller waits for its
/// own durable commit, and the disk is synced once for all of them.
actor GroupCommit {
    private struct Job {
        let work: @Sendable (Database) throws -> Void
        let finished: CheckedContinuation<Void, any Error>
    }
    /// What one job's work threw, told apart from a failure of the commit itself.
    private let database: any DatabaseWriter
    private var queue: [Job] = []
    private var isRunning = false
    /// The first failure of a commit: after it nothing is written (the pages in memory may say that they
    /// are clean though they never reached the disk).
    private var poison: (any Error)?

    init(_ database: any DatabaseWriter) { self.database = database }

    /// Runs `work` inside a transaction, shared with others but in a savepoint of its own, and returns when
    /// it is durable.
    func commit<T: Sendable>(_ work: @escaping @Sendable (Database) throws -> T) async throws -> T {
        if let poison { throw poison }
        let box = ResultBox<T>()
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            queue.append(
                Job(
                    work: { box.value = .success(try work($0)) }, finished: continuation))
            if !isRunning {
                isRunning = true
                Task { await self.drain() }
            }
        }
        guard let value = box.value else { throw CancellationError() }
        return try value.get()
    }

    /// Written by the database's queue before the commit, read by the waiting caller after it.
    private final class ResultBox<T: Sendable>: @unchecked Sendable {
        var value: Result<T, any Error>?
    }

    private func drain() async {
        while !queue.isEmpty {
            let jobs = queue
            queue = []
            do {
                if let poison { throw poison }
                let failures = try await database.write { database in
                    jobs.map { job -> (any Error)? in
                        do {
                            try database.inSavepoint {
                                try job.work(database)
                                return .commit
                            }
                            return nil
                        } catch {
                            return error
                        }
                    }
                }
                for (job, failure) in zip(jobs, failures) {
                    if let failure {
                        job.finished.resume(throwing: failure)
                    } else {
                        job.finished.resume()
                    }
                }
            } catch {
                poison = error
                for job in jobs { job.finished.resume(throwing: error) }
            }
        }
        isRunning = false
    }
}
