internal import Journal
internal import Synchronization
internal import Terminal

/// Delivers what is owed for a terminal that is not here: removed, or added by a client of an earlier run. It ends when
/// nothing is left but what is set aside for a person.
final class AbsentTerminal: Sendable {
    let forwarder: Forwarder
    private struct State {
        var delivering: Task<Void, Never>?
        var hasEnded = false
    }
    private let state = Mutex(State())

    init(_ id: String, _ options: TerminalHall.Options) {
        var policy = Forwarder.Policy()
        policy.answerTimeout = options.profile.timing.authorization
        forwarder = Forwarder(
            terminalID: id, journal: options.journal, backend: SharedBackend(base: options.backend),
            policy: policy,
            observer: { [observer = options.observer] event in
                guard let told = TerminalEvent(event) else { return }
                observer?(ObservedEvent(terminal: id, payment: nil, elapsed: nil, event: told))
            })
    }

    /// - Parameter done: called when nothing is left to deliver.
    func begin(done: @escaping @Sendable () -> Void) {
        state.withLock { state in
            guard state.delivering == nil, !state.hasEnded else { return }
            state.delivering = Task { [forwarder] in
                await forwarder.run(endsWhenDone: true)
                done()
            }
        }
    }

    /// Asks for the end; what has left for the host is carried to its end.
    func end() -> Task<Void, Never>? {
        state.withLock { state in
            state.hasEnded = true
            state.delivering?.cancel()
            return state.delivering
        }
    }
}
