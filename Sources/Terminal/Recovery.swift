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

    /// Resolves what an earlier run left unfinished: payments that never reached the host are closed,
    /// authorizations without an answer, and approvals that nobody was told of, are reversed; what is owed is delivered. Call
    /// it before the first payment.
    public func recover() async throws(JournalError) -> [Recovery] {
        let (found, closed) = try await resolveInterrupted()
        var deliveries: [String: Delivery.Result] = [:]
        for delivery in try await flush() { deliveries[delivery.record.id] = delivery.result }
        return found.map { record in
            if let action = closed[record.id] {
                return Recovery(record: record, action: action, resolved: true)
            }
            switch deliveries[record.id] {
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
    /// authorizations without an answer become due. Whoever calls it lets `run` deliver what is owed.
    /// - Returns: what was unfinished, and what was done with those of which nothing is owed any more, by their ids.
    @discardableResult
    public func resolveInterrupted() async throws(JournalError) -> (
        found: [TransactionRecord], closed: [String: String]
    ) {
        let found = try await journal.unfinished(terminal: terminalID)
        var closed: [String: String] = [:]
        for record in found {
            do throws(JournalError) {
                closed[record.id] = try await settleInterrupted(record)
            } catch {
                // Taken on by the one before it in this loop.
                if case .stateMoved = error { continue }
                // Stays as it is, and is looked at again; the others do not wait for it.
                if error.holdsUpOthers { throw error }
            }
        }
        return (found, closed)
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
        switch record.state {
        case .started, .cardRead, .requestWritten:
            try await journal.complete(
                record.id, from: [record.state], to: .cancelled,
                result: TransactionResult(reason: "interrupted before the authorization was sent"))
            return "closed: nothing was sent"
        case .authorizing:
            if record.purpose == .deferred, let request = try await keptRequest(record) {
                try await sendAnew(record, request, .restart)
            } else {
                try await journal.reversalDue(
                    record.id, reason: ReversalRequest.Reason.restart.rawValue,
                    result: TransactionResult(reason: "interrupted while waiting for the host"))
            }
            return nil
        case .answered:
            let isApproved = AuthorizationResponse(responseCode: record.responseCode ?? "").isApproved
            guard isApproved else {
                try await journal.complete(
                    record.id, from: [.answered], to: .declined, result: TransactionResult())
                return "closed: the host had declined"
            }
            // Nobody was told of the approval.
            try await journal.reversalDue(
                record.id, reason: ReversalRequest.Reason.restart.rawValue,
                result: TransactionResult(reason: "interrupted after the host's approval"),
                from: [.answered])
            return nil
        default: return nil
        }
    }
}
