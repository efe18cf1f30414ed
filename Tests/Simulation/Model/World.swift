internal import Acquiring
internal import EMV
internal import Journal
internal import Terminal

/// One world from one seed: terminals with their clients and queues, the journal, the line and the host, on one clock. Nothing in it
/// depends on anything but the seed: what happens next is the earliest of what is scheduled, and among what is scheduled for the
/// same moment the first. A crash takes all that belongs to the terminals' process; the journal and the host stay.
final class World {
    let seed: UInt64
    let mutation: Mutation?
    var random: SeededGenerator
    var faults: FaultRates
    /// Milliseconds.
    private(set) var time = 0
    var journal: ModelJournal
    var host: ModelHost
    var problems: [String] = []
    /// Everything that happens, where it is wanted.
    var log: [String]?

    // The process.
    var isUp = true
    /// One more with each crash.
    private(set) var life = 0
    var claims: [String: Int] = [:]
    /// Reversals that the host acknowledged and the journal does not have yet.
    var acknowledged: Set<String> = []
    var beginnings: [Int]
    var queues: [Queue?]
    var journalIsDownUntil = 0
    /// A commit that reported an error: whether it is there shows when the journal is opened again.
    var doubt: (change: ModelJournal.Change, place: Int, kept: ModelJournal.Kept?)?

    // Outside of it.
    var clients: [Client]
    var lineIsDownUntil = 0
    /// Responses of one line come in the order in which they were sent.
    var lineIsFreeAt: [Int]
    /// Nothing goes wrong any more.
    var faultsAreOver = false
    var quietSince = 0
    var isOver = false
    var deskOperationsLeft: Int
    /// What was reported to somebody of a transaction, by its place.
    var reports: [Int: Reported] = [:]
    var wasApproved: Set<Int> = []
    var voided: Set<Int> = []
    var completions: [Int: Int] = [:]
    /// A refund that is asked for at several terminals at this moment.
    var sameMoment: (original: String?, amount: Amount, time: Int) = (nil, .zero, 0)
    /// Late responses that the host repeats until they are recorded.
    var lateResponsesOpen = 0

    struct Reported {
        var isApproved: Bool
        var isDeferred: Bool
    }

    static let configuredTerminals = 2
    static let terminals = 3

    init(seed: UInt64, payments: Int, mutation: Mutation?, isLogging: Bool) {
        self.seed = seed
        self.mutation = mutation
        var random = SeededGenerator(seed: seed)
        faults = FaultRates(&random)
        self.random = random
        journal = ModelJournal(mutation: mutation)
        host = ModelHost(remembersReversals: faults.hostRemembersReversals)
        let count = Self.terminals
        beginnings = Array(repeating: 0, count: count)
        queues = Array(repeating: nil, count: count)
        lineIsFreeAt = Array(repeating: 0, count: count)
        clients = (0..<count).map {
            Client(terminal: $0, left: payments / count + ($0 < payments % count ? 1 : 0))
        }
        deskOperationsLeft = payments
        log = isLogging ? [] : nil
    }

    // MARK: - Time

    private struct Scheduled {
        var time: Int
        var order: Int
        /// Nil for what survives a crash.
        var life: Int?
        var body: () -> Void
        static func < (one: Scheduled, other: Scheduled) -> Bool {
            one.time == other.time ? one.order < other.order : one.time < other.time
        }
    }
    private var heap: [Scheduled] = []
    private var scheduled = 0

