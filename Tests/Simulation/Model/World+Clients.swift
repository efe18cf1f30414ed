internal import Acquiring
internal import EMV
internal import Journal
internal import Terminal

/// One client at one terminal: asks for one payment after the other, and again with the same key if it got no result.
final class Client {
    let terminal: Int
    var left: Int
    /// Requested, and no result reported yet.
    var asked: TransactionIntent?
    var name: String { World.name(terminal) }
    init(terminal: Int, left: Int) {
        self.terminal = terminal
        self.left = left
    }
}

/// The payment under way at a terminal, driven by the real `PaymentFlow`.
final class Payment {
    let client: Client
    let place: Int
    let id: String
    var flow: PaymentFlow
    /// Of a mutation that sends too early.
    var earlyResponse: AuthorizationResponse?

    init(of client: Client, at place: Int, id: String, _ flow: PaymentFlow) {
        self.client = client
        self.place = place
        self.id = id
        self.flow = flow
    }
}

extension World {
    private static let currency = NumericCode(978)

    // MARK: - Clients

    /// The next payment of a client, or its end.
    func next(_ client: Client) {
        guard isUp else { return after(1000, survivesCrash: true) { self.next(client) } }
        if client.terminal >= Self.configuredTerminals, life > 0 { client.left = 0 }
        guard client.left > 0 else {
            client.asked = nil
            return endFaults()
        }
        client.left -= 1
        guard let intent = intent(client) else { return next(client) }
        client.asked = intent
        // Some refunds are asked for at two terminals at the same moment.
        if let original = intent.original, sameMoment.time <= time, random.below(3) == 0 {
            sameMoment = (original, intent.amount, time + 3000)
        }
        let isShared = intent.original != nil && intent.original == sameMoment.original
        after(isShared ? max(0, sameMoment.time - time) : 0) { self.pay(client, intent) }
    }

    /// After a restart: what was requested and got no result is requested again, with the same key.
    func resume(_ client: Client) {
        guard let asked = client.asked else { return }
        if client.terminal >= Self.configuredTerminals {
            client.asked = nil
            return after(1, survivesCrash: true) { self.next(client) }
        }
        after(random.between(10, 3000)) { self.pay(client, asked) }
    }

    private func intent(_ client: Client) -> TransactionIntent? {
        guard let currency = Self.currency else { return nil }
        enum Kind { case sale, hold, deferred, refund, refundOf }
        let kind: Kind = random.choice([
            (.sale, 50), (.hold, 12), (.deferred, 12), (.refund, 4), (.refundOf, 22),
        ])
        var amount = UInt64(random.between(1, 5000)) * 2
        var original: String?
        if kind == .refundOf, let shared = sameMoment.original, sameMoment.time > time {
            (original, amount) = (shared, sameMoment.amount.minorUnits)
        } else if kind == .refundOf {
            guard let place = recent({ [.approved, .adjusted, .forwarded].contains($0) }) else { return nil }
            original = journal[place].record.id
            // Often all of it, so that two of them are too much.
            amount = journal[place].record.amountTaken.minorUnits
            if random.below(3) == 0 { amount = max(1, amount / 2) }
        }
        let purpose: TransactionPurpose =
            kind == .hold ? .preAuthorization : kind == .deferred ? .deferred : .sale
        var key: String? = "\(client.terminal)-\(client.left)"
        // A client chooses its keys as it likes.
        if random.perMille(30), let place = recent({ [.deferred, .authorizing].contains($0) }) {
            key = "again:\(journal[place].record.id)"
        }
        return TransactionIntent(
            terminalID: client.name, merchantID: "M", amount: Amount(clamping: amount), currency: currency,
            currencyExponent: 2, transactionType: kind == .refund || kind == .refundOf ? 0x20 : 0,
            purpose: purpose, idempotencyKey: key, original: original)
    }

    /// One of the latest transactions in such a state.
    func recent(_ isMeant: (TransactionState) -> Bool) -> Int? {
        let count = journal.entries.count
        let places = (max(0, count - 16)..<count).filter { isMeant(journal[$0].record.state) }
        return places.isEmpty ? nil : places[random.below(places.count)]
    }

