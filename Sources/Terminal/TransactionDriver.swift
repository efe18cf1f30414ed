public import CardReaders
public import EMV
public import Kernels
internal import SmartCard
internal import Synchronization

/// The one loop between the pure Entry Point and the world: it carries out each action on a reader and
/// tells the Entry Point what happened. Live payments, replays, fuzzing and benchmarks all run through it.
public struct TransactionDriver: Sendable {
    /// Limits that keep a hostile card or an absent customer from holding the terminal.
    public struct Limits: Sendable {
        /// How long to wait for a card at each activation; nil is for ever.
        public var cardWait: Duration? = .seconds(30)
        /// Longest answer time of a single command, with all GET RESPONSE that it takes; nil leaves it to the reader.
        public var command: Duration? = .seconds(5)
        /// Activations within one transaction (first tap, tap again, collisions...), and restarts that no host is asked for.
        public var activations = 12
        /// Commands within one transaction, GET RESPONSE and repeats among them: a card needs some twenty.
        public var commands = 600
        public init() {}
    }

    /// Why the loop ended.
    public enum End: Sendable {
        case outcome(FinalOutcome)
        /// Nobody presented a card in time.
        case noCard
        case cancelled
        /// The reader cannot go on.
        case readerFailed(ReaderError)
        /// `Limits.activations` or `.commands` was reached.
        case tooManyAttempts
    }

    /// The card of the transaction, from one run to the next: a restart at Start C or D goes on with it (Book A, 8.1.1.9).
    private final class HeldCard: Sendable {
        private let channel = Mutex<(any CardChannel)?>(nil)
        var current: (any CardChannel)? {
            get { channel.withLock { $0 } }
            set { channel.withLock { $0 = newValue } }
        }
    }

    /// Shared by the copies of this driver.
    private let held = HeldCard()
    public let reader: any CardReader
    public var limits: Limits
    /// Draws the next unpredictable number.
    public var unpredictableNumber: @Sendable () -> UInt32
    /// Told what happens, in order; nil where nobody listens.
    public var observer: (@Sendable (TerminalEvent) -> Void)?
    /// Shows a message to the customer and returns when the next one may replace it.
    public var show: @Sendable (UserInterfaceRequest) async -> Void
    /// Waits; a replay or a benchmark does not.
    public var sleep: @Sendable (Duration) async -> Void
    /// Who answers a kernel that exchanges data; nil where nobody does.
    public var dataExchange: (any DataExchangePartner)?

    public init(
        reader: any CardReader, limits: Limits = Limits(),
        unpredictableNumber: @escaping @Sendable () -> UInt32 = { UInt32.random(in: 0 ... .max) },
        observer: (@Sendable (TerminalEvent) -> Void)? = nil,
        show: @escaping @Sendable (UserInterfaceRequest) async -> Void = { _ in },
        sleep: @escaping @Sendable (Duration) async -> Void = { try? await Task.sleep(for: $0) },
        dataExchange: (any DataExchangePartner)? = nil
    ) {
        self.reader = reader
        self.limits = limits
        self.unpredictableNumber = unpredictableNumber
        self.observer = observer
        self.show = show
        self.sleep = sleep
        self.dataExchange = dataExchange
    }

    /// How long nothing is in the field before a collision counts as over.
    private static let collisionEnd = Duration.milliseconds(300)

    /// Switches the field off and lets go of the card, between two runs.
    public func fieldOff() async {
        held.current = nil
        await reader.fieldOff()
    }

