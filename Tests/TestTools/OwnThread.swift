internal import Foundation

/// Runs what blocks (a process that is waited for, a pipe that is read) on a thread of its own: the few threads of
/// concurrency are for what does not.
public func onOwnThread<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result(catching: body)) }
    }
}
