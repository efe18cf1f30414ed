internal import EMVDictionary
internal import Acquiring
internal import CardReaders
internal import EMVCryptography
internal import Foundation
internal import Kernels
internal import SmartCard
internal import Synchronization
public import Terminal
internal import Traces

/// An event of a terminal, for metrics and logs.
public struct ObservedEvent: Sendable {
    public var terminal: String
    /// The journal's id of the payment; nil outside of payments and before the journal has it.
    public var payment: String?
    /// Since the payment began.
    public var elapsed: Duration?
    public var event: TerminalEvent
}

/// What people see and do at one terminal: display, card field, PIN pad, the payment under way. The session tells it
/// everything; it tells the hub.
final class Stage: Sendable {
    let id: String
    let profile: TerminalProfile
    let readerName: String
    let reader: any CardReader
    let readerInformation: ReaderInformation
    /// The field that cards are tapped at; nil for a real reader.
    let field: EmulatedReader?
    let hub: EventHub
    let observer: (@Sendable (ObservedEvent) -> Void)?
    let currency: CurrencyView

    private struct State {
        var payment: LivePayment?
        var session: SessionRecorder?
        var phase = TerminalPhase.idle
        var message: CustomerMessage
        var cards: [ShelfCard] = []
        var taps = 0
        /// Cards that come into the field when the payment begins.
        var waitingTap: (cards: [ShelfCard], tap: Int)?
        var pin: PINEntry?
        var backlog = TerminalView.Backlog(count: 0, amount: 0)
        var offline: String?
        var isClosed = false
    }
    private let state: Mutex<State>

    init(
        id: String, profile: TerminalProfile, readerName: String, reader: any CardReader, hub: EventHub,
        observer: (@Sendable (ObservedEvent) -> Void)?
    ) {
        self.id = id
        self.profile = profile
        self.readerName = readerName
        self.reader = reader
        readerInformation = reader.information
        field = reader as? EmulatedReader
        self.hub = hub
        self.observer = observer
        currency = CurrencyView(profile.currency, exponent: profile.currencyExponent)
        state = Mutex(State(message: CustomerMessage(DisplayView.idle, languages: profile.languages)))
    }

    // MARK: Views

    var view: TerminalView {
        state.withLock { snapshot($0) }
    }
    private func snapshot(_ state: State) -> TerminalView {
        TerminalView(
            id: id, merchant: profile.merchant.name, merchantId: profile.merchant.id, currency: currency,
            country: profile.country.description, languages: profile.languages, reader: readerName,
            readerKind: readerInformation.kind.rawValue, state: state.phase, payment: state.payment?.id,
            display: DisplayView(message: state.message),
            card: state.cards.isEmpty ? nil : .init(ids: state.cards.map(\.id)), backlog: state.backlog)
    }

    var readerView: ReaderView {
        state.withLock { state in
            ReaderView(
                id: readerName, name: readerInformation.name, kind: readerInformation.kind.rawValue,
                state: state.offline != nil ? .offline : state.payment == nil ? .ready : .busy, terminal: id,
                detail: state.offline)
        }
    }

    var payment: LivePayment? { state.withLock { $0.payment } }

    // MARK: Telling

    /// - Parameter other: the id of the payment that is meant, where it is not the one under way.
    private func tell(_ content: EventContent, _ payment: LivePayment? = nil, of other: String? = nil) {
        let payment = other == nil ? payment ?? self.payment : nil
        hub.tell { number in
            let event = ServiceEvent(
                id: number, content, elapsed: payment?.elapsed, terminal: id, payment: other ?? payment?.id)
            // In the hub's order, and before anybody can ask for the payment's events.
            payment?.keep(event)
            return event
        }
    }

    private func enter(_ phase: TerminalPhase, _ payment: LivePayment?) {
        let view = state.withLock { state -> TerminalView? in
            guard state.phase != phase else { return nil }
            state.phase = phase
            return snapshot(state)
        }
        if let view { tell(.terminal(view), payment) }
        guard let payment else { return }
        switch phase {
        case .idle: break
        case .waitingForCard: _ = payment.enter(.waitingForCard)
        case .reading: _ = payment.enter(.reading)
        case .enteringPIN: _ = payment.enter(.enteringPIN)
        case .authorizing: _ = payment.enter(.authorizing)
        }
    }

    // MARK: Payments

