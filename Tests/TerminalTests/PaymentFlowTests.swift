import Acquiring
import EMV
import EMVCryptography
import Journal
import Testing

@testable import Terminal

/// The payment's machine, step by step: what comes in, and what goes out.
@Suite struct PaymentFlowTests {
    typealias Action = PaymentFlow.Action

    static let amount = Amount(clamping: 1250)
    static let approval = AuthorizationResponse(responseCode: "00", authorizationCode: "A12345")
    static let approved = TransactionResult(responseCode: "00", authorizationCode: "A12345")
    static let outcomeMessage = UserInterfaceRequest(.cardReadOKRemove, .cardReadSuccessfully)
    static let refusedMessage = UserInterfaceRequest(.notAuthorised, .notApplicable)
    static let errorMessage = UserInterfaceRequest(.notAuthorised, .processingError)

    static func flow(_ change: (inout PaymentFlow.Terms) -> Void = { _ in }) -> PaymentFlow {
        var terms = PaymentFlow.Terms(amount: amount)
        change(&terms)
        return PaymentFlow(terms)
    }

    static func card(
        _ status: Outcome.Status, _ change: (inout CardOutcome) -> Void = { _ in }
    ) -> CardOutcome {
        var card = CardOutcome(status, message: outcomeMessage)
        change(&card)
        return card
    }

    /// A machine that waits for the host.
    static func authorizing(_ card: CardOutcome = card(.onlineRequest)) -> PaymentFlow {
        var flow = flow()
        _ = flow.start()
        _ = flow.handle(.cardRead(card))
        _ = flow.handle(.written)
        if card.asksForPIN { _ = flow.handle(.pinEntered) }
        #expect(flow.handle(.written) == [.authorize])
        return flow
    }

