internal import Acquiring
internal import EMV
internal import Journal
internal import Terminal

/// The store-and-forward queue of one terminal: drives the real `InterruptedPayment`, `DeliveryFlow` and `DeliveryOrder` in passes, as
/// `Forwarder` does.
final class Queue {
    let terminal: Int
    private unowned let world: World
    private var isRunning = false
    private var isAtStart = true
    private var isWoken = false
    private var failures = 0
    /// Called after the next pass that begins after they came.
    private var waiting: [() -> Void] = []
    private var served: [() -> Void] = []
    /// Only the latest timer counts.
    private var timer = 0
    private var name: String { World.name(terminal) }

    init(_ terminal: Int, _ world: World) {
        self.terminal = terminal
        self.world = world
    }

    func begin(after delay: Int) { ring(after: delay) }

    /// Something new is owed.
    func wake() {
        isWoken = true
        ring(after: 1)
    }

    /// One pass, and then what follows.
    func flush(_ then: @escaping () -> Void) {
        waiting.append(then)
        ring(after: 1)
    }

    private func ring(after delay: Int) {
        timer += 1
        let mine = timer
        world.after(delay) { [self] in
            guard mine == timer, !isRunning else { return }
            pass()
        }
    }

    // MARK: - A pass

    private func pass() {
        isRunning = true
        isWoken = false
        served = waiting
        waiting = []
        let found = leftBehind()
        let interrupted = found.filter { isInProgress($0) }
        let skips = world.mutation == .interruptedIsResolvedAtStartOnly && !isAtStart
        isAtStart = false
        resolve(skips ? [] : interrupted, at: 0) { [self] isWell in
            guard isWell else { return end(isHeldUp: true) }
            deliver(
                world.journal.entries.indices.filter { isOwed($0) }, at: 0, isHeldUp: false)
        }
    }

    private func isInProgress(_ place: Int) -> Bool {
        TransactionState.inProgress.contains(world.journal[place].record.state)
    }

    private func isOwed(_ place: Int) -> Bool {
        let record = world.journal[place].record
        return record.terminalID == name && !record.isParked && TransactionState.owed.contains(record.state)
    }

    private func leftBehind() -> [Int] {
        world.journal.entries.indices.filter { place in
            let record = world.journal[place].record
            guard record.terminalID == name, TransactionState.unfinished.contains(record.state) else {
                return false
            }
            return !TransactionState.inProgress.contains(record.state)
                || !world.isUnderWay(record, at: terminal)
        }
    }

    private func end(isHeldUp: Bool) {
        isRunning = false
        failures = isHeldUp ? failures + 1 : 0
        let policy = Forwarder.Policy()
        let chance = Double(world.random.below(1000)) / 1000
        let delay = failures > 0 ? policy.delay(after: failures, chance: chance) : policy.idleDelay
        let milliseconds = Int(delay.components.seconds) * 1000 + 1
        ring(after: waiting.isEmpty && !isWoken ? milliseconds : 1)
        let served = served
        self.served = []
        for each in served { each() }
        world.passed()
    }

    // MARK: - What was left behind

    private func resolve(_ places: [Int], at index: Int, then: @escaping (Bool) -> Void) {
        guard index < places.count else { return then(true) }
        let place = places[index]
        let entry = world.journal[place]
        let next = { (result: Result<Void, ModelJournal.Failure>) in
            // The journal itself fails: the pass ends.
            if case .failure(.unavailable) = result { return then(false) }
            self.resolve(places, at: index + 1, then: then)
        }
        world.note("\(entry.record.id): resolved as \(entry.record.state)")
        switch InterruptedPayment(entry.record, hasRequest: entry.kept != nil) {
        case .close(let write, _), .reverse(let write): world.write(.step(write), at: place, then: next)
        case .sendAnew(let reason): sendAnew(place, reason, then: next)
        case nil: next(.success(()))
        }
    }

    private func sendAnew(
        _ place: Int, _ reason: ReversalRequest.Reason,
        then: @escaping (Result<Void, ModelJournal.Failure>) -> Void
    ) {
        let world = world
        let old = world.journal[place]
        world.beginnings[terminal] += 1
        let done = { (result: Result<Void, ModelJournal.Failure>) in
            world.beginnings[self.terminal] -= 1
            if case .success = result { self.wake() }
            then(result)
        }
        let reverse = {
            if world.mutation == .sentAnewWithoutReversal {
                return world.write(
                    .step(.end(.declined, TransactionResult(), from: [.authorizing])), at: place, then: done)
            }
            world.write(
                .step(.reversal(reason, TransactionResult(), from: [.authorizing])), at: place, then: done)
        }
        world.begin(TransactionIntent(replacing: old.record)) { result in
            switch result {
            case .failure(let failure): done(.failure(failure))
            case .success(let (next, _)):
                let state = world.journal[next].record.state
                guard TransactionState.deferred.predecessors.contains(state), state != .authorizing else {
                    return reverse()
                }
                world.write(.step(.reading), at: next) { result in
                    guard case .success = result else { return done(result) }
                    world.write(
                        .step(.deferral(reason: "in place of \(old.record.id)")), at: next, keeping: old.kept
                    ) { result in
                        guard case .success = result else { return done(result) }
                        reverse()
                    }
                }
            }
        }
    }

