public import Acquiring
public import CardReaders
public import Foundation
public import Journal
internal import Kernels
internal import Synchronization
public import Terminal

/// All terminals of one daemon, with the cards that can be tapped at them, the events that they give, and the
/// payments that they take. They share a journal and a host and nothing else: what one does harms no other.
public final class TerminalHall: Sendable {
    public struct Options: Sendable {
        /// What new terminals are made from, unless another profile is named.
        public var profile: TerminalProfile
        /// Profiles that new terminals may be made from, by name.
        public var profiles: [String: TerminalProfile]
        /// Files that texts of clients may name, by name.
        public var files: [String: String]
        public var journal: Journal
        public var backend: any AcquirerBackend
        /// Counts the transactions of PIN pads; all terminals have one key.
        public var pinKeyCounter: any KeyCounter
        public var version: String
        /// Told every event of every terminal, at once: for metrics and logs. Must not wait.
        public var observer: (@Sendable (ObservedEvent) -> Void)?
        /// Terminals that there can be at most.
        public var mostTerminals: Int
        /// Latest payments whose events and traces are kept.
        public var paymentsKept: Int
        /// Events that are kept for clients who come back, and that one client may be behind.
        public var eventsKept: Int
        public var eventsPerClient: Int
        /// Clients that may listen to events at the same time.
        public var mostEventClients: Int
        /// Where the traces lie that come with the program.
        public var traceDirectory: String?

        public init(
            profile: TerminalProfile, journal: Journal, backend: any AcquirerBackend,
            profiles: [String: TerminalProfile] = [:], files: [String: String] = [:],
            pinKeyCounter: any KeyCounter = MemoryKeyCounter(),
            version: String = "0.1.0", observer: (@Sendable (ObservedEvent) -> Void)? = nil,
            mostTerminals: Int = 10_000, paymentsKept: Int = 500, eventsKept: Int = 8192,
            eventsPerClient: Int = 2048, mostEventClients: Int = 256, traceDirectory: String? = nil
        ) {
            self.profile = profile
            self.profiles = profiles
            self.files = files
            self.journal = journal
            self.backend = backend
            self.pinKeyCounter = pinKeyCounter
            self.version = version
            self.observer = observer
            self.mostTerminals = mostTerminals
            self.paymentsKept = paymentsKept
            self.eventsKept = eventsKept
            self.eventsPerClient = eventsPerClient
            self.mostEventClients = mostEventClients
            self.traceDirectory = traceDirectory
        }
    }

    /// How much there is, for status and metrics.
    public struct Figures: Sendable {
        public var terminals = 0
        public var paymentsUnderWay = 0
        /// Since the start.
        public var payments: UInt64 = 0
        public var eventClients = 0
        public var events: UInt64 = 0
        public var isStopping = false
    }

    public let options: Options
    public let startedAt = Date()
    let hub: EventHub
    let shelf = CardShelf()
    let traces = TraceShelf()
    let verifying = SharedRun<JournalVerification>()

    /// A reader that was attached, and the terminal that has it.
    private struct AttachedReader {
        var reader: any CardReader
        var terminal: String?
    }
    private struct State {
        var terminals: [String: HallTerminal] = [:]
        /// Ids in the order in which they came.
        var order: [String] = []
        var readers: [String: AttachedReader] = [:]
        var readerOrder: [String] = []
        /// Payments of this run that are under way or among the latest, by id.
        var payments: [String: LivePayment] = [:]
        /// Those that are over, in the order in which they ended.
        var recent: [String] = []
        var keys: [String: LivePayment] = [:]
        var underWay: [ObjectIdentifier: LivePayment] = [:]
        /// What delivers for terminals that are not here, by their ids.
        var absent: [String: AbsentTerminal] = [:]
        var count: UInt64 = 0
        var number = 0
        var isStopping = false
    }
    private let state = Mutex(State())
    private let pulse = Mutex<[Task<Void, Never>]>([])
    /// Something may be left behind: makes the hall look at once.
    private let lookout = Bell()

