internal import Acquiring
package import Journal

extension Journal {
    /// Makes the change that a machine asks for, and returns when it is durable.
    /// - Parameters:
    ///   - reading: what the card gave, for `.reading` and `.request`.
    ///   - kept: what later messages need, for `.request`, `.deferral` and `.offlineApproval`.
    ///   - backend: the name of the host that is about to get the authorization, for `.authorization`.
    package func write(
        _ write: PaymentWrite, of id: String, reading: CardReading? = nil, keeping kept: [UInt8]? = nil,
        backend: String = ""
    ) async throws(JournalError) {
        switch write {
        case .reading: if let reading { try await cardRead(id, reading) }
        case .request: try await requestWritten(id, reading, keeping: kept)
        case .deferral(let reason): try await deferred(id, reason: reason, keeping: kept)
        case .authorization: try await authorizing(id, backend: backend)
        case .response(let result): try await answered(id, result: result)
        case .offlineApproval(let result): try await storeOffline(id, result: result, keeping: kept)
        case .end(let state, let result, _):
            try await complete(id, from: write.from, to: state, result: result)
        case .reversal(let reason, let result, let from):
            try await reversalDue(id, reason: reason.rawValue, result: result, from: from)
        case .transmission(.reversal): _ = try await reversalAttempt(id)
        case .transmission(.forwarding): _ = try await forwardAttempt(id)
        case .transmission(.adjustment): _ = try await adjustmentAttempt(id)
        case .reversed: try await reversed(id)
        case .forwarded: try await forwarded(id)
        case .adjusted(let revision): try await adjusted(id, revision: revision)
        case .parked(let reason): try await parked(id, reason: reason)
        }
    }
}
