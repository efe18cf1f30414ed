import Synchronization

/// A value that changes on other threads, and whose changes a test waits for.
public final class Observed<Value: Sendable>: Sendable {
    private struct Waiter: Sendable {
        var isSo: @Sendable (Value) -> Bool
        var continuation: CheckedContinuation<Bool, Never>
    }
    private struct State: Sendable {
        var value: Value
        var waiters: [Int: Waiter] = [:]
        var cancelled: Set<Int> = []
        var next = 0
    }
    private let state: Mutex<State>

    public init(_ value: Value) { state = Mutex(State(value: value)) }

    public var value: Value { state.withLock { $0.value } }

    /// Changes the value and wakes those whose wait is over.
    @discardableResult
    public func update<Result: Sendable>(_ change: @Sendable (inout Value) -> Result) -> Result {
        let (result, woken) = state.withLock { state in
            let result = change(&state.value)
            let over = state.waiters.filter { $0.value.isSo(state.value) }
            for id in over.keys { state.waiters[id] = nil }
            return (result, over.values.map(\.continuation))
        }
        for continuation in woken { continuation.resume(returning: true) }
        return result
    }

    /// Waits until the value is as it should be; looks at each change.
    /// - Parameter limit: far more than it takes, so that a failure is told and the tests go on.
    /// - Returns: whether it came to be so.
    public func wait(
        within limit: Duration = .seconds(60), until isSo: @escaping @Sendable (Value) -> Bool
    ) async -> Bool {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask { await self.waitForever(until: isSo) }
            group.addTask {
                try? await Task.sleep(for: limit)
                return false
            }
            let first = await group.next() ?? false
            group.cancelAll()
            return first
        }
    }

    /// Waits without a limit, until it is so or the task is cancelled.
    @discardableResult
    public func waitForever(until isSo: @escaping @Sendable (Value) -> Bool) async -> Bool {
        let id = state.withLock { state in
            state.next += 1
            return state.next
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer: Bool? = state.withLock { state in
                    let isCancelled = state.cancelled.remove(id) != nil
                    if isSo(state.value) { return true }
                    if isCancelled { return false }
                    state.waiters[id] = Waiter(isSo: isSo, continuation: continuation)
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                guard let waiter = state.waiters.removeValue(forKey: id) else {
                    state.cancelled.insert(id)
                    return nil as Waiter?
                }
                return waiter
            }
            waiter?.continuation.resume(returning: false)
        }
    }
}

/// Looks again and again at what can only be asked, such as another process, until it is so.
/// - Returns: whether it came to be so in time.
public func polled(within limit: Duration = .seconds(60), _ isSo: () async -> Bool) async -> Bool {
    let end = ContinuousClock.now + limit
    while await !isSo() {
        guard ContinuousClock.now < end else { return false }
        try? await Task.sleep(for: .milliseconds(10))
    }
    return true
}