    /// - Throws: `Problem` where another payment is under way or the terminal is being removed.
    func begin(_ payment: LivePayment) throws(Problem) {
        let problem: Problem? = state.withLock { state in
            if state.isClosed { return .notFound("terminal \(id)") }
            if let other = state.payment {
                return Problem(
                    .terminalBusy, status: 409, title: "Another payment is under way",
                    detail: "terminal \(id) takes payment \(other.id ?? "that begins")", retryable: true)
            }
            state.payment = payment
            state.session = payment.recorder.map {
                SessionRecorder(recorder: $0, profile: profile, hasPINPad: true)
            }
            return nil
        }
        if let problem { throw problem }
    }

    /// Cards that come with a payment: they lie in the field from its first event on.
    func awaitTap(_ cards: [ShelfCard]) throws(Problem) {
        let tap = try reserve(cards)
        state.withLock { $0.waitingTap = (cards, tap) }
    }

    /// The payment is over, and the terminal takes the next one.
    func end(_ payment: LivePayment, _ result: PaymentResult?) {
        if let result { payment.end(result) }
        let cards = takeCards()
        field?.remove()
        state.withLock { state in
            state.session = nil
            state.pin = nil
            state.waitingTap = nil
        }
        if !cards.isEmpty { tell(.removed(cards.map(\.id)), payment) }
        // Before anybody hears of the end: who hears of it may begin the next payment.
        let view = state.withLock { state in
            state.payment = nil
            state.phase = .idle
            return snapshot(state)
        }
        if result != nil, payment.id != nil {
            tell(.finished(payment.view), payment)
            if field == nil { payment.seal() }
        }
        tell(.terminal(view), payment)
        payment.finished.happen()
    }

    /// A payment that is over has changed: it was taken back, completed, or got a tip.
    func tellChange(_ payment: PaymentView) { tell(.payment(payment), of: payment.id) }

    func tell(_ message: HostMessage) {
        tell(
            .hostMessage(
                direction: message.isSent ? "sent" : "received", hex: message.hex, text: message.text))
    }

    func setBacklog(count: Int, amount: UInt64) {
        let view = state.withLock { state -> TerminalView? in
            guard state.backlog.count != count || state.backlog.amount != amount else { return nil }
            state.backlog = TerminalView.Backlog(count: count, amount: amount)
            return snapshot(state)
        }
        if let view { tell(.terminal(view)) }
    }

    /// - Returns: false while a payment is under way.
    func close() -> Bool {
        let isClosed = state.withLock { state in
            guard state.payment == nil else { return false }
            state.isClosed = true
            return true
        }
        if isClosed {
            _ = takeCards()
            field?.remove()
        }
        return isClosed
    }

    /// It stays after all.
    func reopen() { state.withLock { $0.isClosed = false } }

    // MARK: Cards in the field

    /// Holds cards to the terminal.
    /// - Throws: as `reserve`.
    func tap(_ cards: [ShelfCard], _ removal: RemovalScript?) throws(Problem) {
        present(cards, removal, tap: try reserve(cards))
    }

    /// Takes cards for a tap.
    /// - Returns: the tap's number.
    /// - Throws: `Problem` for a real reader, cards already in the field or in use elsewhere.
    func reserve(_ cards: [ShelfCard]) throws(Problem) -> Int {
        guard field != nil else {
            throw Problem(
                .conflict, status: 409, title: "No card can be tapped here",
                detail: "terminal \(id) has a real reader: hold a card to it")
        }
        // One after the other, as the field is one.
        let tap: Int? = state.withLock { state in
            guard state.cards.isEmpty, !state.isClosed else { return nil }
            state.cards = cards
            state.taps += 1
            return state.taps
        }
        guard let tap else {
            throw Problem(
                .conflict, status: 409, title: "A card is in the field",
                detail: "take it away with DELETE /v1/terminals/\(id)/taps", retryable: true)
        }
        for (index, card) in cards.enumerated() where !card.take(to: id) {
            for taken in cards[..<index] { taken.putBack() }
            state.withLock { $0.cards = [] }
            throw Problem(
                .conflict, status: 409, title: "The card is in use",
                detail: "card \(card.id) is tapped at terminal \(card.terminal ?? "another")", retryable: true
            )
        }
        return tap
    }

