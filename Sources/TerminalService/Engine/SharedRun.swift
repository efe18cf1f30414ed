internal import Synchronization

/// Work that is done once at a time: whoever asks while it is under way gets the same result.
final class SharedRun<Value: Sendable>: Sendable {
    private struct State: Sendable {
        var task: Task<Result<Value, Problem>, Never>?
        var waiting = 0
    }
    private let state = Mutex(State())

    /// Who waits for the work that is under way.
    var waiting: Int { state.withLock { $0.waiting } }

    func run(_ work: @escaping @Sendable () async throws(Problem) -> Value) async throws(Problem) -> Value {
        let task = state.withLock { state in
            state.waiting += 1
            if let task = state.task { return task }
            let task = Task {
                let result: Result<Value, Problem>
                do throws(Problem) { result = .success(try await work()) } catch { result = .failure(error) }
                self.state.withLock { $0.task = nil }
                return result
            }
            state.task = task
            return task
        }
        let result = await task.value
        state.withLock { $0.waiting -= 1 }
        return try result.get()
    }
}