    /// Runs the Entry Point from `first` to its next final outcome. One that ends the application and names a start is
    /// followed at once, as nobody has to be asked first (Book A, 8.1.1.9).
    ///
    /// The field and the card stay as the outcome finds them: the caller decides about removal, as a restart at Start C or D
    /// goes on with the same card.
    public func run(_ entryPoint: inout EntryPoint, from first: EntryPointAction) async -> End {
        var action = first
        var channel = held.current
        defer { held.current = channel }
        var activations = 0
        var restarts = 0
        var isCollision = false
        var waitsUntil: ContinuousClock.Instant?
        var budget = CommandBudget(limits.commands)
        var stopReason: End?
        var kernelState = ""

        while true {
            if let observer, let state = entryPoint.kernelState, state.name != kernelState {
                kernelState = state.name
                observer(.kernelState(state.kernel, name: state.name))
            }
            if case .kernel(.waitForData) = action {} else { waitsUntil = nil }
            switch action {
            case .activateCard:
                // Looking whether a collision is over is no attempt of its own.
                if !isCollision { activations += 1 }
                guard activations <= limits.activations else { return .tooManyAttempts }
                do {
                    var deadline = limits.cardWait.map { ContinuousClock.now + $0 }
                    if isCollision {
                        deadline = min(deadline ?? .now + Self.collisionEnd, .now + Self.collisionEnd)
                    }
                    let activated = try await reader.activateCard(deadline: deadline)
                    isCollision = false
                    channel = activated
                    observer?(.cardActivated(activated.card))
                    action = entryPoint.handle(.cardActivated)
                } catch {
                    if error == .noCard, isCollision {
                        // Book B, 3.2.1.5.
                        isCollision = false
                        action = entryPoint.handle(.collisionEnded)
                        continue
                    }
                    observer?(.readerError(error))
                    switch error {
                    case .collision:
                        if isCollision { activations += 1 }
                        isCollision = true
                        await sleep(.milliseconds(100))
                        action = entryPoint.handle(.collision)
                    case .noCard:
                        stopReason = .noCard
                        action = entryPoint.handle(.kernel(.stop))
                    case .cancelled:
                        stopReason = .cancelled
                        action = entryPoint.handle(.kernel(.stop))
                    case .readerUnavailable:
                        return .readerFailed(error)
                    case .activationFailed, .cardRemoved, .cardTimeout, .transmission,
                        .protocolViolation:
                        action = entryPoint.handle(.activationFailed)
                    }
                }

            case .fieldOff(let milliseconds):
                channel = nil
                await reader.fieldOff()
                observer?(.fieldOff)
                await sleep(.milliseconds(Int64(milliseconds)))
                action = entryPoint.handle(.kernel(.done))

            case .kernel(.transmit(let command)):
                guard budget.left > 0 else { return .tooManyAttempts }
                guard let current = channel else {
                    action = entryPoint.handle(.kernel(.communicationError(.protocol)))
                    continue
                }
                // Told once: where a kernel takes no STOP the command goes out all the same, and its answer settles what was begun.
                if Task.isCancelled, stopReason == nil {
                    stopReason = .cancelled
                    action = entryPoint.handle(.kernel(.stop))
                    continue
                }
                observer?(.command(command))
                do {
                    let answer = try await current.exchange(
                        command, timeout: limits.command, budget: &budget)
                    observer?(.response(answer.response, microseconds: answer.microseconds))
                    action = entryPoint.handle(
                        .kernel(.response(answer.response, microseconds: answer.microseconds)))
                } catch {
                    observer?(.readerError(error))
                    switch error {
                    case .readerUnavailable:
                        return .readerFailed(error)
                    case .cancelled where stopReason == nil:
                        stopReason = .cancelled
                        action = entryPoint.handle(.kernel(.stop))
                    case .cancelled:
                        action = entryPoint.handle(.kernel(.communicationError(.timeout)))
                    case .cardRemoved, .cardTimeout, .noCard:
                        action = entryPoint.handle(.kernel(.communicationError(.timeout)))
                    case .transmission:
                        action = entryPoint.handle(.kernel(.communicationError(.transmission)))
                    case .protocolViolation, .collision, .activationFailed:
                        guard budget.left > 0 else { return .tooManyAttempts }
                        action = entryPoint.handle(.kernel(.communicationError(.protocol)))
                    }
                }

            case .kernel(.display(let request)):
                await show(request)
                action = entryPoint.handle(.kernel(.done))

            case .kernel(.drawUnpredictableNumber):
                let number = unpredictableNumber()
                observer?(.unpredictableNumber(number))
                action = entryPoint.handle(.kernel(.unpredictableNumber(number)))

            case .kernel(.sendDataExchange(let exchange)):
                observer?(.dataExchange(exchange))
                if Task.isCancelled {
                    stopReason = .cancelled
                    action = entryPoint.handle(.kernel(.stop))
                    continue
                }
                action = answer(&entryPoint, await dataExchange?.exchange(exchange), otherwise: .done)

            case .kernel(.waitForData(let milliseconds)):
                // The time of the first of several waits in a row runs on.
                let deadline = waitsUntil ?? .now + .milliseconds(Int64(milliseconds))
                waitsUntil = deadline
                let data = await data(until: deadline)
                if Task.isCancelled {
                    stopReason = .cancelled
                    action = entryPoint.handle(.kernel(.stop))
                    continue
                }
                action = answer(&entryPoint, data, otherwise: .timeout)

            case .kernel(.outcome):
                // The Entry Point keeps a kernel's outcome to itself; reaching this is its defect.
                return .readerFailed(
                    .protocolViolation("Entry Point let a kernel outcome through"))

            case .outcome(let final):
                if let stopReason { return stopReason }
                observer?(.outcome(final))
                guard final.outcome.status == .endApplication, final.outcome.start != nil else {
                    return .outcome(final)
                }
                restarts += 1
                guard restarts <= limits.activations else { return .tooManyAttempts }
                if let request = final.outcome.uiRequestOnOutcome { await show(request) }
                if let time = final.outcome.fieldOffRequest {
                    channel = nil
                    await reader.fieldOff()
                    observer?(.fieldOff)
                    await sleep(.milliseconds(Int64(time) * 100))
                }
                action = entryPoint.restart()
            }
        }
    }

    private func answer(
        _ entryPoint: inout EntryPoint, _ data: DataObjects?, otherwise event: KernelEvent
    ) -> EntryPointAction {
        guard let data else { return entryPoint.handle(.kernel(event)) }
        observer?(.dataExchanged(data))
        return entryPoint.handle(.kernel(.dataExchange(data)))
    }

    /// What the partner sends in time; else the time passes.
    private func data(until deadline: ContinuousClock.Instant) async -> DataObjects? {
        let time = deadline - .now
        guard time > .zero else { return nil }
        if let data = await dataExchange?.next(within: time) { return data }
        let left = deadline - .now
        if left > .zero { await sleep(left) }
        return nil
    }
}
