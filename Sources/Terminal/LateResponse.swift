public import Acquiring
public import Journal

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
    /// - Throws: `.unknownTransaction` where it is of another journal.
    public static func record(
        _ answer: LateAnswer, in journal: Journal
    ) async throws(JournalError) -> (action: Action, record: TransactionRecord) {
        let id = answer.transactionID
        let response = answer.response
        guard let found = try await journal.show(id), found.id == id else {
            throw .unknownTransaction(id: id)
        }
        let text = "late answer, response code \(response.responseCode)"
        var action = Action.noted
        // The response that the journal has already, once more, is not another approval: what was void stays void.
        let isRepeated =
            found.responseCode == response.responseCode && found.authorizationCode != nil
            && found.authorizationCode == response.authorizationCode
        if response.mayBeBooked, !isRepeated, [.declined, .reversed].contains(found.state) {
            // A void stays one: the payment was told to be approved.
            let cancelled = ReversalRequest.Reason.cancelled.rawValue
            let count = try await journal.lateApproval(
                id, text, authorizationCode: response.authorizationCode,
                reason: found.reversalReason == cancelled
                    ? cancelled : ReversalRequest.Reason.lateResponse.rawValue)
            action = count.map { .reversalDue(count: $0) } ?? .leftToAPerson
        } else {
            try await journal.note(id, text)
        }
        guard let record = try await journal.show(id) else { throw .unknownTransaction(id: id) }
        return (action, record)
    }

    /// Records what the backend hears out of time, until the task is cancelled or the backend is closed. A response that the
    /// journal does not take at once is tried again: it may be an approval that must be reversed.
    /// - Parameters:
    ///   - sleep: what waiting goes by.
    ///   - failed: told each time the journal does not take one.
    ///   - recorded: told of each that is written; those of other journals are nobody's business here.
    public static func listen(
        to backend: any AcquirerBackend, journal: Journal,
        sleep: @escaping @Sendable (Duration) async -> Void = { try? await Task.sleep(for: $0) },
        failed: @escaping @Sendable (JournalError) -> Void = { _ in },
        recorded: @escaping @Sendable (LateAnswer, Action, TransactionRecord) async -> Void
    ) async {
        let policy = Forwarder.Policy()
        for await answer in await backend.answersOutOfTime() {
            var failures = 0
            while true {
                do throws(JournalError) {
                    let (action, record) = try await record(answer, in: journal)
                    await recorded(answer, action, record)
                    break
                } catch {
                    // Of another journal, or that has moved on: then it is looked at anew.
                    if case .unknownTransaction = error { break }
                    if case .stateMoved = error, failures < policy.patience {
                        failures += 1
                        continue
                    }
                    failed(error)
                    failures += 1
                    guard failures <= policy.patience, !Task.isCancelled else { break }
                    await sleep(policy.delay(after: failures, chance: 0.5))
                }
            }
        }
    }
}
