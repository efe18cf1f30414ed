internal import CardReaders
internal import Synchronization

/// Who a terminal is: with the same token, and over TLS the same certificate, it takes its reader over from an
/// older line of its own.
struct TerminalIdentity: Sendable, Equatable {
    var token: [UInt8]
    /// DER; nil without TLS.
    var certificate: [UInt8]?
    /// What it calls itself; its certificate's name where it has one.
    var name: String

    func isSame(as other: Self) -> Bool { token == other.token && certificate == other.certificate }
}

/// One offered reader and the connection that holds it.
final class ReaderSlot: Sendable {
    private struct Holder {
        var connection: UInt64
        var identity: TerminalIdentity
        /// The connection has ended; the reader is being let go of.
        var isLeaving = false
        var close: @Sendable () -> Void
    }
    private struct State {
        var holder: Holder?
        var isWithdrawn = false
    }

    let offer: ReaderServer.Offer
    private let state = Mutex(State())
    var name: String { offer.name }
    var reader: any CardReader { offer.reader }

    init(_ offer: ReaderServer.Offer) { self.offer = offer }

    var isBusy: Bool { state.withLock { $0.holder != nil } }

    /// Takes the reader for a connection. An older line of the same terminal is closed; one that has ended is
    /// waited for until it has let go.
    /// - Parameter close: closes the connection that takes it; called from any thread.
    /// - Returns: why not.
    func take(
        for connection: UInt64, _ identity: TerminalIdentity, patience: Duration,
        close: @escaping @Sendable () -> Void
    ) async -> RemoteFault? {
        enum Answer {
            case taken, withdrawn, wait
            case takeOver(@Sendable () -> Void)
            case busy(String)
        }
        let deadline = ContinuousClock.now + patience
        while true {
            let answer: Answer = state.withLock { state in
                if state.isWithdrawn { return .withdrawn }
                guard let holder = state.holder else {
                    state.holder = Holder(connection: connection, identity: identity, close: close)
                    return .taken
                }
                if holder.isLeaving { return .wait }
                return holder.identity.isSame(as: identity)
                    ? .takeOver(holder.close) : .busy(holder.identity.name)
            }
            switch answer {
            case .taken: return nil
            case .withdrawn: return RemoteFault(code: .unknownReader, reason: "\(name) was withdrawn")
            case .busy(let terminal):
                return RemoteFault(code: .busy, reason: "\(name) is held by \(terminal)")
            case .takeOver(let close): close()
            case .wait: break
            }
            guard ContinuousClock.now < deadline else {
                return RemoteFault(
                    code: .busy, reason: "\(name) is still busy with what an earlier terminal asked of it")
            }
            do {
                try await Task.sleep(for: .milliseconds(5))
            } catch {
                return RemoteFault(code: .cancelled)
            }
        }
    }

    /// The connection has ended: nobody waits in vain for the rest.
    func leave(_ connection: UInt64) {
        state.withLock { if $0.holder?.connection == connection { $0.holder?.isLeaving = true } }
    }

    func isHeld(by connection: UInt64) -> Bool { state.withLock { $0.holder?.connection == connection } }

    func free(_ connection: UInt64) {
        state.withLock { if $0.holder?.connection == connection { $0.holder = nil } }
    }

    /// Nobody gets it any more; who holds it is cut off.
    func withdraw() {
        let close = state.withLock {
            $0.isWithdrawn = true
            return $0.holder?.close
        }
        close?()
    }
}