    private func pay(_ client: Client, _ intent: TransactionIntent) {
        beginnings[client.terminal] += 1
        // The original may have been looked at before.
        if let original = intent.original, let place = journal.place(of: original),
            journal.rejectionBefore(of: intent.followUp, at: place) != nil
        {
            beginnings[client.terminal] -= 1
            return report(client, nil, isApproved: false)
        }
        begin(intent) { [self] result in
            guard case .success(let (place, isNew)) = result else {
                beginnings[client.terminal] -= 1
                return report(client, nil, isApproved: false)
            }
            let record = journal[place].record
            guard isNew else {
                beginnings[client.terminal] -= 1
                let approved: [TransactionState] = [
                    .approved, .adjustmentDue, .adjusted, .approvedOffline, .forwarded, .deferred,
                ]
                return report(client, place, isApproved: approved.contains(record.state))
            }
            claim(record.id)
            beginnings[client.terminal] -= 1
            let payment = Payment(
                of: client, at: place, id: record.id,
                PaymentFlow(
                    PaymentFlow.Terms(
                        amount: record.amount,
                        purpose: record.purpose == .preAuthorization
                            ? .preAuthorization : record.purpose == .deferred ? .deferred : .sale,
                        isRefund: record.isCredit, acceptsPartialApproval: random.below(4) == 0,
                        identifiesCardholders: random.below(4) == 0)))
            perform(payment.flow.start(), of: payment)
        }
    }

    private func report(
        _ client: Client, _ place: Int?, isApproved: Bool, isDeferred: Bool = false
    ) {
        if let place {
            note("\(journal[place].record.id): reported \(isApproved ? "approved" : "not approved")")
            if isApproved, !wasApproved.contains(place) {
                problems.append("\(journal[place].record.id) is reported approved and not durable")
            }
            let isDeferred = isDeferred || journal[place].record.purpose == .deferred
            if reports[place]?.isApproved != true {
                reports[place] = Reported(isApproved: isApproved, isDeferred: isDeferred)
            }
        }
        client.asked = nil
        after(random.between(10, 4000), survivesCrash: true) { self.next(client) }
    }

    // MARK: - One payment

    private func resume(_ payment: Payment, _ event: PaymentFlow.Event) {
        perform(payment.flow.handle(event), of: payment)
    }

    private func perform(_ actions: [PaymentFlow.Action], of payment: Payment) {
        for action in actions {
            switch action {
            case .show(let message):
                if message.message == .approved || message.message == .approvedSign { shownApproved(payment) }
            case .releaseCard, .turnFieldOff, .reportRefusal: break
            case .wakeQueue: queue(payment.client.terminal).wake()
            case .readCard:
                after(random.between(100, 3000)) { self.resume(payment, self.cardEvent(payment)) }
            case .write(let write): perform(write, of: payment)
            case .enterPIN:
                let event: PaymentFlow.Event = random.choice([
                    (.pinEntered, 90), (.pinNotEntered, 6), (.pinFailed("no key"), 4),
                ])
                after(random.between(500, 5000)) { self.resume(payment, event) }
            case .authorize: authorize(payment)
            case .updateCard:
                let event: PaymentFlow.Event = random.choice([
                    (.cardUpdated(isDeclined: false), 70), (.cardUpdated(isDeclined: true), 20),
                    (.cardNotUpdated, 10),
                ])
                after(random.between(200, 3000)) { self.resume(payment, event) }
            case .deliverReversal:
                queue(payment.client.terminal).flush { [self] in
                    resume(
                        payment,
                        .reversalDelivered(isAcknowledged: journal[payment.place].record.state == .reversed))
                }
            case .forward:
                queue(payment.client.terminal).wake()
                after(1) { self.resume(payment, .forwarded(note: nil)) }
            case .finish(let end):
                release(payment.id)
                if end.journalFailed { queue(payment.client.terminal).wake() }
                note("\(payment.id): ends \(end.status) (\(end.reason ?? "-"))")
                report(
                    payment.client, payment.place, isApproved: end.status == .approved,
                    isDeferred: end.isDeferred)
            }
        }
    }

    private func shownApproved(_ payment: Payment) {
        if !wasApproved.contains(payment.place) {
            problems.append("\(payment.id) is shown approved and not durable")
        }
    }

    private func cardEvent(_ payment: Payment) -> PaymentFlow.Event {
        let isRefund = journal[payment.place].record.isCredit
        let status: Outcome.Status? = random.choice([
            (.onlineRequest, isRefund ? 20 : 70), (.approved, isRefund ? 0 : 16),
            (.declined, isRefund ? 70 : 4), (.requestOnlinePIN, 3), (.endApplication, 2),
            (.tryAnotherInterface, 1), (nil, 4),
        ])
        guard let status else {
            return .cardNotRead(random.below(2) == 0 ? .noCard : .readerFailed("unplugged"))
        }
        var card = CardOutcome(
            status, cvm: random.below(8) == 0 ? .onlinePIN : .noCVM,
            message: status == .approved ? UserInterfaceRequest(.approved) : nil,
            secondPresentment: random.choice([(.never, 70), (.always, 25), (.withIssuerData, 5)]),
            cryptogramType: 0)
        if random.perMille(20) { card.hasCardNumber = false }
        if random.perMille(20) { card.merchantRefusal = "not here" }
        return .cardRead(card)
    }