    /// - Parameter survivesCrash: it does not belong to the terminals' process.
    func after(_ delay: Int, survivesCrash: Bool = false, _ body: @escaping () -> Void) {
        scheduled += 1
        heap.append(
            Scheduled(time: time + delay, order: scheduled, life: survivesCrash ? nil : life, body: body))
        var child = heap.count - 1
        while child > 0, heap[child] < heap[(child - 1) / 2] {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private func next() -> Scheduled? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        guard !heap.isEmpty else { return first }
        heap[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && heap[child] < heap[least] {
                least = child
            }
            guard least != parent else { return first }
            heap.swapAt(parent, least)
            parent = least
        }
    }

    func note(_ text: @autoclosure () -> String) {
        if log != nil { log?.append("\(time) ms: \(text())") }
    }

    /// Until everything is resolved, or should be.
    func run() {
        start()
        for client in clients { after(random.below(2000), survivesCrash: true) { self.next(client) } }
        if deskOperationsLeft > 0 { after(random.below(3000), survivesCrash: true) { self.operate() } }
        while !isOver, let event = next() {
            time = event.time
            if let life = event.life, life != self.life { continue }
            event.body()
        }
        heap = []
        check()
    }

    // MARK: - The process

    func start() {
        isUp = true
        for terminal in 0..<Self.terminals where life == 0 || terminal < Self.configuredTerminals {
            queue(terminal).begin(after: random.below(50))
        }
        lookAfterJournal()
    }

    /// At the start and from time to time: whoever owes something is served, whether it is configured or not.
    private func lookAfterJournal() {
        if mutation != .onlyConfiguredTerminalsAreRecovered {
            for terminal in 0..<Self.terminals where queues[terminal] == nil {
                let isOwing = journal.entries.contains {
                    $0.record.terminalID == Self.name(terminal)
                        && TransactionState.unfinished.contains($0.record.state)
                }
                if isOwing { queue(terminal).begin(after: random.below(50)) }
            }
        }
        after(60_000) { self.lookAfterJournal() }
    }

    /// - Returns: true where the process is gone: whoever asks does nothing more.
    func crashes(_ moment: @autoclosure () -> String) -> Bool {
        guard random.perMille(faults.crash) else { return false }
        note("CRASH \(moment())")
        crash()
        return true
    }

    func crash() {
        life += 1
        isUp = false
        claims = [:]
        acknowledged = []
        beginnings = Array(repeating: 0, count: Self.terminals)
        queues = Array(repeating: nil, count: Self.terminals)
        after(random.between(100, 20_000), survivesCrash: true) {
            self.note("restart")
            self.reopenJournal()
            self.start()
            for client in self.clients { self.resume(client) }
        }
    }

    func queue(_ terminal: Int) -> Queue {
        if let queue = queues[terminal] { return queue }
        let queue = Queue(terminal, self)
        queues[terminal] = queue
        return queue
    }

    static func name(_ terminal: Int) -> String { ["TERM0001", "TERM0002", "TERM0003"][terminal] }

    func claim(_ id: String) { claims[id, default: 0] += 1 }
    func release(_ id: String) {
        guard let count = claims[id] else { return }
        claims[id] = count > 1 ? count - 1 : nil
    }
    func isUnderWay(_ record: TransactionRecord, at terminal: Int) -> Bool {
        claims[record.id] != nil || beginnings[terminal] > 0
    }

    // MARK: - Journal

    /// How a write ends before it is tried; nil where it is.
    private func writeFailure() -> ModelJournal.Failure? {
        if time < journalIsDownUntil { return .unavailable }
        if random.perMille(faults.journalOutage) {
            journalIsDownUntil = time + random.between(500, 20_000)
            note("journal takes nothing until \(journalIsDownUntil)")
            return .unavailable
        }
        return random.perMille(faults.writeFails) ? .unavailable : nil
    }

    /// One write: it takes its time, may fail, and the process may die before and after it.
    func write(
        _ change: ModelJournal.Change, at place: Int, keeping kept: ModelJournal.Kept? = nil,
        then: @escaping (Result<Void, ModelJournal.Failure>) -> Void
    ) {
        if crashes("before \(change)") { return }
        after(random.between(1, 20)) { [self] in
            let id = journal[place].record.id
            if let failure = writeFailure() {
                note("\(id): not written: \(change)")
                return after(1) { then(.failure(failure)) }
            }
            if random.perMille(faults.commitInDoubt) {
                note("\(id): in doubt: \(change)")
                doubt = (change, place, kept)
                journalIsDownUntil = time + random.between(200, 5000)
                after(journalIsDownUntil - time) { self.reopenJournal() }
                return after(1) { then(.failure(.unavailable)) }
            }
            let result = commit(change, at: place, keeping: kept)
            if case .success = result, crashes("after \(change)") { return }
            then(result)
        }
    }

    @discardableResult
    private func commit(
        _ change: ModelJournal.Change, at place: Int, keeping kept: ModelJournal.Kept?
    ) -> Result<Void, ModelJournal.Failure> {
        do throws(ModelJournal.Failure) {
            try journal.apply(change, at: place, keeping: kept)
            let record = journal[place].record
            if [.approved, .approvedOffline, .deferred].contains(record.state) { wasApproved.insert(place) }
            note("\(record.id): \(record.state) by \(change)")
            return .success(())
        } catch {
            note("\(journal[place].record.id): \(error): \(change)")
            return .failure(error)
        }
    }

    /// What was in doubt is there, or is not. Where it is, and was reported to have failed, it is taken back (the journal's doubt file).
    func reopenJournal() {
        journalIsDownUntil = min(journalIsDownUntil, time)
        guard let (change, place, kept) = doubt else { return }
        doubt = nil
        guard random.below(2) == 0, case .success = commit(change, at: place, keeping: kept) else { return }
        let record = journal[place].record
        note("\(record.id): came back as \(record.state)")
        // Only a change that made it so was noted as being in doubt.
        guard case .step(let write) = change, let state = write.state else { return }
        let isTaken =
            [.approved, .approvedOffline, .deferred].contains(state)
            && !(state == .approved && record.purpose == .deferred)
        guard isTaken, mutation != .commitsThatCameBackAreBelieved else { return }
        let back: PaymentWrite =
            record.state == .deferred
            ? .end(.cancelled, TransactionResult(), from: [.deferred])
            : .reversal(.restart, TransactionResult(), from: [record.state])
        commit(.step(back), at: place, keeping: nil)
    }

    /// Begins a transaction: as any other write.
    func begin(
        _ intent: TransactionIntent,
        then: @escaping (Result<(place: Int, isNew: Bool), ModelJournal.Failure>) -> Void
    ) {
        if crashes("before begin") { return }
        after(random.between(1, 20)) { [self] in
            if let failure = writeFailure() { return after(1) { then(.failure(failure)) } }
            let result: Result<(place: Int, isNew: Bool), ModelJournal.Failure>
            do throws(ModelJournal.Failure) {
                let begun = try journal.begin(intent)
                note(
                    "\(journal[begun.place].record.id): \(begun.isNew ? "begun" : "found") at \(intent.terminalID)"
                )
                if begun.isNew, crashes("after begin") { return }
                result = .success(begun)
            } catch {
                note("begin: \(error)")
                result = .failure(error)
            }
            then(result)
        }
    }
}
