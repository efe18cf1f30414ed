package import Acquiring
package import EMV
package import Journal

/// The delivery of one message that is owed to the host, as a pure machine: a reversal, the advice of an offline approval, a
/// final amount, a deferred authorization. `start` and each `handle` return one action, which is answered with one event,
/// until it is `finish`.
///
///     ready ── reversal due, approved offline, adjustment due ── counting ── sending ─┬─ writingAcknowledgement ── finish
///       │                                                           │                 ├─ refused, unusable ── parking ── finish
///       │                                                           └ no amount ── parking ── finish          └ else ── finish
///       ├─ deferred ── writingAuthorization ── authorizing ─┬─ writingDecision ─────────────────────────── finish
///       │                                                   ├─ writingReversal ── counting ── as above
///       │                                                   ├─ unknown ── sendingAnew ──────────────────── finish
///       │                                                   └─ not taken ── writingDeferral (── parking) ── finish
///       └─ of another host, or what was kept is lost ── parking ────────────────────────────────────────── finish
package struct DeliveryFlow: Equatable, Sendable {
    package enum Message: Equatable, Sendable { case reversal, advice, adjustment }

    /// What became of it.
    package enum End: Equatable, Sendable {
        /// The host acknowledged; the transaction is in this state now.
        case delivered(TransactionState)
        /// Still owed.
        case postponed(AcquirerError)
        /// Set aside for manual review.
        case parked(String)
    }

    package enum Event: Equatable, Sendable {
        case written
        /// The transmission is counted.
        /// - revision: of the final amount that is due, nil where there is none.
        case counted(Int, revision: Int?)
        case acknowledged
        case responded(AuthorizationResponse)
        case failed(AcquirerError)
        case sentAnew
    }

    package enum Action: Equatable, Sendable {
        /// `written`; for `.transmission` `counted`.
        case write(PaymentWrite)
        /// `acknowledged`, `failed`.
        case send(Message, transmission: Int)
        /// `responded`, `failed`.
        case authorize
        /// Begins the same anew and makes a reversal of this one due: `sentAnew`.
        case sendAnew(ReversalRequest.Reason)
        case finish(End)
    }

    private enum State: Equatable, Sendable {
        case ready
        case counting(Message)
        case sending(Message, transmission: Int, revision: Int)
        case writingAcknowledgement(TransactionState)
        case writingAuthorization
        case authorizing
        case writingDecision(TransactionState)
        case writingReversal
        case sendingAnew(AcquirerError)
        case writingDeferral(AcquirerError)
        case parking(String)
        case finished
    }

    /// What is known before anything is sent.
    package struct Terms: Equatable, Sendable {
        package var state: TransactionState
        /// The host that had the authorization; nil where none had it yet.
        package var backend: String?
        /// The present host.
        package var host: String
        /// What was kept for this message is there.
        package var hasRequest: Bool
        /// As the kept request has them.
        package var amount: Amount
        package var acceptsPartialApproval: Bool
        /// Transmissions after which an unusable answer parks the message.
        package var patience: Int

        package init(
            state: TransactionState, backend: String?, host: String, hasRequest: Bool, amount: Amount,
            acceptsPartialApproval: Bool, patience: Int
        ) {
            self.state = state
            self.backend = backend
            self.host = host
            self.hasRequest = hasRequest
            self.amount = amount
            self.acceptsPartialApproval = acceptsPartialApproval
            self.patience = patience
        }
    }

    private var state = State.ready
    private let terms: Terms

    package init(_ terms: Terms) { self.terms = terms }

    /// A host that never had a transaction would acknowledge or refuse what it knows nothing of.
    package static func isOfAnotherHost(_ record: TransactionRecord, than host: String) -> Bool {
        (record.state == .reversalDue || record.state == .adjustmentDue)
            && record.backend.map { $0 != host } ?? false
    }

    /// Begins the reason of what is set aside until its host is there again.
    package static let sentElsewhere = "it was sent through another host, "

    package mutating func start() -> Action {
        guard state == .ready else { return finish(.postponed(.unreachable("started twice"))) }
        if let backend = terms.backend, backend != terms.host,
            terms.state == .reversalDue || terms.state == .adjustmentDue
        {
            return park(
                "\(Self.sentElsewhere)\"\(backend)\": start the program with that host's acquirer file, this one has \"\(terms.host)\""
            )
        }
        switch terms.state {
        case .reversalDue: return count(.reversal)
        case .approvedOffline:
            return terms.hasRequest ? count(.advice) : park("nothing was kept to forward it")
        case .adjustmentDue: return count(.adjustment)
        case .deferred:
            guard terms.hasRequest else { return park("nothing was kept to send it") }
            state = .writingAuthorization
            return .write(.authorization)
        default: return finish(.delivered(terms.state))
        }
    }

    package mutating func handle(_ event: Event) -> Action {
        switch (state, event) {
        case (.counting(.adjustment), .counted(_, revision: nil)): return park("its final amount is missing")
        case (.counting(let message), .counted(let transmission, let revision)):
            state = .sending(message, transmission: transmission, revision: revision ?? 0)
            return .send(message, transmission: transmission)

        case (.sending(let message, _, let revision), .acknowledged):
            return acknowledge(message, revision: revision)
        case (.sending, .failed(.rejected(let reason))): return park("\(AcquirerError.rejected(reason))")
        case (.sending(_, let transmission, _), .failed(.malformedResponse(let reason)))
        where transmission >= terms.patience:
            return park("\(transmission) times: \(AcquirerError.malformedResponse(reason))")
        case (.sending, .failed(let error)): return finish(.postponed(error))
        case (.writingAcknowledgement(let state), .written): return finish(.delivered(state))

        case (.writingAuthorization, .written):
            state = .authorizing
            return .authorize
        case (.authorizing, .responded(let response)): return decide(response)
        case (.authorizing, .failed(let error)) where error.isOutcomeUnknown:
            state = .sendingAnew(error)
            return .sendAnew(error == .timeout ? .timeout : .malformedResponse)
        case (.authorizing, .failed(let error)):
            // It certainly did not leave, or the host did not take it.
            state = .writingDeferral(error)
            return .write(.deferral(reason: "\(error)"))
        case (.writingDecision(let state), .written): return finish(.delivered(state))
        case (.writingReversal, .written): return count(.reversal)
        case (.sendingAnew(let error), .sentAnew): return finish(.postponed(error))
        case (.writingDeferral(.rejected(let reason)), .written):
            return park("\(AcquirerError.rejected(reason))")
        case (.writingDeferral(let error), .written): return finish(.postponed(error))

        case (.parking(let reason), .written): return finish(.parked(reason))

        default:
            // A defect of who drives the machine. Whatever the journal has is looked at again in the next pass.
            return finish(.postponed(.unreachable("internal error: \(event) in the wrong place")))
        }
    }

    private mutating func count(_ message: Message) -> Action {
        state = .counting(message)
        return switch message {
        case .reversal: .write(.transmission(.reversal))
        case .advice: .write(.transmission(.forwarding))
        case .adjustment: .write(.transmission(.adjustment))
        }
    }

    private mutating func acknowledge(_ message: Message, revision: Int) -> Action {
        let (after, write): (TransactionState, PaymentWrite) =
            switch message {
            case .reversal: (.reversed, .reversed)
            case .advice: (.forwarded, .forwarded)
            case .adjustment: (.adjusted, .adjusted(revision: revision))
            }
        state = .writingAcknowledgement(after)
        return .write(write)
    }

    private mutating func decide(_ response: AuthorizationResponse) -> Action {
        var result = TransactionResult(
            responseCode: response.responseCode, authorizationCode: response.authorizationCode,
            approvedAmount: response.approvedAmount, reason: response.message)
        // The service was given: nobody is there any more to be identified.
        switch response.decision(
            amount: terms.amount, acceptsPartialApproval: terms.acceptsPartialApproval)
        {
        case .approved: state = .writingDecision(.approved)
        case .declined: state = .writingDecision(.declined)
        case .reversed(let reason, let because):
            result.reason = because
            state = .writingReversal
            return .write(.reversal(reason, result, from: [.authorizing]))
        }
        guard case .writingDecision(let after) = state else { return finish(.delivered(terms.state)) }
        return .write(.end(after, result, from: [.authorizing]))
    }

    private mutating func park(_ reason: String) -> Action {
        state = .parking(reason)
        return .write(.parked(reason: reason))
    }

    private mutating func finish(_ end: End) -> Action {
        state = .finished
        return .finish(end)
    }
}

/// Whether those behind a message that was postponed are tried in the same pass.
package enum DeliveryOrder {
    /// A message to which the host never answers, or which it never takes, must not hold up all others; while the line is down
    /// nothing is sent in vain.
    /// - Parameters:
    ///   - transmissions: of the message, with this one.
    ///   - patience: transmissions after which a missing answer no longer holds up those behind.
    package static func maySkip(after error: AcquirerError, transmissions: Int, patience: Int) -> Bool {
        switch error {
        case .unreachable, .notReady: false
        // The host is there.
        case .malformedResponse, .rejected, .notProcessed: true
        case .timeout, .connectionLost: transmissions >= patience
        }
    }
}