    // MARK: - What is owed

    private func deliver(_ places: [Int], at index: Int, isHeldUp: Bool) {
        guard index < places.count else { return end(isHeldUp: isHeldUp) }
        let place = places[index]
        let entry = world.journal[place]
        let policy = Forwarder.Policy()
        let flow = DeliveryFlow(
            DeliveryFlow.Terms(
                state: entry.record.state, backend: entry.record.backend, host: "host",
                hasRequest: entry.kept != nil, amount: entry.kept?.amount ?? entry.record.amount,
                acceptsPartialApproval: entry.kept?.acceptsPartialApproval ?? false,
                patience: policy.patience))
        let isClaimed = entry.record.state == .deferred
        let id = entry.record.id
        if isClaimed { world.claim(id) }
        let attempts =
            switch entry.record.state {
            case .reversalDue: entry.record.reversalAttempts
            case .approvedOffline: entry.record.forwardAttempts
            case .adjustmentDue: entry.record.adjustmentAttempts
            default: 0
            }
        Delivery(flow, at: place, in: self, of: world).start { [self] end in
            if isClaimed { world.release(id) }
            world.acknowledged.remove(id)
            switch end {
            case .end(.postponed(let error)):
                let goesOn = DeliveryOrder.maySkip(
                    after: error, transmissions: attempts + 1, patience: policy.patience)
                deliver(goesOn ? places : [], at: index + 1, isHeldUp: true)
            case .end: deliver(places, at: index + 1, isHeldUp: isHeldUp)
            case .journal(.unavailable): self.end(isHeldUp: true)
            // Somebody else took it on meanwhile; what the journal refuses of one holds up no other.
            case .journal: deliver(places, at: index + 1, isHeldUp: isHeldUp)
            }
        }
    }

    enum DeliveryEnd {
        case end(DeliveryFlow.End)
        case journal(ModelJournal.Failure)
    }

    /// Carries out what a `DeliveryFlow` asks for.
    private final class Delivery {
        private var flow: DeliveryFlow
        private let place: Int
        private let queue: Queue
        private let world: World
        private var then: (DeliveryEnd) -> Void = { _ in }

        init(_ flow: DeliveryFlow, at place: Int, in queue: Queue, of world: World) {
            self.flow = flow
            self.place = place
            self.queue = queue
            self.world = world
        }

        func start(_ then: @escaping (DeliveryEnd) -> Void) {
            self.then = then
            perform(flow.start())
        }

        private var record: TransactionRecord { world.journal[place].record }

        private func perform(_ action: DeliveryFlow.Action) {
            switch action {
            case .write(let write):
                world.write(.step(write), at: place) { [self] result in
                    switch result {
                    case .failure(let failure): then(.journal(failure))
                    case .success: perform(flow.handle(event(after: write)))
                    }
                }
            case .send(let message, _):
                world.call(self.message(message), from: queue.terminal) { [self] reply in
                    switch reply {
                    case .acknowledged, .response:
                        if message == .reversal { world.acknowledged.insert(record.id) }
                        perform(flow.handle(.acknowledged))
                    case .failed(.timeout)
                    where message == .reversal && world.mutation == .timeoutsAcknowledgeReversals:
                        perform(flow.handle(.acknowledged))
                    case .failed(let error): perform(flow.handle(.failed(error)))
                    }
                }
            case .authorize:
                world.call(World.authorization(record), from: queue.terminal) { [self] reply in
                    switch reply {
                    case .response(let response):
                        perform(flow.handle(.responded(world.mutated(response))))
                    case .acknowledged: perform(flow.handle(.failed(.timeout)))
                    case .failed(let error): perform(flow.handle(.failed(world.mutated(error))))
                    }
                }
            case .sendAnew(let reason):
                queue.sendAnew(place, reason) { [self] result in
                    switch result {
                    case .failure(let failure): then(.journal(failure))
                    case .success: perform(flow.handle(.sentAnew))
                    }
                }
            case .finish(let end): then(.end(end))
            }
        }

        private func event(after write: PaymentWrite) -> DeliveryFlow.Event {
            switch write {
            case .transmission(.reversal): .counted(record.reversalAttempts, revision: nil)
            case .transmission(.forwarding): .counted(record.forwardAttempts, revision: nil)
            case .transmission(.adjustment):
                .counted(
                    record.adjustmentAttempts, revision: record.finalAmount == nil ? nil : record.revision)
            default: .written
            }
        }

        private func message(_ message: DeliveryFlow.Message) -> ModelHost.Message {
            switch message {
            case .reversal: .reverse(id: record.id)
            case .advice:
                .advise(
                    id: record.id, amount: record.amount.minorUnits, isCredit: record.isCredit)
            case .adjustment:
                .adjust(
                    id: record.id, amount: (record.finalAmount ?? record.amount).minorUnits,
                    revision: record.revision)
            }
        }
    }
}
