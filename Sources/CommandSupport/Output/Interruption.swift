internal import Foundation
package import Terminal

/// Ctrl-C as the cancellation of a task.
package enum Interruption {
    package static func cancelling<Success: Sendable, Failure: Error, T>(
        _ task: Task<Success, Failure>, _ body: () async throws -> T
    ) async rethrows -> T {
        signal(SIGINT, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
        source.setEventHandler { task.cancel() }
        source.resume()
        defer { source.cancel() }
        return try await body()
    }

    /// Runs a payment so that Ctrl-C cancels it properly.
    package static func payment(
        _ body: @escaping @Sendable () async throws -> PaymentResult
    ) async throws -> PaymentResult {
        let task = Task { try await body() }
        do {
            return try await cancelling(task) { try await task.value }
        } catch let error as TerminalError {
            switch error {
            case .journal: throw CommandFailure(.journal, "\(error)")
            case .rejected: throw CommandFailure(.notApproved, "\(error)")
            case .busy, .invalidRequest, .keyReused: throw CommandFailure(.usage, "\(error)")
            }
        }
    }
}
