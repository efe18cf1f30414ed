package import Acquiring
package import Journal

/// What a host's response changes that came out of time: after the wait, or after another one. No transaction revives.
package enum LateResponseDecision: Equatable, Sendable {
    /// It changes nothing.
    case note(String)
    /// What it means shows only when the present step is in the journal: looked at again then. A payment that is not decided
    /// yet may end as declined, and a reversal that the host acknowledged before this response reverses nothing of it: noted
    /// only, the approval would stay booked.
    case wait
    /// The host may have booked what was declined or reversed: its reversal is due (again), in a bounded number of times.
    case reverse(String, authorizationCode: String?, reason: ReversalRequest.Reason)

    /// - Parameter isReversalAcknowledged: the host acknowledged the transaction's reversal, and the journal does not have that
    ///   yet. (Responses come in the order in which the host sent them. Unconfirmed for hosts with several lines.)
    package init(
        _ response: AuthorizationResponse, to record: TransactionRecord, isReversalAcknowledged: Bool
    ) {
        let text = "late answer, response code \(response.responseCode)"
        // The response that the journal has already, once more, is not another approval: what was void stays void.
        let isRepeated =
            record.responseCode == response.responseCode && record.authorizationCode != nil
            && record.authorizationCode == response.authorizationCode
        guard response.mayBeBooked, !isRepeated else {
            self = .note(text)
            return
        }
        switch record.state {
        case .declined, .reversed: break
        case .authorizing, .answered:
            self = .wait
            return
        case .reversalDue where isReversalAcknowledged:
            self = .wait
            return
        default:
            self = .note(text)
            return
        }
        // A void stays one: the payment was reported as approved.
        let isVoid = record.reversalReason == ReversalRequest.Reason.cancelled.rawValue
        self = .reverse(
            text, authorizationCode: response.authorizationCode, reason: isVoid ? .cancelled : .lateResponse)
    }
}
