internal import Synchronization

/// Numbers the events of the daemon, keeps the latest ones, and hands them to whoever listens. Telling an event
/// never waits: a listener that does not keep up loses events, and is told how many.
final class EventHub: Sendable {
    /// What a listener gets.
    enum Item: Sendable {
        case event(ServiceEvent)
        /// So many events were lost here.
        case lost(Int)
        /// Nothing happened for a while: shows that both ends are there.
        case heartbeat
    }

    /// One listener's buffer.
    final class Listener: Sendable {
        private struct State {
            var items: [Item] = []
            var waiter: CheckedContinuation<Void, Never>?
            var isClosed = false
            var lost: UInt64 = 0
            /// Beats since the client took something.
            var silence = 0
            var stalled: (@Sendable () -> Void)?
            var count: Int { items.count }
        }
        private let state = Mutex(State())
        let terminal: String?
        let payment: String?
        let capacity: Int

        init(terminal: String?, payment: String?, capacity: Int) {
            self.terminal = terminal
            self.payment = payment
            self.capacity = capacity
        }

        func wants(_ event: ServiceEvent) -> Bool {
            (terminal == nil || event.terminal == terminal) && (payment == nil || event.payment == payment)
        }

        func push(_ event: ServiceEvent) {
            let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
                guard !state.isClosed else { return nil }
                if state.count >= capacity {
                    state.lost += 1
                    if case .lost(let count)? = state.items.last {
                        state.items[state.items.count - 1] = .lost(count + 1)
                    } else {
                        state.items.append(.lost(1))
                    }
                } else {
                    state.items.append(.event(event))
                }
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume()
        }

        /// - Parameter action: what is done when the client has taken nothing for so many beats while something waited.
        func whenStalled(_ action: @escaping @Sendable () -> Void) { state.withLock { $0.stalled = action } }
        static let mostSilence = 6

        var isEmpty: Bool { state.withLock { $0.count == 0 } }

        func beat() {
            let stalled = state.withLock { state -> (@Sendable () -> Void)? in
                guard state.count > 0 else { return nil }
                state.silence += 1
                return state.silence > Self.mostSilence ? state.stalled : nil
            }
            stalled?()
            let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
                guard state.count == 0, !state.isClosed else { return nil }
                state.items.append(.heartbeat)
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume()
        }

        func close() {
            let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
                state.isClosed = true
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume()
        }

        /// All that has come since the last call; empty when the hub has closed or the task is cancelled. One caller only.
        func next() async -> [Item] {
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let waits = state.withLock { state in
                        guard state.count == 0, !state.isClosed, !Task.isCancelled else { return false }
                        state.waiter = continuation
                        return true
                    }
                    if !waits { continuation.resume() }
                }
            } onCancel: {
                close()
            }
            return state.withLock { state in
                state.silence = 0
                defer { state.items.removeAll(keepingCapacity: true) }
                return state.items
            }
        }
    }

    private struct State {
        var lastID: UInt64 = 0
        /// The latest events, oldest at `start`.
        var ring: [ServiceEvent] = []
        var start = 0
        var listeners: [ObjectIdentifier: Listener] = [:]
        var isClosed = false
    }
    private let state = Mutex(State())
    let ringCapacity: Int
    let listenerCapacity: Int

    init(ringCapacity: Int = 8192, listenerCapacity: Int = 2048) {
        self.ringCapacity = ringCapacity
        self.listenerCapacity = listenerCapacity
    }

    var listeners: Int { state.withLock { $0.listeners.count } }
    var lastID: UInt64 { state.withLock { $0.lastID } }

    /// Gives the event its number and tells it.
    func tell(_ make: (UInt64) -> ServiceEvent) {
        state.withLock { state in
            state.lastID += 1
            let event = make(state.lastID)
            if state.ring.count < ringCapacity {
                state.ring.append(event)
            } else {
                state.ring[state.start] = event
                state.start = (state.start + 1) % ringCapacity
            }
            for listener in state.listeners.values where listener.wants(event) { listener.push(event) }
        }
    }

    /// Listens from now on.
    /// - Parameters:
    ///   - after: the last event that the client has; nil for new ones only.
    ///   - past: events from before the ring begins, such as a payment's own; called while nothing new is told.
    /// - Returns: the listener, what it has missed, and how many of those are gone; nil once the hub has closed.
    func listen(
        terminal: String? = nil, payment: String? = nil, after: UInt64?,
        past: (() -> [ServiceEvent])? = nil
    ) -> (listener: Listener, missed: [ServiceEvent], lost: UInt64)? {
        let listener = Listener(terminal: terminal, payment: payment, capacity: listenerCapacity)
        return state.withLock { state in
            guard !state.isClosed else { return nil }
            state.listeners[ObjectIdentifier(listener)] = listener
            if let past { return (listener, past().filter { $0.id > after ?? 0 }, 0) }
            // An id from before a restart of the daemon counts as none.
            guard let after, after < state.lastID else { return (listener, [], 0) }
            let ring = state.ring[state.start...] + state.ring[..<state.start]
            let oldest = ring.first?.id ?? state.lastID + 1
            let lost = terminal == nil && payment == nil && after + 1 < oldest ? oldest - after - 1 : 0
            return (listener, ring.filter { $0.id > after && listener.wants($0) }, lost)
        }
    }

    func leave(_ listener: Listener) {
        state.withLock { $0.listeners[ObjectIdentifier(listener)] = nil }
        listener.close()
    }

    /// Wakes idle listeners; call it every few seconds.
    func beat() {
        for listener in state.withLock({ Array($0.listeners.values) }) { listener.beat() }
    }

    /// Ends all streams.
    func close() {
        let listeners = state.withLock { state in
            state.isClosed = true
            defer { state.listeners = [:] }
            return Array(state.listeners.values)
        }
        for listener in listeners { listener.close() }
    }
}
