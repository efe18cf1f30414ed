internal import Synchronization

/// Something that happens once, and those who wait for it.
final class OneShot: Sendable {
    private struct State {
        var hasHappened = false
        var next = 0
        var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
    }
    private let state = Mutex(State())

    var hasHappened: Bool { state.withLock { $0.hasHappened } }

    func happen() {
        let waiters = state.withLock { state in
            state.hasHappened = true
            defer { state.waiters = [:] }
            return state.waiters
        }
        for waiter in waiters.values { waiter.resume() }
    }

    /// Returns when it has happened, the time is over, or the task is cancelled.
    /// - Returns: whether it has happened.
    @discardableResult
    func wait(atMost limit: Duration? = nil) async -> Bool {
        let id = state.withLock { state in
            state.next += 1
            return state.next
        }
        let timer = limit.map { limit in
            Task { [weak self] in
                try? await Task.sleep(for: limit)
                if !Task.isCancelled { self?.giveUp(id) }
            }
        }
        defer { timer?.cancel() }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let waits = state.withLock { state in
                    guard !state.hasHappened, !Task.isCancelled, limit.map({ $0 > .zero }) ?? true else {
                        return false
                    }
                    state.waiters[id] = continuation
                    return true
                }
                if !waits { continuation.resume() }
            }
        } onCancel: {
            giveUp(id)
        }
        return hasHappened
    }

    private func giveUp(_ id: Int) {
        state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
    }
}

/// Wakes one who waits, again and again: by whoever rings, or by the clock.
final class Bell: Sendable {
    private let next = Mutex(OneShot())

    func ring() { next.withLock { $0 }.happen() }

    /// Returns when somebody has rung since the last wait, the time is over, or the task is cancelled.
    func wait(atMost limit: Duration) async {
        await next.withLock { $0 }.wait(atMost: limit)
        // Whoever rings from here on is heard by the next wait.
        next.withLock { $0 = OneShot() }
    }
}
