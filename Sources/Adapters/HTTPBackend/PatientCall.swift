internal import Synchronization

/// A call that may go on for a while when nobody waits for it any more: what it then gives is late.
final class PatientCall<Value: Sendable>: Sendable {
    private enum State {
        case fresh
        case waiting(CheckedContinuation<(Value, Bool), Never>)
        /// Ended before anybody waited.
        case ended((Value, Bool))
        case over
    }
    private let state = Mutex(State.fresh)

    /// Calls that linger at a time; each may hold a connection.
    final class Room: Sendable {
        private let free: Mutex<Int>
        init(_ count: Int) { free = Mutex(count) }
        fileprivate func enter() -> Bool {
            free.withLock {
                guard $0 > 0 else { return false }
                $0 -= 1
                return true
            }
        }
        fileprivate func leave() { free.withLock { $0 += 1 } }
    }

    /// Waits for `body`, at most until the deadline or the caller's cancellation.
    /// - Parameters:
    ///   - patience: how long `body` may go on after that, until it is cancelled; where the room is full, not at all.
    ///   - giveUp: what the caller gets instead.
    ///   - late: gets the value that comes after that.
    static func run(
        until deadline: ContinuousClock.Instant, patience: Duration, room: Room,
        giveUp: @escaping @Sendable (_ isCancelled: Bool) -> Value,
        late: @escaping @Sendable (Value) async -> Void,
        _ body: @escaping @Sendable () async -> Value
    ) async -> Value {
        let call = PatientCall()
        let work = Task.detached {
            let value = await body()
            if !call.end(value, inTime: true) { await late(value) }
        }
        let timer = Task.detached {
            do { try await Task.sleep(until: deadline, clock: .continuous) } catch { return }
            call.end(giveUp(false), inTime: false)
        }
        let (value, isInTime) = await withTaskCancellationHandler {
            await withCheckedContinuation { call.wait($0) }
        } onCancel: {
            call.end(giveUp(true), inTime: false)
        }
        timer.cancel()
        if isInTime { return value }
        guard patience > .zero, room.enter() else {
            work.cancel()
            return value
        }
        Task.detached {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await work.value }
                group.addTask {
                    try? await Task.sleep(for: patience)
                    work.cancel()
                }
                await group.next()
                group.cancelAll()
            }
            room.leave()
        }
        return value
    }

    private func wait(_ continuation: CheckedContinuation<(Value, Bool), Never>) {
        let early: (Value, Bool)? = state.withLock {
            if case .ended(let value) = $0 {
                $0 = .over
                return value
            }
            $0 = .waiting(continuation)
            return nil
        }
        if let early { continuation.resume(returning: early) }
    }

    /// - Returns: whether this is what the caller gets.
    @discardableResult
    private func end(_ value: Value, inTime: Bool) -> Bool {
        let (isFirst, waiting): (Bool, CheckedContinuation<(Value, Bool), Never>?) = state.withLock {
            switch $0 {
            case .fresh:
                $0 = .ended((value, inTime))
                return (true, nil)
            case .waiting(let continuation):
                $0 = .over
                return (true, continuation)
            case .ended, .over: return (false, nil)
            }
        }
        waiting?.resume(returning: (value, inTime))
        return isFirst
    }
}
