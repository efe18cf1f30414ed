package import Acquiring
package import EMV
internal import EMVCryptography
internal import Journal

/// One payment, from the card to its end, as a pure machine: it knows no reader, host, journal or clock. What they do comes in
/// as events, what they are to do goes out as actions, and the journal's table (`TransactionState.predecessors`) is the one that
/// its writes follow.
///
/// `start` and each `handle` return actions that are carried out in their order; the last of them, and only that one, is
/// answered with an event, until the last one is `finish`.
///
///     ready ── readCard ── readingCard
///                            │ no card, refused, declined, ended      ┌─ writingReading ─┐
///                            ├────────────────────────────────────────┤                  ├─ writingEnd ──────────── finish
///                            │ approved offline                       └─ writingOfflineApproval ─ forwarding ────── finish
///                            │ deferred    writingDeferredRequest ─ writingDeferral ─────────────────────────────── finish
///                            └ online      writingRequest
///                                            │   └ PIN ─ enteringPIN ── given up, failed ── writingEnd ──────────── finish
///                                          writingAuthorization ─────── cancelled ───────── writingEnd ──────────── finish
///                                            │  ─ ─ ─ ─ ─ ─ from here on the host may know of it ─ ─ ─ ─ ─ ─
///                                          authorizing
///                                            │   ├ not sent ─────────────────────────────── writingEnd ──────────── finish
///                                            │   └ unknown, approval not taken ─ writingReversal ─ reversing ────── finish
///                                            │ decided
///                                          writingResponse ─ updatingCard    (if card and response ask for it)
///                                            ├ host approved, card declined ──── writingReversal ─ reversing ────── finish
///                                            └ approved, declined ───────────────────────── writingEnd ──────────── finish
///
/// Each `writing…` state waits for the journal. A write that it does not take ends the payment as failed, with
/// `PaymentEnd.journalFailed`: what the journal has then is resolved as after a crash (`InterruptedPayment`), and if the host may
/// have approved, the end says that a reversal is outstanding. Nothing is shown as approved before `written` came.
///
/// Where further ways begin: a customer who confirms at a wallet is another state between `writingAuthorization` and the end, with
/// the time as its event; a backend that is queried before it is reversed is a state before `writingReversal`
/// (`outcomeIsUnknown`); a lease on the transaction is lost as a write is not taken.
package struct PaymentFlow: Equatable, Sendable {
    /// What is known of a payment before its card.
    package struct Terms: Equatable, Sendable {
        /// Minor units.
        package var amount: Amount
        package var purpose: AuthorizationPurpose
        package var isRefund: Bool
        /// An approval for a part of the amount is taken.
        package var acceptsPartialApproval: Bool
        /// Somebody is there who asks for identification where the host wants it.
        package var identifiesCardholders: Bool

        package init(
            amount: Amount, purpose: AuthorizationPurpose = .sale, isRefund: Bool = false,
            acceptsPartialApproval: Bool = false, identifiesCardholders: Bool = false
        ) {
            self.amount = amount
            self.purpose = purpose
            self.isRefund = isRefund
            self.acceptsPartialApproval = acceptsPartialApproval
            self.identifiesCardholders = identifiesCardholders
        }
    }

    package enum Event: Equatable, Sendable {
        case cardRead(CardOutcome)
        case cardNotRead(CardFailure)
        /// The change is durable.
        case written
        /// The journal did not take the change, and why. It may be there all the same.
        case notWritten(String)
        case pinEntered
        /// The cardholder gave up.
        case pinNotEntered
        case pinFailed(String)
        /// Who asked for the payment gave it up, before the authorization was written: in place of that.
        case cancelled
        case responded(AuthorizationResponse)
        case notResponded(AcquirerError)
        /// The card was presented again, and has the issuer's response.
        case cardUpdated(isDeclined: Bool)
        case cardNotUpdated
        /// The reversal was transmitted, and acknowledged or not.
        case reversalDelivered(isAcknowledged: Bool)
        /// The journal did not take a step of the reversal's delivery, and why.
        case reversalNotDelivered(String)
        /// The offline approval is forwarded, or is yet to be; what is to be said about that.
        case forwarded(note: String?)
    }

    package enum Action: Equatable, Sendable {
        /// Waits for a card and runs Entry Point: `cardRead`, `cardNotRead`.
        case readCard
        /// `written`, `notWritten`; for `.authorization` also `cancelled`.
        case write(PaymentWrite)
        case show(UserInterfaceRequest)
        /// The merchant does not take what was presented.
        case reportRefusal(String)
        /// Removal and field off as the latest outcome asks (Book A, 6.2).
        case releaseCard
        case turnFieldOff
        /// `pinEntered`, `pinNotEntered`, `pinFailed`.
        case enterPIN
        /// Sends the authorization: `responded`, `notResponded`.
        case authorize
        /// Second presentment with the issuer's response (Book A, 6.3): `cardUpdated`, `cardNotUpdated`.
        case updateCard
        /// Delivers the reversal that is due, if the line carries it: `reversalDelivered`, `reversalNotDelivered`.
        case deliverReversal
        /// Lets the store-and-forward queue deliver the offline approval: `forwarded`.
        case forward
        /// Something new is owed to the host.
        case wakeQueue
        case finish(PaymentEnd)
    }

    private enum State: Equatable, Sendable {
        case ready
        case readingCard
        case writingReading(then: AfterReading)
        case writingOfflineApproval(CardOutcome)
        case forwarding(PaymentEnd)
        case writingDeferredRequest
        case writingDeferral
        case writingRequest(CardOutcome)
        case enteringPIN(CardOutcome)
        case writingAuthorization(CardOutcome)
        case authorizing(CardOutcome)
        case writingResponse(Decision)
        case updatingCard(Decision)
        case writingEnd(Ending)
        case writingReversal(PaymentEnd, message: UserInterfaceRequest)
        case reversing(PaymentEnd, message: UserInterfaceRequest)
        case finished
    }

    private enum AfterReading: Equatable, Sendable {
        case end(Ending)
        case offlineApproval(CardOutcome)
    }

    /// What the host and the terminal decided on a response.
    private struct Decision: Equatable, Sendable {
        var card: CardOutcome
        var response: AuthorizationResponse
        var isApproved: Bool
        var reason: String?
    }

    /// A last write, and what follows it.
    private struct Ending: Equatable, Sendable {
        var state: TransactionState
        var result = TransactionResult()
        /// As it is reported where the journal takes the write.
        var end: PaymentEnd
        var message: UserInterfaceRequest?
        /// In place of `message` where the journal does not take the write.
        var messageIfNotWritten: UserInterfaceRequest?
        /// The host has approved: what the journal does not take must be reversed.
        var isBooked = false
        var turnsFieldOff = false
    }

    private var state = State.ready
    private let terms: Terms

    package init(_ terms: Terms) { self.terms = terms }

    package mutating func start() -> [Action] {
        guard state == .ready else { return misplaced("a second start") }
        state = .readingCard
        return [.readCard]
    }

    package mutating func handle(_ event: Event) -> [Action] {
        switch (state, event) {
        case (.readingCard, .cardNotRead(let failure)): return end(without: failure)
        case (.readingCard, .cardRead(let card)): return decide(card)

        // A reading that the journal does not take is written with what comes next, or the payment fails there.
        case (.writingReading(.end(let ending)), .written), (.writingReading(.end(let ending)), .notWritten):
            return write(ending)
        case (.writingReading(.offlineApproval(let card)), .written),
            (.writingReading(.offlineApproval(let card)), .notWritten):
            state = .writingOfflineApproval(card)
            return [.write(.offlineApproval(TransactionResult()))]

        case (.writingOfflineApproval(let card), .written):
            state = .forwarding(PaymentEnd(.approved, online: false))
            return show(card.message) + [.releaseCard, .forward]
        case (.writingOfflineApproval, .notWritten(let problem)):
            return [.turnFieldOff]
                + fail("the journal did not take the result: \(problem)", online: false)
        case (.forwarding(var end), .forwarded(let note)):
            end.reason = note
            return finish(end)

        case (.writingDeferredRequest, .written):
            state = .writingDeferral
            return [.write(.deferral(reason: Self.askedLater))]
        case (.writingDeferral, .written):
            return [.show(UserInterfaceRequest(.approved, .notApplicable)), .wakeQueue]
                + finish(PaymentEnd(.approved, reason: Self.askedLater, online: false, isDeferred: true))
        case (.writingDeferredRequest, .notWritten(let problem)),
            (.writingDeferral, .notWritten(let problem)):
            return fail("the journal did not take the result: \(problem)")

        case (.writingRequest(let card), .written) where card.asksForPIN:
            state = .enteringPIN(card)
            return [.show(UserInterfaceRequest(.enterPIN, .notApplicable)), .enterPIN]
        case (.writingRequest(let card), .written):
            state = .writingAuthorization(card)
            return [.write(.authorization)]
        case (.writingRequest, .notWritten(let problem)):
            return fail("the journal did not take the request, so it was not sent: \(problem)")

        case (.enteringPIN(let card), .pinEntered):
            state = .writingAuthorization(card)
            return [.show(UserInterfaceRequest(.authorising, .notReady)), .write(.authorization)]
        case (.enteringPIN, .pinNotEntered): return cancel(reported: "no PIN was entered")
        case (.enteringPIN, .pinFailed(let reason)):
            return [.show(UserInterfaceRequest(.notAuthorised, .processingError))]
                + write(
                    Ending(
                        state: .failed, result: TransactionResult(reason: reason),
                        end: PaymentEnd(.failed, reason: reason)))

        case (.writingAuthorization(let card), .written):
            state = .authorizing(card)
            return [.authorize]
        case (.writingAuthorization, .cancelled): return cancel(reported: "cancelled")
        case (.writingAuthorization, .notWritten(let problem)):
            return fail("the journal did not take the authorization, so it was not sent: \(problem)")

        case (.authorizing(let card), .responded(let response)): return decide(response, card)
        case (.authorizing, .notResponded(let error)):
            return error.isOutcomeUnknown ? outcomeIsUnknown(error) : declineUnsent(error)

        case (.writingResponse(let decision), .written):
            state = .updatingCard(decision)
            return show(decision.card.restartMessage) + [.updateCard]
        case (.writingResponse(var decision), .notWritten(let problem)):
            decision.reason = "the journal did not take the answer: \(problem)"
            return carryOut(decision)
        case (.updatingCard(var decision), .cardUpdated(let isDeclined)):
            if isDeclined, decision.isApproved {
                decision.isApproved = false
                decision.reason = "the card declined after the issuer's answer"
            }
            return [.releaseCard] + carryOut(decision)
        case (.updatingCard(var decision), .cardNotUpdated):
            // The host's decision stands; only the card did not hear of it.
            decision.reason = "the card was not presented again: the issuer's update was not delivered"
            return [.turnFieldOff] + carryOut(decision)

        case (.writingEnd(let ending), .written): return close(ending)
        case (.writingEnd(let ending), .notWritten(let problem)): return close(ending, notWritten: problem)

        case (.writingReversal(let end, let message), .written):
            state = .reversing(end, message: message)
            return [.deliverReversal]
        case (.writingReversal(let end, let message), .notWritten(let problem)),
            (.reversing(let end, let message), .reversalNotDelivered(let problem)):
            return endUnreversed(end, message: message, because: problem)
        case (.reversing(var end, let message), .reversalDelivered(let isAcknowledged)):
            end.reversalOutstanding = !isAcknowledged
            return [.show(message)] + finish(end)

        default: return misplaced("\(event)")
        }
    }

    // MARK: - Before the host is asked

    private static let askedLater = "the host is asked later"

    private mutating func end(without failure: CardFailure) -> [Action] {
        let (state, status, reason): (TransactionState, PaymentStatus, String) =
            switch failure {
            case .noCard: (.cancelled, .timedOut, "no card was presented in time")
            case .lastCardStayed(false):
                (.cancelled, .timedOut, "the card of the payment before was not taken away")
            case .cancelled, .lastCardStayed(true): (.cancelled, .cancelled, "cancelled")
            case .readerFailed(let problem): (.failed, .failed, problem)
            case .tooManyAttempts(let count):
                (.failed, .ended, "the card could not be read in \(count) attempts")
            }
        let fieldIsOn = if case .lastCardStayed = failure { false } else { true }
        return write(
            Ending(
                state: state, result: TransactionResult(reason: reason),
                end: PaymentEnd(status, reason: reason),
                message: UserInterfaceRequest(.clearDisplay, .notReady), turnsFieldOff: fieldIsOn))
    }

    private mutating func decide(_ card: CardOutcome) -> [Action] {
        if card.isOtherCard {
            return refuse(card, "the refund goes to the card that paid, and this is another one")
        }
        let isReadRefund = terms.isRefund && card.hasCardNumber
        switch card.status {
        case .approved, .onlineRequest, .requestOnlinePIN:
            if let refusal = card.merchantRefusal { return refuse(card, refusal) }
            return card.status == .approved ? approveOffline(card) : goOnline(card)
        case .declined where isReadRefund, .endApplication where isReadRefund && card.cryptogramType == 0:
            // A card answers a refund with an AAC, as it gives nothing away: the refund goes to the host on
            // the data that were read. Unconfirmed: Book C-3 is silent on what the terminal does then. Kernel 2 ends
            // the application, with its data (Book C-2, S910.74).
            return [.show(UserInterfaceRequest(.authorising, .notReady)), .releaseCard] + authorize(card)
        case .declined:
            let reason = card.declineReason
            return [
                .show(card.message ?? UserInterfaceRequest(.notAuthorised)), .releaseCard,
            ]
                + writeWithReading(
                    card,
                    Ending(
                        state: .declinedOffline, result: TransactionResult(reason: reason),
                        end: PaymentEnd(.declined, reason: reason, online: false)))
        case .tryAnotherInterface:
            let other =
                card.asksForSwipe
                ? "the card must be swiped" : "the card must be inserted or another card used"
            return end(
                card, as: .tryAnotherInterface,
                because: card.reasons.map { "\(other): \($0)" } ?? other)
        case .endApplication, .selectNext, .tryAgain:
            return end(
                card, as: .ended,
                because: card.failedAuthentication ?? card.reasons
                    ?? "the transaction cannot be completed with this card")
        }
    }

    private mutating func end(
        _ card: CardOutcome, as status: PaymentStatus, because reason: String
    ) -> [Action] {
        show(card.message) + [.releaseCard]
            + writeWithReading(
                card,
                Ending(
                    state: .failed, result: TransactionResult(reason: reason),
                    end: PaymentEnd(status, reason: reason)))
    }

    private mutating func refuse(_ card: CardOutcome, _ reason: String) -> [Action] {
        [
            .releaseCard, .reportRefusal(reason),
            .show(UserInterfaceRequest(.insertSwipeOrTryAnotherCard, .processingError)),
        ]
            + writeWithReading(
                card,
                Ending(
                    state: .cancelled, result: TransactionResult(reason: reason),
                    end: PaymentEnd(.refusedByMerchant, reason: reason)))
    }

    private mutating func endUnreadable(_ card: CardOutcome) -> [Action] {
        let reason = "the card's data give no valid card number: nothing was authorized"
        return [.show(UserInterfaceRequest(.notAuthorised, .processingError))]
            + writeWithReading(
                card,
                Ending(
                    state: .failed, result: TransactionResult(reason: reason),
                    end: PaymentEnd(.failed, reason: reason)))
    }

    private mutating func approveOffline(_ card: CardOutcome) -> [Action] {
        guard card.hasCardNumber else { return [.turnFieldOff] + endUnreadable(card) }
        state = .writingReading(then: .offlineApproval(card))
        return [.write(.reading)]
    }

    private mutating func goOnline(_ card: CardOutcome) -> [Action] {
        // If a PIN is to be entered first, that is what is shown. A kernel may give no message with its request (Book C-2, S13.25, mag-stripe
        // mode): the terminal says that it asks the host.
        (card.cvm == .onlinePIN ? [] : [.show(card.message ?? UserInterfaceRequest(.authorising, .notReady))])
            + [.releaseCard] + authorize(card)
    }

    private mutating func authorize(_ card: CardOutcome) -> [Action] {
        guard card.hasCardNumber else { return endUnreadable(card) }
        // A PIN block is not kept: with online PIN nothing can be deferred.
        state =
            terms.purpose == .deferred && !card.asksForPIN ? .writingDeferredRequest : .writingRequest(card)
        return [.write(.request)]
    }

    /// Given up when the request is written and nothing was sent.
    private mutating func cancel(reported reason: String) -> [Action] {
        write(
            Ending(
                state: .cancelled, result: TransactionResult(reason: "cancelled"),
                end: PaymentEnd(.cancelled, reason: reason),
                message: UserInterfaceRequest(.clearDisplay, .notReady)))
    }

    // MARK: - What the host says

    private mutating func decide(_ response: AuthorizationResponse, _ card: CardOutcome) -> [Action] {
        var decision = Decision(card: card, response: response, isApproved: false, reason: response.message)
        switch response.decision(
            amount: terms.amount, acceptsPartialApproval: terms.acceptsPartialApproval,
            identifiesCardholders: terms.identifiesCardholders)
        {
        case .approved:
            decision.isApproved = true
            if response.meaning == .approvedWithIdentification {
                decision.reason = "the host wants the cardholder identified"
            }
        case .declined: break
        case .reversed(let reason, let because):
            // Without a usable response nobody has decided.
            let isDecided = reason == .approvalNotTaken
            return reverse(
                response, because: reason,
                end: PaymentEnd(
                    isDecided ? .declined : .failed, reason: because, online: isDecided ? true : nil),
                message: UserInterfaceRequest(.notAuthorised, .notApplicable))
        }
        let hasIssuerData = response.issuerAuthenticationData != nil || !response.issuerScripts.isEmpty
        switch card.secondPresentment {
        case .never: return carryOut(decision)
        case .withIssuerData where !hasIssuerData: return carryOut(decision)
        case .withIssuerData, .always:
            // A restart in the meantime knows what the host decided.
            state = .writingResponse(decision)
            return [.write(.response(Self.result(response, decision.reason)))]
        }
    }

    private mutating func carryOut(_ decision: Decision) -> [Action] {
        let response = decision.response
        let refused = UserInterfaceRequest(.notAuthorised, .notApplicable)
        let end = PaymentEnd(
            decision.isApproved ? .approved : .declined, reason: decision.reason, online: true)
        if response.isApproved, !decision.isApproved {
            return reverse(response, because: .cardDeclined, end: end, message: refused)
        }
        let approved = UserInterfaceRequest(
            decision.card.cvm == .signature ? .approvedSign : .approved, .notApplicable)
        return write(
            Ending(
                state: decision.isApproved ? .approved : .declined,
                result: Self.result(response, decision.reason), end: end,
                message: decision.isApproved ? approved : refused,
                messageIfNotWritten: decision.isApproved
                    ? UserInterfaceRequest(.notAuthorised, .processingError) : refused,
                isBooked: response.isApproved))
    }

    /// The host may have approved, and nobody knows: reversed. (A backend that can be asked is asked here first.)
    private mutating func outcomeIsUnknown(_ error: AcquirerError) -> [Action] {
        reverse(
            nil, because: error == .timeout ? .timeout : .malformedResponse,
            end: PaymentEnd(.failed, reason: "\(error)"),
            message: UserInterfaceRequest(.notAuthorised, .notReady))
    }

    /// Unable to go online: declined (Book A: no kernel here decides again without the host).
    private mutating func declineUnsent(_ error: AcquirerError) -> [Action] {
        write(
            Ending(
                state: .declined, result: TransactionResult(reason: "\(error)"),
                end: PaymentEnd(.declined, reason: "\(error)"),
                message: UserInterfaceRequest(.notAuthorised, .notReady)))
    }

    private mutating func reverse(
        _ response: AuthorizationResponse?, because reason: ReversalRequest.Reason, end: PaymentEnd,
        message: UserInterfaceRequest
    ) -> [Action] {
        state = .writingReversal(end, message: message)
        return [
            .write(
                .reversal(reason, Self.result(response, end.reason), from: [.authorizing, .answered]))
        ]
    }

    // MARK: - The end

    private mutating func writeWithReading(_ card: CardOutcome, _ ending: Ending) -> [Action] {
        guard card.hasReading else { return write(ending) }
        state = .writingReading(then: .end(ending))
        return [.write(.reading)]
    }

    private mutating func write(_ ending: Ending) -> [Action] {
        state = .writingEnd(ending)
        return [.write(.end(ending.state, ending.result))]
    }

    private mutating func close(_ ending: Ending, notWritten problem: String? = nil) -> [Action] {
        var end = ending.end
        var message = ending.message
        if let problem {
            end.status = .failed
            end.reason = "the journal did not take the result: \(problem)"
            end.journalFailed = true
            end.reversalOutstanding = ending.isBooked
            message = ending.messageIfNotWritten ?? message
        }
        return show(message) + (ending.turnsFieldOff ? [.turnFieldOff] : []) + finish(end)
    }

    /// Nothing was sent: the journal did not take what had to be there before.
    private mutating func fail(_ reason: String, online: Bool? = nil) -> [Action] {
        [.show(UserInterfaceRequest(.notAuthorised, .processingError))]
            + finish(PaymentEnd(.failed, reason: reason, online: online, journalFailed: true))
    }

    private mutating func endUnreversed(
        _ end: PaymentEnd, message: UserInterfaceRequest, because problem: String
    ) -> [Action] {
        var end = end
        end.reason = "the journal failed while a reversal was due: \(problem)"
        end.journalFailed = true
        end.reversalOutstanding = true
        return [.show(message)] + finish(end)
    }

    private mutating func finish(_ end: PaymentEnd) -> [Action] {
        state = .finished
        return [.finish(end)]
    }

    /// What does not belong here is a defect of who drives the machine. Whatever the journal has is resolved as after a crash.
    private mutating func misplaced(_ what: String) -> [Action] {
        let place = "\(state)".prefix { $0 != "(" }
        return finish(
            PaymentEnd(
                .failed, reason: "internal error: \(what) in state \(place)", reversalOutstanding: true,
                journalFailed: true))
    }

    private func show(_ message: UserInterfaceRequest?) -> [Action] { message.map { [.show($0)] } ?? [] }

    private static func result(_ response: AuthorizationResponse?, _ reason: String?) -> TransactionResult {
        TransactionResult(
            responseCode: response?.responseCode, authorizationCode: response?.authorizationCode,
            approvedAmount: response?.approvedAmount, reason: reason)
    }
}