    public init(_ options: Options) {
        self.options = options
        traces.useDirectory(options.traceDirectory)
        hub = EventHub(ringCapacity: options.eventsKept, listenerCapacity: options.eventsPerClient)
        // The link's own messages name no terminal: the first one's counter numbers them.
        (options.backend as? any TraceNumberedBackend)?.takeTraceNumbers {
            [weak self, journal = options.journal, standard = options.profile.terminalID] in
            let first = self?.state.withLock { $0.order.first } ?? nil
            return try? await journal.drawTraceNumber(terminal: first ?? standard)
        }
        (options.backend as? any ObservableBackend)?.observeMessages { [weak self] message in
            guard let self, let payment = livePayment(message.transactionID) else { return }
            terminal(named: payment.order.terminal)?.stage.tell(message)
        }
    }

    deinit { stopPulse() }
    private func stopPulse() { pulse.withLock { for task in $0 { task.cancel() } } }

    // MARK: - Life

    /// Resolves what an earlier run left unfinished, at the terminals that are there and at those that are not, and begins to
    /// serve; what is owed to the host is delivered meanwhile.
    /// Call it when the terminals were added, before the first payment.
    public func start() async throws(JournalError) {
        pulse.withLock { pulse in
            guard pulse.isEmpty else { return }
            let beating = Task { [hub] in
                while !Task.isCancelled {
                    try? await Task.sleep(for: .seconds(10))
                    hub.beat()
                }
            }
            let listening = Task { [options, weak self] in
                await LateResponse.listen(to: options.backend, journal: options.journal) {
                    [weak self] _, action, record in
                    await self?.tookLateResponse(action, record)
                }
            }
            let looking = Task { [weak self, lookout] in
                while !Task.isCancelled {
                    await lookout.wait(atMost: Self.lookoutInterval)
                    if Task.isCancelled { return }
                    // A journal that cannot be read is looked at again in the next round; `/readyz` tells.
                    try? await self?.lookAfterJournal(includingParked: false)
                }
            }
            let healing = Task { [weak self, journal = options.journal] in
                for await health in journal.healthChanges() where health == .takesWrites {
                    await self?.journalIsBack()
                }
            }
            pulse = [beating, listening, looking, healing]
        }
        try await lookAfterJournal(includingParked: true)
    }

    /// How often the hall looks for what was left behind though nobody told of anything.
    static let lookoutInterval = Duration.seconds(60)

    /// Recovery belongs to the journal and not to the terminals that happen to be here: whatever is unfinished without a
    /// payment under way is resolved, and delivered by its terminal, or for one that is not here.
    /// - Throws: where the journal does not say which terminals have something. One terminal's failure keeps no other from
    ///   being looked after.
    private func lookAfterJournal(includingParked: Bool) async throws(JournalError) {
        for id in try await options.journal.unfinishedTerminals(includingParked: includingParked) {
            if let terminal = terminal(named: id) {
                await terminal.recover()
            } else {
                await recoverAbsent(id)
            }
        }
    }

    /// What could not be written waits for its time no longer.
    private func journalIsBack() async {
        for terminal in terminals { await terminal.session.forwarder.wake() }
        for absent in state.withLock({ Array($0.absent.values) }) { await absent.forwarder.wake() }
        lookout.ring()
    }

    private func recoverAbsent(_ id: String) async {
        let made = state.withLock { state -> AbsentTerminal? in
            guard state.terminals[id] == nil, state.absent[id] == nil, !state.isStopping else { return nil }
            let made = AbsentTerminal(id, options)
            state.absent[id] = made
            return made
        }
        guard let made else { return }
        // What is due is in the journal before anything else goes on.
        _ = try? await made.forwarder.resolveInterrupted()
        made.begin { [weak self] in
            self?.state.withLock { state in
                if state.absent[id] === made { state.absent[id] = nil }
            }
        }
    }

    /// What is owed for terminals that are not here, parked or not.
    func absentBacklog() async -> Int {
        let present = Set(state.withLock { $0.terminals.keys })
        guard let ids = try? await options.journal.unfinishedTerminals(includingParked: true) else {
            return 0
        }
        var count = 0
        for id in ids where !present.contains(id) {
            count += (try? await options.journal.owed(terminal: id, includingParked: true).count) ?? 0
        }
        return count
    }