    private func perform(_ write: PaymentWrite, of payment: Payment) {
        if case .authorization = write {
            // Nothing was sent yet, and nobody wants it any more.
            if random.perMille(20) {
                return after(1) { self.resume(payment, .cancelled) }
            }
            if mutation == .sentBeforeItIsWritten {
                payment.earlyResponse = handle(
                    Self.authorization(journal[payment.place].record), from: payment.client.terminal)
            }
        }
        if case .end(.approved, _, _) = write, mutation == .approvedBeforeItIsWritten {
            shownApproved(payment)
        }
        var kept: ModelJournal.Kept?
        switch write {
        case .request, .offlineApproval:
            kept = ModelJournal.Kept(
                amount: journal[payment.place].record.amount, acceptsPartialApproval: false)
        default: break
        }
        self.write(.step(write), at: payment.place, keeping: kept) { [self] result in
            switch result {
            case .success: resume(payment, .written)
            case .failure(let failure): resume(payment, .notWritten("\(failure)"))
            }
        }
    }

    static func authorization(_ record: TransactionRecord) -> ModelHost.Message {
        .authorize(
            id: record.id, amount: record.amount.minorUnits, isCredit: record.isCredit,
            isHold: record.purpose == .preAuthorization)
    }

    private func authorize(_ payment: Payment) {
        if let response = payment.earlyResponse {
            return after(100) { self.resume(payment, .responded(self.mutated(response))) }
        }
        let message = Self.authorization(journal[payment.place].record)
        call(message, from: payment.client.terminal) { [self] reply in
            switch reply {
            case .response(let response): resume(payment, .responded(mutated(response)))
            case .acknowledged: resume(payment, .notResponded(.timeout))
            case .failed(let error): resume(payment, .notResponded(mutated(error)))
            }
        }
    }

    /// As a version understood it that knew approvals by a list of codes.
    func mutated(_ response: AuthorizationResponse) -> AuthorizationResponse {
        guard mutation == .approvalsByAListOfCodes else { return response }
        let isApproval = ["00", "10", "11"].contains(response.responseCode)
        return AuthorizationResponse(
            responseCode: response.responseCode, meaning: isApproval ? nil : .declined,
            authorizationCode: isApproval ? response.authorizationCode : nil,
            approvedAmount: response.approvedAmount)
    }

    func mutated(_ error: AcquirerError) -> AcquirerError {
        mutation == .unknownOutcomesAreDeclined && error.isOutcomeUnknown ? .rejected("\(error)") : error
    }

    // MARK: - What is done to payments afterwards

    /// A void, completion or tip, at a desk of its own, beside the payments.
    func operate() {
        guard deskOperationsLeft > 0, !faultsAreOver else { return endFaults() }
        deskOperationsLeft -= 1
        after(random.between(50, 4000), survivesCrash: true) { self.operate() }
        guard isUp else { return }
        let change: ModelJournal.Change
        let place: Int
        switch random.below(10) {
        case 0..<3:
            guard let found = recent(TransactionState.voidable.contains) else { return }
            place = found
            change = .step(.reversal(.cancelled, TransactionResult(), from: TransactionState.voidable))
        case 3..<7:
            guard let found = recent({ $0 == .approved }), journal[found].record.purpose == .preAuthorization
            else { return }
            place = found
            let approved = (journal[found].record.approvedAmount ?? journal[found].record.amount).minorUnits
            change = .adjustmentDue(
                .completion, Amount(clamping: UInt64(random.between(1, Int(approved)))))
        default:
            guard let found = recent({ [.approved, .adjusted, .forwarded].contains($0) }) else { return }
            place = found
            let amount = (journal[found].record.approvedAmount ?? journal[found].record.amount).minorUnits
            // Zero takes an earlier tip back.
            change = .adjustmentDue(.tip, Amount(clamping: amount + UInt64(random.below(3)) * 10))
        }
        var askers = 1
        if case .adjustmentDue(.completion, _) = change, random.below(3) == 0 { askers = 2 }
        for _ in 0..<askers {
            if case .adjustmentDue(.completion, let amount) = change,
                journal.rejectionBefore(of: .completion(amount), at: place) != nil
            {
                continue
            }
            after(random.between(1, 300)) { self.commit(change, at: place) }
        }
    }

    private func commit(_ change: ModelJournal.Change, at place: Int) {
        write(change, at: place) { [self] result in
            guard case .success = result else { return }
            switch change {
            case .step: voided.insert(place)
            case .adjustmentDue(.completion, _): completions[place, default: 0] += 1
            default: break
            }
            let terminal = terminal(of: place)
            queue(terminal).wake()
        }
    }
}