    /// Kernel 2 gives no message with an online request of mag-stripe mode (Book C-2, S13.25).
    @Test func onlineWithoutMessage() {
        var flow = Self.flow()
        _ = flow.start()
        #expect(
            flow.handle(.cardRead(Self.card(.onlineRequest) { $0.message = nil }))
                == [.show(UserInterfaceRequest(.authorising, .notReady)), .releaseCard, .write(.request)])
    }

    @Test func online() {
        var flow = Self.flow()
        #expect(flow.start() == [.readCard])
        #expect(
            flow.handle(.cardRead(Self.card(.onlineRequest)))
                == [.show(Self.outcomeMessage), .releaseCard, .write(.request)])
        #expect(flow.handle(.written) == [.write(.authorization)])
        #expect(flow.handle(.written) == [.authorize])
        #expect(flow.handle(.responded(Self.approval)) == [.write(.end(.approved, Self.approved))])
        #expect(
            flow.handle(.written) == [
                .show(UserInterfaceRequest(.approved, .notApplicable)),
                .finish(PaymentEnd(.approved, online: true)),
            ])
    }

    @Test func onlineWithPIN() {
        var flow = Self.flow()
        _ = flow.start()
        // The entry is shown instead of the outcome's message.
        #expect(
            flow.handle(.cardRead(Self.card(.onlineRequest) { $0.cvm = .onlinePIN }))
                == [.releaseCard, .write(.request)])
        #expect(
            flow.handle(.written) == [.show(UserInterfaceRequest(.enterPIN, .notApplicable)), .enterPIN])
        #expect(
            flow.handle(.pinEntered) == [
                .show(UserInterfaceRequest(.authorising, .notReady)), .write(.authorization),
            ])
        #expect(flow.handle(.written) == [.authorize])
    }

    /// Nothing was sent: the payment is closed, and what is reported differs from what the journal has to say.
    @Test func noPIN() {
        let cancelled = TransactionResult(reason: "cancelled")
        for (event, first, end) in [
            (
                PaymentFlow.Event.pinNotEntered, [Action.write(.end(.cancelled, cancelled))],
                [
                    Action.show(UserInterfaceRequest(.clearDisplay, .notReady)),
                    .finish(PaymentEnd(.cancelled, reason: "no PIN was entered")),
                ]
            ),
            (
                .pinFailed("no key"),
                [
                    .show(Self.errorMessage),
                    .write(.end(.failed, TransactionResult(reason: "no key"))),
                ], [.finish(PaymentEnd(.failed, reason: "no key"))]
            ),
        ] {
            var flow = Self.flow()
            _ = flow.start()
            _ = flow.handle(.cardRead(Self.card(.requestOnlinePIN)))
            _ = flow.handle(.written)
            #expect(flow.handle(event) == first)
            #expect(flow.handle(.written) == end)
        }
    }

    /// Cancelled when the request was written, in place of the write that says it is sent.
    @Test func cancelledBeforeItIsSent() {
        var flow = Self.flow()
        _ = flow.start()
        _ = flow.handle(.cardRead(Self.card(.onlineRequest)))
        #expect(flow.handle(.written) == [.write(.authorization)])
        #expect(
            flow.handle(.cancelled) == [.write(.end(.cancelled, TransactionResult(reason: "cancelled")))])
        #expect(
            flow.handle(.written) == [
                .show(UserInterfaceRequest(.clearDisplay, .notReady)),
                .finish(PaymentEnd(.cancelled, reason: "cancelled")),
            ])
    }

    @Test func offline() {
        var flow = Self.flow()
        _ = flow.start()
        #expect(flow.handle(.cardRead(Self.card(.approved))) == [.write(.reading)])
        // A reading that is not taken is no reason to give up what comes next.
        #expect(flow.handle(.notWritten("locked")) == [.write(.offlineApproval(TransactionResult()))])
        #expect(flow.handle(.written) == [.show(Self.outcomeMessage), .releaseCard, .forward])
        #expect(
            flow.handle(.forwarded(note: "later")) == [
                .finish(PaymentEnd(.approved, reason: "later", online: false))
            ])
    }

    @Test func offlineThatTheJournalDoesNotTake() {
        var flow = Self.flow()
        _ = flow.start()
        _ = flow.handle(.cardRead(Self.card(.approved)))
        _ = flow.handle(.written)
        #expect(
            flow.handle(.notWritten("full")) == [
                .turnFieldOff, .show(Self.errorMessage),
                .finish(
                    PaymentEnd(
                        .failed, reason: "the journal did not take the result: full", online: false,
                        journalFailed: true)),
            ])
    }

    @Test func deferred() {
        var flow = Self.flow { $0.purpose = .deferred }
        _ = flow.start()
        _ = flow.handle(.cardRead(Self.card(.onlineRequest)))
        #expect(flow.handle(.written) == [.write(.deferral(reason: "the host is asked later"))])
        #expect(
            flow.handle(.written) == [
                .show(UserInterfaceRequest(.approved, .notApplicable)), .wakeQueue,
                .finish(
                    PaymentEnd(
                        .approved, reason: "the host is asked later", online: false, isDeferred: true)),
            ])
        // A PIN block is not kept: with PIN the host is asked at once.
        var other = Self.flow { $0.purpose = .deferred }
        _ = other.start()
        _ = other.handle(.cardRead(Self.card(.onlineRequest) { $0.cvm = .onlinePIN }))
        #expect(other.handle(.written).last == .enterPIN)
    }

    // MARK: - Ends without the host

    @Test(arguments: [
        (CardFailure.noCard, TransactionState.cancelled, PaymentStatus.timedOut, true),
        (.cancelled, .cancelled, .cancelled, true),
        (.lastCardStayed(isCancelled: false), .cancelled, .timedOut, false),
        (.lastCardStayed(isCancelled: true), .cancelled, .cancelled, false),
        (.readerFailed("gone"), .failed, .failed, true),
        (.tooManyAttempts(12), .failed, .ended, true),
    ]) func noCard(
        _ failure: CardFailure, _ state: TransactionState, _ status: PaymentStatus, _ turnsFieldOff: Bool
    ) {
        var flow = Self.flow()
        _ = flow.start()
        let actions = flow.handle(.cardNotRead(failure))
        guard case .write(.end(let written, let result, from: nil))? = actions.first, actions.count == 1
        else {
            Issue.record("\(actions)")
            return
        }
        #expect(written == state)
        let rest = flow.handle(.written)
        #expect(
            rest == [.show(UserInterfaceRequest(.clearDisplay, .notReady))]
                + (turnsFieldOff ? [.turnFieldOff] : [])
                + [.finish(PaymentEnd(status, reason: result.reason))])
    }

    /// A card that is not taken, or does not pay: what the journal gets, and how it ends.
    @Test func cardsThatDoNotPay() {
        let insert = UserInterfaceRequest(.insertSwipeOrTryAnotherCard, .processingError)
        func refused(_ reason: String) -> [Action] {
            [.releaseCard, .reportRefusal(reason), .show(insert), .write(.reading)]
        }
        let shown: [Action] = [.show(Self.outcomeMessage), .releaseCard, .write(.reading)]
        let other = "the refund goes to the card that paid, and this is another one"
        let cases: [(CardOutcome, [Action], TransactionState, PaymentEnd)] = [
            (
                Self.card(.onlineRequest) { $0.merchantRefusal = "no phones" }, refused("no phones"),
                .cancelled, PaymentEnd(.refusedByMerchant, reason: "no phones")
            ),
            (
                Self.card(.endApplication) { $0.isOtherCard = true }, refused(other), .cancelled,
                PaymentEnd(.refusedByMerchant, reason: other)
            ),
            // What the merchant does not take is nobody's business where the card does not pay anyway.
            (
                Self.card(.declined) {
                    $0.merchantRefusal = "no phones"
                    $0.cryptogramType = 0
                }, shown, .declinedOffline,
                PaymentEnd(.declined, reason: "the card declined", online: false)
            ),
            (
                Self.card(.declined) { $0.authenticationFailure = "signature" }, shown, .declinedOffline,
                PaymentEnd(
                    .declined, reason: "offline data authentication failed: signature", online: false)
            ),
            (
                Self.card(.tryAnotherInterface) { $0.asksForSwipe = true }, shown, .failed,
                PaymentEnd(.tryAnotherInterface, reason: "the card must be swiped")
            ),
            (
                Self.card(.endApplication), shown, .failed,
                PaymentEnd(.ended, reason: "the transaction cannot be completed with this card")
            ),
            (
                Self.card(.onlineRequest) { $0.hasCardNumber = false },
                [.show(Self.outcomeMessage), .releaseCard, .show(Self.errorMessage), .write(.reading)],
                .failed,
                PaymentEnd(
                    .failed, reason: "the card's data give no valid card number: nothing was authorized")
            ),
            (
                Self.card(.approved) { $0.hasCardNumber = false },
                [.turnFieldOff, .show(Self.errorMessage), .write(.reading)], .failed,
                PaymentEnd(
                    .failed, reason: "the card's data give no valid card number: nothing was authorized")
            ),
        ]
        for (card, first, state, end) in cases {
            var flow = Self.flow()
            _ = flow.start()
            #expect(flow.handle(.cardRead(card)) == first)
            #expect(
                flow.handle(.written) == [.write(.end(state, TransactionResult(reason: end.reason)))])
            #expect(flow.handle(.written) == [.finish(end)])
        }
        // Without a reading there is nothing to be written but the end.
        var flow = Self.flow()
        _ = flow.start()
        #expect(
            flow.handle(.cardRead(Self.card(.endApplication) { $0.hasReading = false })).last
                == .write(
                    .end(
                        .failed,
                        TransactionResult(reason: "the transaction cannot be completed with this card"))))
    }

    /// An AAC is a card's answer to a refund: the host is asked. Anything else ends it.
    @Test func refundOnTheDataRead() {
        for (status, type, goesOn) in [
            (Outcome.Status.declined, 0 as UInt8?, true), (.endApplication, 0, true),
            (.endApplication, 2, false), (.endApplication, nil, false),
        ] {
            var flow = Self.flow { $0.isRefund = true }
            _ = flow.start()
            let actions = flow.handle(.cardRead(Self.card(status) { $0.cryptogramType = type }))
            #expect(
                actions
                    == (goesOn
                        ? [
                            .show(UserInterfaceRequest(.authorising, .notReady)), .releaseCard,
                            .write(.request),
                        ] : [.show(Self.outcomeMessage), .releaseCard, .write(.reading)]))
        }
    }

    // MARK: - What the host says

    /// The host has booked what is not approved here, or may have: a reversal is due, and is delivered.
    @Test func reversals() {
        let identification = AuthorizationResponse(responseCode: "08", authorizationCode: "A12345")
        let because =
            "the host wants the cardholder identified, which is not done here (response code 08: \(ResponseCodeTable.text("08") ?? ""))"
        let cases: [(PaymentFlow.Event, PaymentWrite, PaymentEnd, UserInterfaceRequest)] = [
            (
                .notResponded(.timeout),
                .reversal(
                    .timeout, TransactionResult(reason: "the acquirer did not answer in time"),
                    from: [.authorizing, .answered]),
                PaymentEnd(.failed, reason: "the acquirer did not answer in time"),
                UserInterfaceRequest(.notAuthorised, .notReady)
            ),
            (
                .notResponded(.connectionLost("cut")),
                .reversal(
                    .malformedResponse,
                    TransactionResult(reason: "\(AcquirerError.connectionLost("cut"))"),
                    from: [.authorizing, .answered]),
                PaymentEnd(.failed, reason: "\(AcquirerError.connectionLost("cut"))"),
                UserInterfaceRequest(.notAuthorised, .notReady)
            ),
            (
                .responded(identification),
                .reversal(
                    .approvalNotTaken,
                    TransactionResult(
                        responseCode: "08", authorizationCode: "A12345", reason: because),
                    from: [.authorizing, .answered]),
                PaymentEnd(.declined, reason: because, online: true), Self.refusedMessage
            ),
        ]
        for (event, write, end, message) in cases {
            for isAcknowledged in [true, false] {
                var flow = Self.authorizing()
                #expect(flow.handle(event) == [.write(write)])
                #expect(flow.handle(.written) == [.deliverReversal])
                var expected = end
                expected.reversalOutstanding = !isAcknowledged
                #expect(
                    flow.handle(.reversalDelivered(isAcknowledged: isAcknowledged))
                        == [.show(message), .finish(expected)])
            }
            // Neither the write nor the delivery: told as it is.
            for fails in [[PaymentFlow.Event.notWritten("full")], [.written, .reversalNotDelivered("full")]] {
                var flow = Self.authorizing()
                _ = flow.handle(event)
                let last = fails.map { flow.handle($0) }.last
                var expected = end
                expected.reason = "the journal failed while a reversal was due: full"
                expected.reversalOutstanding = true
                expected.journalFailed = true
                #expect(last == [.show(message), .finish(expected)])
            }
        }
    }

    @Test func declined() {
        var flow = Self.authorizing()
        let response = AuthorizationResponse(responseCode: "51", message: "no money")
        let result = TransactionResult(responseCode: "51", reason: "no money")
        #expect(flow.handle(.responded(response)) == [.write(.end(.declined, result))])
        #expect(
            flow.handle(.written) == [
                .show(Self.refusedMessage), .finish(PaymentEnd(.declined, reason: "no money", online: true)),
            ])
    }

    /// Certainly not sent: declined, as nobody else may decide.
    @Test(arguments: [AcquirerError.unreachable("down"), .rejected("format"), .notProcessed("96")])
    func notSent(_ error: AcquirerError) {
        var flow = Self.authorizing()
        #expect(
            flow.handle(.notResponded(error)) == [
                .write(.end(.declined, TransactionResult(reason: "\(error)")))
            ])
        #expect(
            flow.handle(.written) == [
                .show(UserInterfaceRequest(.notAuthorised, .notReady)),
                .finish(PaymentEnd(.declined, reason: "\(error)")),
            ])
    }

    /// Shown as approved only after the journal has it; else the host's approval must be taken back.
    @Test func approvalThatTheJournalDoesNotTake() {
        var flow = Self.authorizing()
        #expect(flow.handle(.responded(Self.approval)) == [.write(.end(.approved, Self.approved))])
        #expect(
            flow.handle(.notWritten("locked")) == [
                .show(Self.errorMessage),
                .finish(
                    PaymentEnd(
                        .failed, reason: "the journal did not take the result: locked", online: true,
                        reversalOutstanding: true, journalFailed: true)),
            ])
    }

    // MARK: - Second presentment

    static let restart = UserInterfaceRequest(.presentCardAgain, .readyToRead)

    static func updating(
        _ response: AuthorizationResponse = approval, _ when: CardOutcome.SecondPresentment = .always
    ) -> (PaymentFlow, [Action]) {
        var flow = authorizing(
            card(.onlineRequest) {
                $0.secondPresentment = when
                $0.restartMessage = restart
            })
        let actions = flow.handle(.responded(response))
        return (flow, actions)
    }

    @Test func issuerUpdate() {
        var (flow, actions) = Self.updating()
        #expect(actions == [.write(.response(Self.approved))])
        #expect(flow.handle(.written) == [.show(Self.restart), .updateCard])
        #expect(
            flow.handle(.cardUpdated(isDeclined: false)) == [
                .releaseCard, .write(.end(.approved, Self.approved)),
            ])
        #expect(flow.handle(.written).last == .finish(PaymentEnd(.approved, online: true)))
    }

    @Test func cardDeclinesAfterwards() {
        var (flow, _) = Self.updating()
        _ = flow.handle(.written)
        var result = Self.approved
        result.reason = "the card declined after the issuer's answer"
        #expect(
            flow.handle(.cardUpdated(isDeclined: true)) == [
                .releaseCard, .write(.reversal(.cardDeclined, result, from: [.authorizing, .answered])),
            ])
        #expect(flow.handle(.written) == [.deliverReversal])
    }

    /// The host's decision stands though the card did not hear of it, or the journal not of the response.
    @Test func updateThatDoesNotHappen() {
        var (flow, _) = Self.updating()
        _ = flow.handle(.written)
        var result = Self.approved
        result.reason = "the card was not presented again: the issuer's update was not delivered"
        #expect(flow.handle(.cardNotUpdated) == [.turnFieldOff, .write(.end(.approved, result))])

        (flow, _) = Self.updating()
        result.reason = "the journal did not take the answer: locked"
        #expect(flow.handle(.notWritten("locked")) == [.write(.end(.approved, result))])
    }

    @Test func updateOnlyWithIssuerData() {
        let (_, without) = Self.updating(Self.approval, .withIssuerData)
        #expect(without == [.write(.end(.approved, Self.approved))])
        var response = Self.approval
        response.issuerAuthenticationData = [1, 2, 3, 4, 5, 6, 7, 8]
        let (_, with) = Self.updating(response, .withIssuerData)
        #expect(with == [.write(.response(Self.approved))])
        let (_, never) = Self.updating(response, .never)
        #expect(never == [.write(.end(.approved, Self.approved))])
    }

    /// What does not belong to a state ends the payment, as an interrupted one.
    @Test func eventsOutOfPlace() {
        var flow = Self.flow()
        _ = flow.start()
        let actions = flow.handle(.pinEntered)
        guard case .finish(let end)? = actions.first, actions.count == 1 else {
            Issue.record("\(actions)")
            return
        }
        #expect(end.status == .failed && end.journalFailed && end.reversalOutstanding)
        #expect(end.reason == "internal error: pinEntered in state readingCard")
    }
}