    /// Takes no more payments, lets those under way come to their end, and cancels those that still wait for a card.
    ///
    /// Ends in time whatever the host does: what has left for it and has no answer by then stays in the journal as it is,
    /// and is reversed by the next run.
    /// - Parameters:
    ///   - patience: after it, payments that can be cancelled are.
    ///   - grace: how long after that is waited for them, and for what is being delivered.
    /// - Returns: how many payments were left to the next run.
    @discardableResult
    public func drain(patience: Duration = .seconds(5), grace: Duration = .seconds(5)) async -> Int {
        state.withLock { $0.isStopping = true }
        let payments = state.withLock { Array($0.underWay.values) }
        for payment in payments where payment.phase == .waitingForCard { _ = payment.cancel() }
        let deadline = ContinuousClock.now + patience
        let end = deadline + grace
        func left(until time: ContinuousClock.Instant) -> Duration { max(time - .now, .milliseconds(1)) }
        var unfinished = 0
        for payment in payments {
            if await payment.finished.wait(atMost: left(until: deadline)) { continue }
            _ = payment.cancel()
            if await !payment.finished.wait(atMost: left(until: end)) { unfinished += 1 }
        }
        let (terminals, absent) = state.withLock { (Array($0.terminals.values), Array($0.absent.values)) }
        let forwarding = terminals.compactMap { $0.endForwarding() } + absent.compactMap { $0.end() }
        let delivered = OneShot()
        Task {
            for task in forwarding { await task.value }
            delivered.happen()
        }
        await delivered.wait(atMost: left(until: end))
        stopPulse()
        hub.close()
        for terminal in terminals where terminal.stage.field == nil { await terminal.stage.closeReader() }
        return unfinished
    }

    public var figures: Figures {
        let clients = hub.listeners
        let events = hub.lastID
        return state.withLock { state in
            Figures(
                terminals: state.terminals.count, paymentsUnderWay: state.underWay.count,
                payments: state.count,
                eventClients: clients, events: events, isStopping: state.isStopping)
        }
    }

    // MARK: - Readers and terminals

    /// Attaches a reader, for a terminal to be made on.
    /// - Parameter id: the name that the API knows it by.
    public func addReader(_ reader: any CardReader, id: String) {
        state.withLock { state in
            if state.readers[id] == nil { state.readerOrder.append(id) }
            state.readers[id] = AttachedReader(reader: reader)
        }
    }

    /// Makes a terminal. In a hall that has started `HallTerminal.recover` follows, before its first payment.
    /// - Parameters:
    ///   - id: 8 letters, digits, `.`, `_` or `-`; nil takes the profile's, or the next number.
    ///   - profile: nil is the hall's.
    ///   - reader: an attached reader's id; nil is an emulated one of its own.
    @discardableResult
    public func addTerminal(
        id: String? = nil, profile: TerminalProfile? = nil, reader readerID: String? = nil
    ) throws(Problem) -> HallTerminal {
        let base = profile ?? options.profile
        let name = id ?? nextName(after: base.terminalID)
        guard name.utf8.count == 8,
            name.utf8.allSatisfy({ byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                    || byte == 0x2D || byte == 0x2E || byte == 0x5F
            })
        else {
            throw .bad(
                "a terminal's id has 8 letters, digits, \".\", \"_\" or \"-\", as 9F1C and the host know it"
            )
        }
        let reader: any CardReader
        if let readerID {
            let attached = try state.withLock { state throws(Problem) in
                guard let attached = state.readers[readerID] else { throw .notFound("reader \(readerID)") }
                if let terminal = attached.terminal {
                    throw .conflict("reader \(readerID) belongs to terminal \(terminal)")
                }
                state.readers[readerID]?.terminal = name
                return attached.reader
            }
            reader = attached
        } else {
            reader = EmulatedReader(name: "Emulated reader of \(name)")
        }
        func letGo() {
            if let readerID { state.withLock { $0.readers[readerID]?.terminal = nil } }
        }
        let stage = Stage(
            id: name, profile: base.renamed(name), readerName: readerID ?? "emulated-\(name)", reader: reader,
            hub: hub, observer: options.observer)
        let terminal: HallTerminal
        do {
            terminal = try HallTerminal(
                stage: stage, reader: reader, backend: SharedBackend(base: options.backend),
                journal: options.journal,
                pinKeyCounter: options.pinKeyCounter)
        } catch {
            letGo()
            throw .bad("the profile's PIN keys: \(error)")
        }
        let problem = state.withLock { state -> Problem? in
            guard state.terminals[name] == nil else {
                return Problem(
                    .conflict, status: 409, title: "The name is taken", detail: "terminal \(name) exists")
            }
            guard state.terminals.count < options.mostTerminals else {
                return .conflict("\(options.mostTerminals) terminals are there: remove some")
            }
            state.terminals[name] = terminal
            state.order.append(name)
            // It delivers from now on.
            if let delivering = state.absent.removeValue(forKey: name)?.end() {
                terminal.deliver(after: delivering)
            }
            return nil
        }
        if let problem {
            letGo()
            throw problem
        }
        return terminal
    }

