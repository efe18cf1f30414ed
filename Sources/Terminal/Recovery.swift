internal import Acquiring
public import Journal

extension Forwarder {
    /// What `recover` did with one transaction.
    public struct Recovery: Sendable {
        /// As it was found.
        public var record: TransactionRecord
        public var action: String
        public var resolved: Bool
    }

    /// Resolves what was left unfinished: payments that never reached the host are closed, authorizations without an answer,
    /// and approvals that nobody was told of, are reversed; what is owed is delivered. Call it before the first payment.
    public func recover() async throws(JournalError) -> [Recovery] {
        let (found, closed) = try await resolveInterrupted()
        return Self.recoveries(found, closed: closed, deliveries: try await flush())
    }

    /// The same for all terminals of the journal, this one first: no other process is at work on any of them, as one at a
    /// time writes to a journal. Where the host is not reached, what is due of the others is left in the journal.
    public func recoverAll() async throws(JournalError) -> [Recovery] {
        var recoveries = try await recover()
        for other in try await others() {
            if recoveries.allSatisfy(\.resolved) {
                recoveries += try await other.recover()
            } else {
                let (found, closed) = try await other.resolveInterrupted()
                recoveries += Self.recoveries(found, closed: closed, deliveries: [])
            }
        }
        return recoveries
    }

    /// One pass for this terminal and then for each other one of the journal, as far as the host is reached.
    public func flushAll() async throws(JournalError) -> [Delivery] {
        var deliveries = try await flush()
        for other in try await others() {
            let isHeldUp = deliveries.contains { if case .postponed = $0.result { true } else { false } }
            if isHeldUp { break }
            deliveries += try await other.flush()
        }
        return deliveries
    }

    /// Forwarders like this one for the other terminals that have something unfinished.
    private func others() async throws(JournalError) -> [Forwarder] {
        try await journal.unfinishedTerminals(includingParked: true).filter { $0 != terminalID }
            .map { copy(terminalID: $0) }
    }

    private static func recoveries(
        _ found: [TransactionRecord], closed: [String: String], deliveries: [Delivery]
    ) -> [Recovery] {
        var results: [String: Delivery.Result] = [:]
        for delivery in deliveries { results[delivery.record.id] = delivery.result }
        return found.map { record in
            if let action = closed[record.id] {
                return Recovery(record: record, action: action, resolved: true)
            }
            switch results[record.id] {
            case .delivered(let state):
                return Recovery(record: record, action: state.rawValue, resolved: true)
            case .postponed(let error):
                return Recovery(record: record, action: "\(Self.owed(record)): \(error)", resolved: false)
            case .parked(let reason):
                return Recovery(record: record, action: "set aside for a person: \(reason)", resolved: false)
            case .failed(let error):
                return Recovery(record: record, action: "\(Self.owed(record)): \(error)", resolved: false)
            case nil:
                return Recovery(
                    record: record, action: "\(Self.owed(record)): after those before it", resolved: false)
            }
        }
    }

    /// The journal's part of `recover`, which waits for no host: payments that never reached it are closed, reversals of
    /// authorizations without an answer become due. What this process is at work on is left alone. Whoever calls it lets
    /// `run` deliver what is owed, which also does the same in each of its passes.
    /// - Returns: what was unfinished, and what was done with those of which nothing is owed any more, by their ids.
    @discardableResult
    public func resolveInterrupted() async throws(JournalError) -> (
        found: [TransactionRecord], closed: [String: String]
    ) {
        try await resumeThisHosts()
        let found = try await leftBehind()
        return (found, try await resolve(found))
    }

    /// What is owed to the host, and what somebody was at work on and nobody in this process is, oldest first.
    func leftBehind() async throws(JournalError) -> [TransactionRecord] {
        try await journal.unfinished(terminal: terminalID).filter {
            !TransactionState.inProgress.contains($0.state) || !journal.underWay.contains($0)
        }
    }

    /// - Returns: what was done with those of which nothing is owed any more, by their ids.
    func resolve(_ found: [TransactionRecord]) async throws(JournalError) -> [String: String] {
        var closed: [String: String] = [:]
        for record in found where TransactionState.inProgress.contains(record.state) {
            do throws(JournalError) {
                let action = try await settleInterrupted(record)
                closed[record.id] = action
                report(.resolved(record, action: action ?? Self.owed(record)))
            } catch {
                // Taken on by the one before it in this loop, or by somebody else.
                if case .stateMoved = error { continue }
                // Stays as it is, and is looked at again; the others do not wait for it.
                if error.holdsUpOthers { throw error }
            }
        }
        return closed
    }

    /// What was parked for want of the host that it was sent through is taken up again where that host is this one.
    private func resumeThisHosts() async throws(JournalError) {
        let parked = try await journal.list(
            JournalFilter(terminalID: terminalID, states: TransactionState.owed, isParked: true),
            order: .oldestFirst)
        for record in parked where record.backend == backend.name {
            let last = try await journal.changes(of: record.id).last?.detail
            guard last?.hasPrefix("parked: \(DeliveryFlow.sentElsewhere)") == true else { continue }
            try await journal.resumed(record.id, reason: "the host \"\(backend.name)\" is there again")
        }
    }

    private static func owed(_ record: TransactionRecord) -> String {
        switch record.state {
        case .approvedOffline: "not yet forwarded"
        case .adjustmentDue: "final amount not yet told"
        case .deferred: "not yet authorized"
        default: "reversal still due"
        }
    }

    /// - Returns: what was done where nothing is owed any more.
    private func settleInterrupted(_ record: TransactionRecord) async throws(JournalError) -> String? {
        let mayBeSentAnew = record.state == .authorizing && record.purpose == .deferred
        let request = mayBeSentAnew ? try await keptRequest(record) : nil
        switch InterruptedPayment(record, hasRequest: request != nil) {
        case .close(let write, let action):
            try await journal.write(write, of: record.id)
            return action
        case .reverse(let write): try await journal.write(write, of: record.id)
        case .sendAnew(let reason): if let request { try await sendAnew(record, request, reason) }
        case nil: break
        }
        return nil
    }
}