/// Every way through the machine follows the journal's table, and shows nothing as approved that is not written.
@Suite struct PaymentFlowWaysTests {
    static let cards: [CardOutcome] = Outcome.Status.allCases.flatMap { status in
        [
            PaymentFlowTests.card(status), PaymentFlowTests.card(status) { $0.cvm = .onlinePIN },
            PaymentFlowTests.card(status) { $0.hasCardNumber = false },
            PaymentFlowTests.card(status) { $0.secondPresentment = .always },
            PaymentFlowTests.card(status) { $0.merchantRefusal = "no" },
            PaymentFlowTests.card(status) { $0.cryptogramType = 0 },
        ]
    }
    static let responses: [AuthorizationResponse] = ["00", "05", "08", "10", "91", "77", ""].map {
        AuthorizationResponse(responseCode: $0, authorizationCode: $0 == "05" ? nil : "A12345")
    }

    /// What can be answered to an action.
    static func events(on action: PaymentFlow.Action) -> [PaymentFlow.Event] {
        switch action {
        case .readCard:
            cards.map { .cardRead($0) } + [.cardNotRead(.noCard), .cardNotRead(.readerFailed("x"))]
        case .write(.authorization): [.written, .notWritten("x"), .cancelled]
        case .write: [.written, .notWritten("x")]
        case .enterPIN: [.pinEntered, .pinNotEntered, .pinFailed("x")]
        case .authorize:
            responses.map { .responded($0) } + [.notResponded(.timeout), .notResponded(.unreachable("x"))]
        case .updateCard: [.cardUpdated(isDeclined: true), .cardUpdated(isDeclined: false), .cardNotUpdated]
        case .deliverReversal: [.reversalDelivered(isAcknowledged: true), .reversalNotDelivered("x")]
        case .forward: [.forwarded(note: nil)]
        case .show, .reportRefusal, .releaseCard, .turnFieldOff, .wakeQueue, .finish: []
        }
    }