    /// - Parameter leavingWhatItOwes: what is owed to the host is delivered though the terminal is gone.
    /// - Throws: `Problem` while a payment runs there, and where it owes something that it is not to leave.
    public func removeTerminal(_ id: String, leavingWhatItOwes: Bool = false) async throws(Problem) {
        let terminal = try terminal(id)
        guard terminal.stage.close() else {
            throw Problem(
                .terminalBusy, status: 409, title: "A payment is under way", detail: "terminal \(id)",
                retryable: true)
        }
        if !leavingWhatItOwes {
            do throws(Problem) {
                if let owed = try await terminal.owed() {
                    throw .conflict(
                        "terminal \(id) owes the host \(owed): it stays until that is delivered or voided by a person"
                    )
                }
            } catch {
                terminal.stage.reopen()
                throw error
            }
        }
        state.withLock { state in
            state.terminals[id] = nil
            state.order.removeAll { $0 == id }
            for (reader, attached) in state.readers where attached.terminal == id {
                state.readers[reader]?.terminal = nil
            }
        }
        await terminal.stopForwarding()
        lookout.ring()
    }

    /// Closes a reader that was attached and takes it away; one that a terminal has stays.
    func removeReader(_ id: String) async {
        let reader = state.withLock { state -> (any CardReader)? in
            guard let attached = state.readers[id], attached.terminal == nil else { return nil }
            state.readers[id] = nil
            state.readerOrder.removeAll { $0 == id }
            return attached.reader
        }
        await reader?.close()
    }

    private func nextName(after first: String) -> String {
        state.withLock { state in
            guard state.terminals[first] != nil else { return first }
            let stem = String(first.reversed().drop(while: \.isNumber).reversed()).prefix(4)
            while true {
                state.number += 1
                let digits = String(state.number)
                let count = max(digits.count, 8 - stem.count)
                let name =
                    stem.prefix(max(0, 8 - count)) + String(repeating: "0", count: count - digits.count)
                    + digits
                if state.terminals[String(name)] == nil { return String(name) }
            }
        }
    }

    func terminal(named id: String) -> HallTerminal? { state.withLock { $0.terminals[id] } }
    func terminal(_ id: String) throws(Problem) -> HallTerminal {
        guard let terminal = terminal(named: id) else { throw .notFound("terminal \(id)") }
        return terminal
    }
    /// In the order in which they came.
    var terminals: [HallTerminal] {
        state.withLock { state in state.order.compactMap { state.terminals[$0] } }
    }

    var readers: [ReaderView] {
        let free = state.withLock { state in
            state.readerOrder.compactMap { id -> ReaderView? in
                guard let attached = state.readers[id], attached.terminal == nil else { return nil }
                let information = attached.reader.information
                return ReaderView(
                    id: id, name: information.name, kind: information.kind.rawValue, state: .ready)
            }
        }
        return free + terminals.map(\.stage.readerView)
    }

    // MARK: - Payments

