import Dispatch

/// Runs asynchronous work to its end from a target, which is called by libFuzzer on a thread of its own.
func wait(_ work: @escaping @Sendable () async throws -> Void) throws {
    // Written by the task before the semaphore is signalled, read after.
    nonisolated(unsafe) var failure: (any Error)?
    let done = DispatchSemaphore(value: 0)
    Task.detached {
        do { try await work() } catch { failure = error }
        done.signal()
    }
    done.wait()
    if let failure { throw failure }
}