    struct Way {
        var flow: PaymentFlow
        var actions: [PaymentFlow.Action]
        /// What the journal has.
        var state = TransactionState.started
        var steps = 0
    }

    @Test(arguments: [AuthorizationPurpose.sale, .deferred]) func allWays(_ purpose: AuthorizationPurpose) {
        let approving: Set<TransactionState> = [.approved, .approvedOffline, .deferred]
        for isRefund in [false, true] {
            var first = Way(
                flow: PaymentFlowTests.flow {
                    $0.purpose = purpose
                    $0.isRefund = isRefund
                }, actions: [])
            first.actions = first.flow.start()
            var open = [first]
            var ends = 0
            while let way = open.popLast() {
                for action in way.actions.dropLast() {
                    #expect(Self.events(on: action).isEmpty, "\(action) is not the last")
                    if case .show(let message) = action, message.message == .approved {
                        #expect(approving.contains(way.state), "approved is shown in \(way.state)")
                    }
                }
                guard let last = way.actions.last, way.steps < 20 else {
                    Issue.record("it does not end")
                    break
                }
                if case .finish(let end) = last {
                    ends += 1
                    // Whatever is unfinished is known to be so, and approved is what is durable.
                    let isOpen = TransactionState.inProgress.contains(way.state)
                    #expect(!isOpen || end.journalFailed, "\(end) in \(way.state)")
                    #expect(end.status != .approved || approving.contains(way.state))
                    #expect(end.status == .approved || !approving.contains(way.state))
                    continue
                }
                for event in Self.events(on: last) {
                    var next = way
                    next.steps += 1
                    if case .write(let write) = last, event == .written, let state = write.state {
                        #expect(write.from.allSatisfy { state.predecessors.contains($0) || $0 == state })
                        // A reading that comes after the request is not taken.
                        #expect(write.from.contains(way.state), "\(write) in \(way.state)")
                        next.state = state
                    }
                    next.actions = next.flow.handle(event)
                    open.append(next)
                }
            }
            #expect(ends > 100)
        }
    }
}

