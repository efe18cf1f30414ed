package import Acquiring
package import Journal

/// What becomes of a payment that nobody is at work on any more: after a crash, or when a write failed. By the state that the
/// journal has, and with the same writes as the payment itself (`PaymentFlow`).
///
/// | left in | what is known | resolved by |
/// | --- | --- | --- |
/// | started, card read, request written | nothing was sent | closed as cancelled |
/// | authorizing | the host may have approved | a reversal becomes due |
/// | authorizing, deferred | the service was given | a reversal becomes due, and it is sent anew under other numbers |
/// | answered, refused | nothing is booked | closed as declined |
/// | answered, else | the host approved, and nobody was told | a reversal becomes due |
package enum InterruptedPayment: Equatable, Sendable {
    /// Nothing is owed any more.
    case close(PaymentWrite, action: String)
    case reverse(PaymentWrite)
    /// First begun anew, then reversed: a crash between both does it once more, and finds what is begun already.
    case sendAnew(ReversalRequest.Reason)

    /// - Parameter hasRequest: what is needed to send it anew is there.
    /// - Returns: nil in a state in which nobody is at work.
    package init?(_ record: TransactionRecord, hasRequest: Bool) {
        switch record.state {
        case .started, .cardRead, .requestWritten:
            self = .close(
                .end(
                    .cancelled,
                    TransactionResult(reason: "interrupted before the authorization was sent"),
                    from: [record.state]), action: "closed: nothing was sent")
        case .authorizing where record.purpose == .deferred && hasRequest: self = .sendAnew(.restart)
        case .authorizing:
            self = .reverse(
                .reversal(
                    .restart, TransactionResult(reason: "interrupted while waiting for the host"),
                    from: [.authorizing]))
        case .answered:
            // A host's own codes may mean something else: what came with an authorization code may be booked.
            let response = AuthorizationResponse(
                responseCode: record.responseCode ?? "", authorizationCode: record.authorizationCode)
            if response.meaning.isRefusal, record.authorizationCode == nil {
                self = .close(
                    .end(.declined, TransactionResult(), from: [.answered]),
                    action: "closed: the host had declined")
            } else {
                self = .reverse(
                    .reversal(
                        .restart, TransactionResult(reason: "interrupted after the host's approval"),
                        from: [.answered]))
            }
        case .approved, .declined, .adjustmentDue, .adjusted, .deferred, .reversalDue, .reversed,
            .approvedOffline, .declinedOffline, .forwarded, .settled, .cancelled, .failed:
            return nil
        }
    }
}
