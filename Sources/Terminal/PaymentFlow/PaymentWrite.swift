package import Acquiring
package import Journal

/// One change of one transaction in the journal, as the machines of payment, recovery and store-and-forward ask for it: a
/// compare-and-set from one of `from` to `state`.
package enum PaymentWrite: Equatable, Sendable {
    /// What the card gave.
    case reading
    /// The request for the host, with what later messages need, before anything is sent.
    case request
    /// The service is given, and the host is asked later.
    case deferral(reason: String)
    /// The authorization is about to be sent.
    case authorization
    /// The host's response, before the card is presented again.
    case response(TransactionResult)
    /// Card and terminal approved; what the advice needs is kept with it.
    case offlineApproval(TransactionResult)
    /// The payment ends in this state.
    /// - from: the only states from which it does; nil for all of the journal's table.
    case end(TransactionState, TransactionResult, from: [TransactionState]? = nil)
    /// A reversal is owed to the host.
    /// - from: the states in which the payment can be that is reversed.
    case reversal(ReversalRequest.Reason, TransactionResult, from: [TransactionState])
    /// A message is about to be transmitted, once more.
    case transmission(JournalChange.Transmission)
    /// The host acknowledged: the reversal, the advice, the final amount of this revision.
    case reversed
    case forwarded
    case adjusted(revision: Int)
    /// Set aside for manual review: no longer retried, still owed.
    case parked(reason: String)

    /// The state of the transaction afterwards; nil where it stays.
    package var state: TransactionState? {
        switch self {
        case .reading: .cardRead
        case .request: .requestWritten
        case .deferral: .deferred
        case .authorization: .authorizing
        case .response: .answered
        case .offlineApproval: .approvedOffline
        case .end(let state, _, _): state
        case .reversal: .reversalDue
        case .reversed: .reversed
        case .forwarded: .forwarded
        case .adjusted: .adjusted
        case .transmission, .parked: nil
        }
    }

    /// The states from which it is made: those of the journal's table, or fewer where only some of them can occur here.
    package var from: [TransactionState] {
        switch self {
        // A later reading replaces an earlier one.
        case .reading: [.started, .cardRead]
        case .reversal(_, _, let from): from
        case .end(_, _, let from?): from
        case .transmission(.reversal): [.reversalDue]
        case .transmission(.forwarding): [.approvedOffline]
        case .transmission(.adjustment): [.adjustmentDue]
        case .parked: TransactionState.owed
        case .request, .deferral, .authorization, .response, .offlineApproval, .end, .reversed, .forwarded,
            .adjusted:
            state?.predecessors ?? []
        }
    }
}