/// What is owed to the host, step by step.
@Suite struct DeliveryFlowTests {
    static func flow(
        _ state: TransactionState, backend: String? = "bank", hasRequest: Bool = true, patience: Int = 3
    ) -> DeliveryFlow {
        DeliveryFlow(
            DeliveryFlow.Terms(
                state: state, backend: backend, host: "bank", hasRequest: hasRequest,
                amount: Amount(clamping: 1250), acceptsPartialApproval: false, patience: patience))
    }

    @Test func delivered() {
        for (state, transmission, message, acknowledged, after) in [
            (
                TransactionState.reversalDue, JournalChange.Transmission.reversal,
                DeliveryFlow.Message.reversal, PaymentWrite.reversed, TransactionState.reversed
            ),
            (.approvedOffline, .forwarding, .advice, .forwarded, .forwarded),
            (.adjustmentDue, .adjustment, .adjustment, .adjusted(revision: 4), .adjusted),
        ] {
            var flow = Self.flow(state)
            #expect(flow.start() == .write(.transmission(transmission)))
            #expect(
                flow.handle(.counted(2, revision: message == .adjustment ? 4 : nil))
                    == .send(message, transmission: 2))
            #expect(flow.handle(.acknowledged) == .write(acknowledged))
            #expect(flow.handle(.written) == .finish(.delivered(after)))
        }
    }

    /// What is set aside for manual review at once, and what only after some tries.
    @Test func failures() {
        for (error, transmission, reason) in [
            (AcquirerError.rejected("format"), 1, "\(AcquirerError.rejected("format"))"),
            (.malformedResponse("noise"), 2, nil),
            (.malformedResponse("noise"), 3, "3 times: \(AcquirerError.malformedResponse("noise"))"),
            (.timeout, 9, nil), (.connectionLost("cut"), 9, nil), (.unreachable("down"), 9, nil),
            (.notProcessed("96"), 9, nil),
        ] as [(AcquirerError, Int, String?)] {
            var flow = Self.flow(.reversalDue)
            _ = flow.start()
            _ = flow.handle(.counted(transmission, revision: nil))
            let action = flow.handle(.failed(error))
            guard let reason else {
                #expect(action == .finish(.postponed(error)))
                continue
            }
            #expect(action == .write(.parked(reason: reason)))
            #expect(flow.handle(.written) == .finish(.parked(reason)))
        }
    }

    @Test func deferredAuthorization() {
        var flow = Self.flow(.deferred, backend: nil)
        #expect(flow.start() == .write(.authorization))
        #expect(flow.handle(.written) == .authorize)
        let before = flow
        #expect(
            flow.handle(.responded(PaymentFlowTests.approval))
                == .write(.end(.approved, PaymentFlowTests.approved, from: [.authorizing])))
        #expect(flow.handle(.written) == .finish(.delivered(.approved)))
        // Unknown: sent anew under other numbers.
        flow = before
        #expect(flow.handle(.failed(.timeout)) == .sendAnew(.timeout))
        #expect(flow.handle(.sentAnew) == .finish(.postponed(.timeout)))
        // Not sent: it waits again.
        flow = before
        let down = AcquirerError.unreachable("down")
        #expect(flow.handle(.failed(down)) == .write(.deferral(reason: "\(down)")))
        #expect(flow.handle(.written) == .finish(.postponed(down)))
        // Refused: it waits for manual review.
        flow = before
        _ = flow.handle(.failed(.rejected("format")))
        #expect(flow.handle(.written) == .write(.parked(reason: "\(AcquirerError.rejected("format"))")))
        // Approved as this terminal does not take it: reversed at once.
        flow = before
        guard
            case .write(.reversal(.approvalNotTaken, let result, from: [.authorizing])) = flow.handle(
                .responded(AuthorizationResponse(responseCode: "08", authorizationCode: "A12345")))
        else {
            Issue.record("not reversed")
            return
        }
        #expect(result.responseCode == "08")
        #expect(flow.handle(.written) == .write(.transmission(.reversal)))
        #expect(flow.handle(.counted(1, revision: nil)) == .send(.reversal, transmission: 1))
    }

    @Test func parkedAtOnce() {
        for (state, backend, hasRequest) in [
            (TransactionState.reversalDue, "other", true), (.adjustmentDue, "other", true),
            (.approvedOffline, "bank", false), (.deferred, "bank", false),
        ] {
            var flow = Self.flow(state, backend: backend, hasRequest: hasRequest)
            guard case .write(.parked(let reason)) = flow.start() else {
                Issue.record("\(state) is not parked")
                continue
            }
            #expect(flow.handle(.written) == .finish(.parked(reason)))
        }
        // A reversal goes by its numbers.
        var flow = Self.flow(.reversalDue, hasRequest: false)
        #expect(flow.start() == .write(.transmission(.reversal)))
    }
}

