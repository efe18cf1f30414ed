package import Acquiring
package import Journal

/// What a host's response changes that came out of time: after the wait, or after another one. No transaction revives.
package enum LateResponseDecision: Equatable, Sendable {
    /// It changes nothing.
    case note(String)
    /// The host may have booked what was declined or reversed: its reversal is due (again), in a bounded number of times.
    case reverse(String, authorizationCode: String?, reason: ReversalRequest.Reason)

    package init(_ response: AuthorizationResponse, to record: TransactionRecord) {
        let text = "late answer, response code \(response.responseCode)"
        // The response that the journal has already, once more, is not another approval: what was void stays void.
        let isRepeated =
            record.responseCode == response.responseCode && record.authorizationCode != nil
            && record.authorizationCode == response.authorizationCode
        guard response.mayBeBooked, !isRepeated, [.declined, .reversed].contains(record.state) else {
            self = .note(text)
            return
        }
        // A void stays one: the payment was reported as approved.
        let isVoid = record.reversalReason == ReversalRequest.Reason.cancelled.rawValue
        self = .reverse(
            text, authorizationCode: response.authorizationCode, reason: isVoid ? .cancelled : .lateResponse)
    }
}
