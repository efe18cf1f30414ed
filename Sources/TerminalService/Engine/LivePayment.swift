internal import CardReaders
internal import EMVDictionary
internal import Foundation
internal import Kernels
internal import Synchronization
internal import Terminal
internal import Traces

/// A payment that this run of the daemon takes or took.
final class LivePayment: Sendable {
    let order: PaymentOrder
    let createdAt: Date
    let start: ContinuousClock.Instant
    private let recording = Mutex<Recording>(.running(TraceRecorder()))
    private enum Recording {
        case running(TraceRecorder)
        case sealed(String)
    }
    /// The journal has it and it has an id, or it was refused.
    let begun = OneShot()
    let finished = OneShot()
    private let currency: CurrencyView

    private struct State {
        var id: String?
        var phase = PaymentPhase.waitingForCard
        var finishedAt: Date?
        var result: ResultView?
        var receipt: String?
        /// Why there is no payment.
        var refusal: Problem?
        var timings = Timings()
        var waitingSince: ContinuousClock.Instant?
        var sentAt: ContinuousClock.Instant?
        var context: DictionaryContext?
        var exchange = ExchangeContext()
        var events: [ServiceEvent] = []
        var dropped = 0
        var task: Task<Void, Never>?
        var isCancelled = false
    }
    private let state = Mutex(State())
    /// The payment that the task takes.
    @TaskLocal static var running: LivePayment?
    /// Events that one payment keeps at most.
    static let mostEvents = 4000

    private let register: @Sendable (LivePayment, String) -> Void

    /// What `elapsed` counts.
    enum Clock: Sendable {
        case wall
        /// The card's own time alone: in replays, where nothing else is recorded.
        case card
    }
    private let clock: Clock

    /// - Parameter register: called when the payment has its id, before anybody hears of it.
    init(
        _ order: PaymentOrder, currency: CurrencyView, clock: Clock = .wall,
        register: @escaping @Sendable (LivePayment, String) -> Void = { _, _ in }
    ) {
        self.order = order
        self.currency = currency
        self.register = register
        self.clock = clock
        createdAt = Date()
        start = .now
    }

    var id: String? { state.withLock { $0.id } }
    var refusal: Problem? { state.withLock { $0.refusal } }
    var phase: PaymentPhase { state.withLock { $0.phase } }
    var events: [ServiceEvent] { state.withLock { $0.events } }
    var receipt: String? { state.withLock { $0.receipt } }
    var context: DictionaryContext? { state.withLock { $0.context } }
    var elapsed: UInt64 {
        switch clock {
        case .wall: Self.microseconds(ContinuousClock.now - start)
        case .card: state.withLock { $0.timings.card }
        }
    }

    static func microseconds(_ duration: Duration) -> UInt64 {
        let parts = duration.components
        return UInt64(clamping: parts.seconds) &* 1_000_000
            &+ UInt64(clamping: parts.attoseconds / 1_000_000_000_000)
    }

    var view: PaymentView {
        state.withLock { state in
            PaymentView(
                id: state.id ?? "", terminal: order.terminal, state: state.phase, createdAt: createdAt,
                finishedAt: state.finishedAt, amount: order.amount.minorUnits,
                amountOther: order.amountOther.minorUnits, currency: currency, type: order.type.rawValue,
                purpose: PaymentOrder.word(order.purpose), result: state.result)
        }
    }

    func begin(id: String) {
        // Whoever reads the id finds the payment by it.
        if self.id == nil { register(self, id) }
        state.withLock { $0.id = id }
    }
    func refuse(_ problem: Problem) {
        state.withLock { state in
            state.refusal = problem
            state.phase = .finished
        }
        begun.happen()
        finished.happen()
    }

    /// - Returns: whether the phase is another one now.
    func enter(_ phase: PaymentPhase) -> Bool {
        state.withLock { state in
            guard state.phase != phase, state.phase != .finished else { return false }
            state.phase = phase
            return true
        }
    }

    func keep(_ event: ServiceEvent) {
        state.withLock { state in
            if state.events.count < Self.mostEvents { state.events.append(event) } else { state.dropped += 1 }
        }
    }

    func end(_ result: PaymentResult) {
        state.withLock { state in
            state.timings.total = Self.microseconds(ContinuousClock.now - start)
            state.result = ResultView(result, timings: state.timings)
            state.receipt = result.receipt?.text()
            state.finishedAt = Date()
            state.phase = .finished
            state.task = nil
        }
    }

    /// Makes all events' data and the trace's text, so that nothing of a live card stays in clear.
    func seal() {
        for event in events { _ = event.data }
        let text = trace
        recording.withLock { $0 = .sealed(text) }
    }

    /// Takes what is exchanged with the card; nil once the payment is sealed.
    var recorder: TraceRecorder? {
        recording.withLock { if case .running(let recorder) = $0 { recorder } else { nil } }
    }
    /// The exchange so far, masked where the card is no test card.
    var trace: String {
        switch recording.withLock({ $0 }) {
        case .running(let recorder): recorder.recorded.masked().description
        case .sealed(let text): text
        }
    }

    // MARK: What takes time

    func waits() { state.withLock { $0.waitingSince = .now } }
    func goesOn() {
        state.withLock { state in
            guard let since = state.waitingSince else { return }
            state.timings.waiting &+= Self.microseconds(.now - since)
            state.waitingSince = nil
        }
    }
    func cardTook(_ microseconds: UInt32) { state.withLock { $0.timings.card &+= UInt64(microseconds) } }
    func sent() { state.withLock { $0.sentAt = .now } }
    func answered() -> UInt64 {
        state.withLock { state in
            guard let sent = state.sentAt else { return 0 }
            let time = Self.microseconds(.now - sent)
            state.timings.host &+= time
            state.sentAt = nil
            return time
        }
    }
    /// The scheme of the application that was selected tells whose meaning tags have.
    func selects(_ name: [UInt8]) {
        guard name.count >= 5, !name.starts(with: "2PAY".utf8) else { return }
        let context = Explaining.context(KernelIdentifier(defaultFor: name))
        state.withLock { $0.context = context }
    }

    /// Takes note of a command or response, for the explanation of it and of later ones.
    func exchanges(_ note: (inout ExchangeContext) -> EMVDecoder.Hint) -> EMVDecoder.Hint {
        state.withLock { note(&$0.exchange) }
    }

    // MARK: Cancelling

    func run(_ body: @escaping @Sendable () async -> Void) {
        let task = Task { await body() }
        let isCancelled = state.withLock { state in
            if state.phase != .finished { state.task = task }
            return state.isCancelled
        }
        if isCancelled { task.cancel() }
    }
    /// Asks for the end; a payment whose authorization has left is carried to its end.
    /// - Returns: false where it has ended.
    func cancel() -> Bool {
        let (task, isOver) = state.withLock { state in
            state.isCancelled = true
            return (state.task, state.phase == .finished)
        }
        task?.cancel()
        return !isOver
    }
}