/// What becomes of what nobody is at work on any more, by its state.
@Suite struct InterruptedPaymentTests {
    static func record(
        _ state: TransactionState, code: String? = nil, authorization: String? = nil,
        purpose: TransactionPurpose = .sale
    ) async throws -> TransactionRecord {
        var record = try await RecoveryTests.left(try Journal.inMemory(), .started)
        record.state = state
        record.responseCode = code
        record.authorizationCode = authorization
        record.purpose = purpose
        return record
    }

    @Test func everyState() async throws {
        let unsent = TransactionResult(reason: "interrupted before the authorization was sent")
        let waiting = InterruptedPayment.reverse(
            .reversal(
                .restart, TransactionResult(reason: "interrupted while waiting for the host"),
                from: [.authorizing]))
        for state in TransactionState.allCases {
            let found = InterruptedPayment(try await Self.record(state), hasRequest: true)
            switch state {
            case .started, .cardRead, .requestWritten:
                #expect(
                    found
                        == .close(
                            .end(.cancelled, unsent, from: [state]), action: "closed: nothing was sent"))
            case .authorizing: #expect(found == waiting)
            case .answered: #expect(found != nil)
            default: #expect(found == nil, "\(state)")
            }
        }
        // The service was given: sent anew, as far as there is something to be sent.
        let deferred = try await Self.record(.authorizing, purpose: .deferred)
        #expect(InterruptedPayment(deferred, hasRequest: true) == .sendAnew(.restart))
        #expect(InterruptedPayment(deferred, hasRequest: false) == waiting)
    }

    /// Closed only where the host has certainly refused; an authorization code says otherwise.
    @Test(
        arguments: [
            ("05", nil, true), ("05", "A12345", false), ("00", "A12345", false), ("00", nil, false),
            ("77", nil, false), ("91", nil, true), ("", nil, false),
        ] as [(String, String?, Bool)])
    func answered(_ code: String, _ authorization: String?, _ isClosed: Bool) async throws {
        let record = try await Self.record(.answered, code: code, authorization: authorization)
        let found = InterruptedPayment(record, hasRequest: true)
        #expect(
            found
                == (isClosed
                    ? .close(
                        .end(.declined, TransactionResult(), from: [.answered]),
                        action: "closed: the host had declined")
                    : .reverse(
                        .reversal(
                            .restart, TransactionResult(reason: "interrupted after the host's approval"),
                            from: [.answered]))))
    }
}

/// What a response out of time changes, by the state of its transaction.
@Suite struct LateResponseDecisionTests {
    @Test func everyState() async throws {
        let approval = AuthorizationResponse(responseCode: "00", authorizationCode: "B2")
        let reversed = LateResponseDecision.reverse(
            "late answer, response code 00", authorizationCode: "B2", reason: .lateResponse)
        for state in TransactionState.allCases {
            let record = try await InterruptedPaymentTests.record(state, code: "05")
            let found = LateResponseDecision(approval, to: record, isReversalAcknowledged: false)
            switch state {
            case .declined, .reversed: #expect(found == reversed)
            case .authorizing, .answered: #expect(found == .wait)
            default: #expect(found == .note("late answer, response code 00"), "\(state)")
            }
            // What is not booked is noted, whatever the state.
            #expect(
                LateResponseDecision(
                    AuthorizationResponse(responseCode: "51"), to: record, isReversalAcknowledged: true)
                    == .note("late answer, response code 51"))
            let acknowledged = LateResponseDecision(approval, to: record, isReversalAcknowledged: true)
            #expect(acknowledged == (state == .reversalDue ? .wait : found))
        }
    }
}
