internal import Dispatch
internal import Synchronization

/// What was waited for did not come. The time is no measure of anything: it only ends a test that would hang.
public struct WaitedInVain: Error, CustomStringConvertible {
    public let description: String
    init(_ what: String, _ patience: Duration) { description = "waited \(patience) in vain until \(what)" }
}

/// Asks again and again until something holds: the one way to wait for what cannot announce itself, as another process,
/// a file of its, `/proc`, or a thread inside a C library. What can is awaited: see `Recorded`.
/// - Parameters:
///   - what: ends "waited in vain until".
///   - patience: generous, as machines are shared: it only ends what would hang.
/// - Throws: `WaitedInVain`.
public nonisolated(nonsending) func eventually(
    _ what: String, within patience: Duration = .seconds(120), _ condition: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + patience
    while try await !condition() {
        guard ContinuousClock.now < end else { throw WaitedInVain(what, patience) }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// Values in the order in which they came, from wherever; a test waits until they are as it wants.
public final class Recorded<Element: Sendable>: Sendable {
    private struct State {
        var elements: [Element] = []
        var waiters: [Int: Waiter] = [:]
        var next = 0
    }
    private struct Waiter {
        var isMet: @Sendable ([Element]) -> Bool
        var continuation: CheckedContinuation<Bool, Never>
    }
    private let state = Mutex(State())

    public init() {}

    public var all: [Element] { state.withLock { $0.elements } }
    public var count: Int { state.withLock { $0.elements.count } }

    public func append(_ element: Element) {
        let met = state.withLock { state in
            state.elements.append(element)
            let elements = state.elements
            let met = state.waiters.filter { $0.value.isMet(elements) }
            for id in met.keys { state.waiters[id] = nil }
            return met.values
        }
        for waiter in met { waiter.continuation.resume(returning: true) }
    }

    /// Forgets what came until now.
    public func clear() { state.withLock { $0.elements = [] } }

    /// Waits until the values are as wanted.
    /// - Returns: all of them.
    /// - Throws: `WaitedInVain`.
    @discardableResult
    public func wait(
        until what: String, within patience: Duration = .seconds(120),
        _ isMet: @escaping @Sendable ([Element]) -> Bool
    ) async throws -> [Element] {
        let came = await withTaskGroup(of: Bool.self) { group in
            group.addTask { await self.wait(isMet) }
            group.addTask {
                try? await Task.sleep(for: patience)
                return false
            }
            defer { group.cancelAll() }
            return await group.next() ?? false
        }
        guard came else { throw WaitedInVain("\(what); there is \(all)", patience) }
        return all
    }

    /// Waits for so many values.
    @discardableResult
    public func wait(forCount count: Int, _ what: String) async throws -> [Element] {
        try await wait(until: what) { $0.count >= count }
    }

    /// - Returns: false where it was cancelled.
    private func wait(_ isMet: @escaping @Sendable ([Element]) -> Bool) async -> Bool {
        let id = state.withLock { state in
            state.next += 1
            return state.next
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let early: Bool? = state.withLock { state in
                    if isMet(state.elements) { return true }
                    if Task.isCancelled { return false }
                    state.waiters[id] = Waiter(isMet: isMet, continuation: continuation)
                    return nil
                }
                if let early { continuation.resume(returning: early) }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.continuation.resume(returning: false)
        }
    }
}

/// Holds a thread at a place until the test lets it go on: for cards and other callbacks that may block.
public final class Gate: Sendable {
    private let arrivals = Recorded<Void>()
    private let way = DispatchSemaphore(value: 0)

    public init() {}

    /// Called where it is to be held.
    public func hold() {
        arrivals.append(())
        // It ends what would hang.
        _ = way.wait(timeout: .now() + 120)
    }

    /// Waits until a thread has come there for the nth time.
    public func reached(_ count: Int = 1) async throws {
        try await arrivals.wait(forCount: count, "the gate is reached for the \(count). time")
    }

    /// Lets one that is there, or the next that comes, go on.
    public func open() { way.signal() }
}

/// Does nothing until its task is cancelled.
public nonisolated(nonsending) func untilCancelled() async {
    let (never, end) = AsyncStream.makeStream(of: Void.self)
    for await _ in never {}
    end.finish()
}

/// Lets a part of a duration pass, where the test is about instants by chance: a process is killed anywhere in the middle
/// of what takes so long here and now.
public nonisolated(nonsending) func pass(_ part: Int, of parts: Int, of duration: Duration) async {
    try? await Task.sleep(for: duration * part / parts)
}