    /// Brings reserved cards into the field.
    func present(_ cards: [ShelfCard], _ removal: RemovalScript?, tap: Int) {
        let leaves: EmulatedReader.Removal =
            switch removal {
            case .afterCommands(let count): .afterCommands(count)
            case .duringCommand(let instruction): .duringInstruction(instruction)
            case .afterMilliseconds, nil: .never
            }
        tell(.tap(cards.map(\.id)))
        field?.present(cards, removal: leaves)
        if case .afterMilliseconds(let time) = removal {
            Task { [weak self] in
                try? await Task.sleep(for: .milliseconds(time))
                self?.remove(tap: tap)
            }
        }
    }

    /// Takes the cards away.
    /// - Parameter tap: only where it is still that tap's.
    func remove(tap: Int? = nil) {
        let isMeant = state.withLock { state in tap == nil || state.taps == tap }
        guard isMeant else { return }
        let cards = takeCards()
        field?.remove()
        if !cards.isEmpty { tell(.removed(cards.map(\.id))) }
    }

    private func takeCards() -> [ShelfCard] {
        let cards = state.withLock { state in
            defer { state.cards = [] }
            return state.cards
        }
        for card in cards { card.putBack() }
        return cards
    }

    /// A customer who is told of a collision leaves the first card.
    private func leaveFirst() {
        field?.leaveFirst()
        let gone = state.withLock { state -> [ShelfCard] in
            guard state.cards.count > 1 else { return [] }
            defer { state.cards.removeSubrange(1...) }
            return Array(state.cards.dropFirst())
        }
        for card in gone { card.putBack() }
        if !gone.isEmpty { tell(.removed(gone.map(\.id))) }
    }

    // MARK: PIN

    /// One PIN that is asked for.
    final class PINEntry: Sendable {
        let entered = OneShot()
        private let value = Mutex<(PIN?, String)?>(nil)
        /// - Returns: false where something was entered before.
        func enter(_ pin: PIN?, _ word: String) -> Bool {
            let isFirst = value.withLock { value in
                guard value == nil else { return false }
                value = (pin, word)
                return true
            }
            if isFirst { entered.happen() }
            return isFirst
        }
        /// The entry, given away once.
        func take() -> (PIN?, String) {
            value.withLock { value in
                defer { value = (nil, "taken") }
                return value ?? (nil, "cancelled")
            }
        }
    }

    /// How long a cardholder may take to enter the PIN.
    static let pinTime = Duration.seconds(60)

    func askPIN() async -> PIN? {
        guard let payment else { return nil }
        let entry = PINEntry()
        state.withLock { $0.pin = entry }
        enter(.enteringPIN, payment)
        tell(.pinRequested, payment)
        payment.waits()
        await entry.entered.wait(atMost: Self.pinTime)
        payment.goesOn()
        state.withLock { $0.pin = nil }
        let (pin, word) = entry.take()
        tell(.pinEntered(word), payment)
        return pin
    }

    /// - Parameter pin: nil cancels.
    /// - Throws: `Problem` where no PIN is asked for.
    func enterPIN(_ pin: PIN?) throws(Problem) {
        guard let entry = state.withLock({ $0.pin }), entry.enter(pin, pin == nil ? "cancelled" : "entered")
        else {
            throw Problem(
                .conflict, status: 409, title: "No PIN is asked for",
                detail: "terminal \(id) waits for no PIN")
        }
    }

    // MARK: What the session tells

