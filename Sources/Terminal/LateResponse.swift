public import Acquiring
public import Journal
internal import Synchronization

/// A host's response that came out of time: after the wait, or after another one.
public enum LateResponse {
    /// What was done with it.
    public enum Action: Sendable, Equatable {
        /// It changes nothing.
        case noted
        /// The host approved what was declined or reversed: its reversal is due again, for the so manieth time.
        case reversalDue(count: Int)
        /// The same, but too often: a person must look.
        case leftToAPerson
    }

    /// Writes it to the history of its transaction, whatever state that is in. No transaction revives: where the host may
    /// have booked what was declined or reversed, a reversal becomes due, in a bounded number of times.
    /// - Returns: the transaction as it is then.
    /// - Throws: `.unknownTransaction` where it is of another journal; `.stateMoved` while an approval comes too early to be
    ///   acted on: the payment is not decided yet.
    public static func record(
        _ answer: LateAnswer, in journal: Journal
    ) async throws(JournalError) -> (action: Action, record: TransactionRecord) {
        let id = answer.transactionID
        let response = answer.response
        guard let found = try await journal.show(id), found.id == id else {
            throw .unknownTransaction(id: id)
        }
        let action: Action
        switch LateResponseDecision(
            response, to: found, isReversalAcknowledged: journal.underWay.isAcknowledged(id))
        {
        case .note(let text):
            // If it has moved on since it was read, it may be more than a note.
            try await journal.note(id, text, in: [found.state])
            action = .noted
        case .wait: throw .stateMoved(id: id, expected: TransactionState.final, actual: found.state)
        case .reverse(let text, let authorizationCode, let reason):
            let count = try await journal.lateApproval(
                id, text, authorizationCode: authorizationCode, reason: reason.rawValue)
            action = count.map { .reversalDue(count: $0) } ?? .leftToAPerson
        }
        guard let record = try await journal.show(id) else { throw .unknownTransaction(id: id) }
        return (action, record)
    }

    /// Records what the backend hears out of time, until the task is cancelled or the backend is closed. A response that the
    /// journal does not take at once is tried again: it may be an approval that must be reversed. Meanwhile those of other
    /// transactions are recorded; those of the same one wait for their turn.
    /// - Parameters:
    ///   - sleep: what waiting goes by.
    ///   - failed: called each time the journal does not take one.
    ///   - recorded: called for each that is written; those of other journals are nobody's business here.
    public static func listen(
        to backend: any AcquirerBackend, journal: Journal,
        sleep: @escaping @Sendable (Duration) async -> Void = { try? await Task.sleep(for: $0) },
        failed: @escaping @Sendable (JournalError) -> Void = { _ in },
        recorded: @escaping @Sendable (LateAnswer, Action, TransactionRecord) async -> Void
    ) async {
        let recorder = Recorder(journal: journal, sleep: sleep, failed: failed, recorded: recorded)
        let retried = Retried()
        await withDiscardingTaskGroup { group in
            for await answer in await backend.answersOutOfTime() {
                guard !retried.queue(answer) else { continue }
                guard await !recorder.attempt(answer) else { continue }
                retried.begin(answer.transactionID)
                group.addTask {
                    var next: LateAnswer? = answer
                    var isUntried = false
                    while let answer = next {
                        await recorder.record(answer, isUntried: isUntried, retried)
                        isUntried = true
                        next = retried.next(of: answer.transactionID)
                    }
                }
            }
            retried.end()
        }
    }

    /// The responses that wait behind one of the same transaction that the journal did not take yet.
    private final class Retried: Sendable {
        private let waiting = Mutex<[String: [LateAnswer]]>([:])
        private let ended = Mutex(false)

        /// The backend is closed.
        var isLast: Bool { ended.withLock { $0 } }
        func end() { ended.withLock { $0 = true } }

        func begin(_ id: String) { waiting.withLock { $0[id] = [] } }

        /// - Returns: false where none of its transaction is being tried again.
        func queue(_ answer: LateAnswer) -> Bool {
            waiting.withLock { waiting in
                guard waiting[answer.transactionID] != nil else { return false }
                waiting[answer.transactionID]?.append(answer)
                return true
            }
        }

        /// - Returns: nil, and the transaction is no longer being tried again, where no more wait.
        func next(of id: String) -> LateAnswer? {
            waiting.withLock { waiting in
                guard let first = waiting[id]?.first else {
                    waiting[id] = nil
                    return nil
                }
                waiting[id]?.removeFirst()
                return first
            }
        }
    }

    private struct Recorder: Sendable {
        let journal: Journal
        let sleep: @Sendable (Duration) async -> Void
        let failed: @Sendable (JournalError) -> Void
        let recorded: @Sendable (LateAnswer, Action, TransactionRecord) async -> Void
        let policy = Forwarder.Policy()

        /// - Returns: false where it is to be tried again.
        func attempt(_ answer: LateAnswer) async -> Bool {
            var moves = 0
            while true {
                do throws(JournalError) {
                    let (action, record) = try await LateResponse.record(answer, in: journal)
                    await recorded(answer, action, record)
                    return true
                } catch {
                    switch error {
                    // Of another journal.
                    case .unknownTransaction: return true
                    // Not decided yet.
                    case .stateMoved(_, TransactionState.final, _): return false
                    // It has moved on meanwhile: it is looked at anew.
                    case .stateMoved where moves < policy.patience: moves += 1
                    default:
                        failed(error)
                        return false
                    }
                }
            }
        }

        /// Until it is recorded or the task is cancelled; when no more can come, only for some time.
        /// - Parameter isUntried: nothing was tried yet.
        func record(_ answer: LateAnswer, isUntried: Bool, _ retried: Retried) async {
            if isUntried, await attempt(answer) { return }
            var failures = 0
            while !Task.isCancelled, failures < policy.patience || !retried.isLast {
                failures += 1
                await sleep(policy.delay(after: failures, chance: 0.5))
                if await attempt(answer) { return }
            }
            // A payment that was under way is decided by now, where the program ends with it.
            _ = await attempt(answer)
        }
    }
}