    /// Takes a payment, or finds the one that the same key asked for before.
    /// - Returns: the payment, begun in the journal; and whether it was there before.
    func pay(_ order: PaymentOrder) async throws(Problem) -> (payment: PaymentView, isReplayed: Bool) {
        let terminal = try terminal(order.terminal)
        if let known = state.withLock({ $0.keys[order.key] }) {
            return (try await known.replayed(order), true)
        }
        let earlier: [TransactionRecord]
        do throws(JournalError) {
            earlier = try await options.journal.list(JournalFilter(idempotencyKey: order.key), limit: 1)
        } catch {
            throw Problem(error)
        }
        if let record = earlier.first, livePayment(record.id) == nil {
            guard order.matches(record) else {
                throw .keyReused("the key \(order.key) names payment \(record.id), which is another one")
            }
            return (PaymentView(record), true)
        }
        var cards: [ShelfCard] = []
        for id in order.tap?.cards ?? [] { cards.append(try shelf.card(id)) }
        let payment = LivePayment(order, currency: terminal.stage.currency) { [weak self] payment, id in
            self?.state.withLock { state in
                state.count += 1
                state.payments[id] = payment
            }
        }
        let first = try state.withLock { state throws(Problem) -> LivePayment in
            if let known = state.keys[order.key] { return known }
            guard !state.isStopping else {
                throw Problem(
                    .stopping, status: 503, title: "The daemon is stopping",
                    detail: "no more payments are taken",
                    retryable: true)
            }
            state.keys[order.key] = payment
            state.underWay[ObjectIdentifier(payment)] = payment
            return payment
        }
        guard first === payment else { return (try await first.replayed(order), true) }
        do throws(Problem) {
            try terminal.begin(payment, cards: cards)
        } catch {
            forget(payment)
            payment.refuse(error)
            throw error
        }
        await payment.begun.wait()
        if let refusal = payment.refusal {
            forget(payment)
            throw refusal
        }
        Task { [weak self] in
            await payment.finished.wait()
            self?.settle(payment)
        }
        return (payment.view, false)
    }

    private func forget(_ payment: LivePayment) {
        state.withLock { state in
            if state.keys[payment.order.key] === payment { state.keys[payment.order.key] = nil }
            state.underWay[ObjectIdentifier(payment)] = nil
        }
    }

    /// A payment is over: the oldest ones' events are let go.
    private func settle(_ payment: LivePayment) {
        state.withLock { state in
            state.underWay[ObjectIdentifier(payment)] = nil
            guard let id = payment.id, state.payments[id] === payment else { return }
            state.recent.append(id)
            while state.recent.count > options.paymentsKept {
                guard let old = state.payments.removeValue(forKey: state.recent.removeFirst()) else {
                    continue
                }
                if state.keys[old.order.key] === old { state.keys[old.order.key] = nil }
            }
        }
    }

    var underWay: [LivePayment] { state.withLock { Array($0.underWay.values) } }
    func livePayment(_ id: String) -> LivePayment? { state.withLock { $0.payments[id] } }

    /// The same for one who has the id from the journal, which knows it a moment before the payment itself does.
    /// - Throws: `Problem` where the journal has no such payment.
    func begunPayment(_ id: String) async throws(Problem) -> LivePayment? {
        if let live = livePayment(id) { return live }
        let view = try await payment(id)
        // It may have its id, and even be over, since then.
        if let live = livePayment(id) { return live }
        guard view.state != .finished else { return nil }
        for beginning in underWay where beginning.id == nil {
            await beginning.begun.wait(atMost: .seconds(2))
        }
        return livePayment(id)
    }

    /// A payment of this run, or as the journal has it.
    func payment(_ id: String) async throws(Problem) -> PaymentView {
        let live = livePayment(id)
        let record: TransactionRecord?
        do throws(JournalError) { record = try await options.journal.show(id) } catch { throw Problem(error) }
        // The journal finds beginnings of ids, too; a resource has one name.
        guard let record, record.id == id else { throw .notFound("payment \(id)") }
        return view(record, live)
    }

    func view(_ record: TransactionRecord, _ live: LivePayment?) -> PaymentView {
        guard var view = live?.view else { return PaymentView(record) }
        view.journalState = record.state.rawValue
        // Of one that is over, with the journal's write still missing, the reversal is about to become due.
        let isOutstanding: [TransactionState] =
            view.state == .finished ? [.reversalDue, .authorizing, .answered] : [.reversalDue]
        view.result?.reversalOutstanding = isOutstanding.contains(record.state)
        return view
    }
}

extension LivePayment {
    /// The payment for one who asks again with its key.
    func replayed(_ order: PaymentOrder) async throws(Problem) -> PaymentView {
        guard order == self.order else {
            throw .keyReused(
                "the key \(order.key) came with another body: it names payment \(id ?? "that begins")")
        }
        await begun.wait()
        if let refusal { throw refusal }
        return view
    }
}