    func observe(_ event: TerminalEvent) {
        let (payment, session) = state.withLock { ($0.payment, $0.session) }
        session?.observe(event)
        if case .transaction(let id, _) = event, let payment {
            payment.begin(id: id)
            payment.begun.happen()
            tell(.payment(payment.view), payment)
            enter(.waitingForCard, payment)
            // Cards that came with the order.
            if let (cards, tap) = state.withLock({ state in
                defer { state.waitingTap = nil }
                return state.waitingTap
            }) {
                present(cards, payment.order.tap?.removal, tap: tap)
            }
        }
        observer?(
            ObservedEvent(
                terminal: id, payment: payment?.id, elapsed: payment.map { .now - $0.start }, event: event))
        switch event {
        case .transaction, .kernelMemory, .tornRecordsLeft, .resolved, .parked, .finished: break
        case .message(let message):
            state.withLock { $0.message = message }
            tell(.display(message), payment)
            switch message.request.message {
            // The customer takes the phone away to look at it, and taps again.
            case .seePhone: remove()
            default: break
            }
            if message.request.status == .readyToRead { enter(.waitingForCard, payment) }
        case .kernelMemoryFailed(let text): tell(.readerError(text), payment)
        case .cardActivated(let card):
            state.withLock { $0.offline = nil }
            enter(.reading, payment)
            tell(.card(answerToReset: card.answerToReset, activation: card.activation), payment)
        case .command(let command):
            if command.ins == 0xA4 { payment?.selects(command.data) }
            tell(
                .command(
                    command.bytes, payment?.context,
                    hint: payment?.exchanges { $0.sent(command.bytes) } ?? EMVDecoder.Hint()),
                payment)
        case .response(let response, let microseconds):
            payment?.cardTook(microseconds)
            tell(
                .response(
                    response.bytes, response.status, microseconds: microseconds, payment?.context,
                    hint: payment?.exchanges { $0.received(response.bytes) } ?? EMVDecoder.Hint()),
                payment)
        case .readerError(let error):
            if case .readerUnavailable = error { state.withLock { $0.offline = "\(error)" } }
            tell(.readerError("\(error)"), payment)
            switch error {
            case .collision: leaveFirst()
            case .cardRemoved: noticeRemoval()
            default: break
            }
        case .fieldOff: tell(.fieldOff, payment)
        case .unpredictableNumber(let number): tell(.unpredictableNumber(number), payment)
        case .kernelState(let kernel, let name): tell(.kernel(kernel, state: name), payment)
        case .dataExchange(let signal): tell(.dataExchange(signal, payment?.context), payment)
        case .dataExchanged(let data): tell(.dataExchanged(data, payment?.context), payment)
        case .outcome(let final): tell(.outcome(final), payment)
        case .refusedByMerchant(let reason): tell(.refused(reason), payment)
        case .authorizationSent(let request):
            payment?.sent()
            enter(.authorizing, payment)
            tell(
                .authorizationSent(
                    stan: request.stan, amount: request.amount.minorUnits,
                    entryMode: request.entryMode == .contactlessMagStripe
                        ? "contactlessMagStripe" : "contactlessChip",
                    chipData: request.chipData, payment?.context), payment)
        case .authorizationAnswered(let response):
            tell(
                .authorizationAnswered(
                    responseCode: response.responseCode, authorizationCode: response.authorizationCode,
                    approved: response.isApproved, microseconds: payment?.answered() ?? 0,
                    text: response.message ?? response.reason), payment)
        case .authorizationFailed(let error):
            _ = payment?.answered()
            tell(.authorizationFailed("\(error)"), payment)
        case .reversal(let request, let delivered):
            tell(
                .reversal(
                    reason: request.reason.rawValue, transmission: request.transmission, delivered: delivered),
                payment, of: payment?.id == request.transactionID ? nil : request.transactionID)
        }
    }

    /// The script took the cards out of the field.
    private func noticeRemoval() {
        guard let field, field.isEmpty else { return }
        let cards = takeCards()
        if !cards.isEmpty { tell(.removed(cards.map(\.id))) }
    }

    // MARK: The reader as the session sees it

    /// Records the payment's exchange, and counts the time in which the terminal only waits.
    struct WatchedReader: CardReader {
        let base: any CardReader
        let stage: Stage
        var information: ReaderInformation { base.information }

        func activateCard(deadline: ContinuousClock.Instant?) async throws(ReaderError) -> any CardChannel {
            guard let payment = stage.payment, let recorder = payment.recorder else {
                return try await base.activateCard(deadline: deadline)
            }
            payment.waits()
            defer { payment.goesOn() }
            return try await RecordingReader(base, recorder: recorder).activateCard(
                deadline: deadline)
        }
        func awaitRemoval(deadline: ContinuousClock.Instant?) async throws(ReaderError) -> Bool {
            // People take their cards away when they are asked to.
            if stage.field != nil { stage.remove() }
            guard let payment = stage.payment else { return try await base.awaitRemoval(deadline: deadline) }
            payment.waits()
            defer { payment.goesOn() }
            return try await base.awaitRemoval(deadline: deadline)
        }
        func mayHoldLastCard() async -> Bool { await base.mayHoldLastCard() }
        func fieldOff() async {
            guard let recorder = stage.payment?.recorder else { return await base.fieldOff() }
            await RecordingReader(base, recorder: recorder).fieldOff()
        }
        func close() async { await base.close() }
        func usePolling(_ schedule: PollingSchedule) async throws(ReaderError) {
            try await base.usePolling(schedule)
        }
    }
}

extension Stage {
    func closeReader() async { await reader.close() }
}
