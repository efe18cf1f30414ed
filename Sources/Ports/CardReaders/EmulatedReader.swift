public import SmartCard
internal import Synchronization

/// A reader in software: cards are presented to it and taken away by the program.
///
/// Commands go straight to the card on the caller's task, under a lock: no hop between threads, so that a
/// payment costs what terminal and card cost.
public final class EmulatedReader: CardReader {
    public let information: ReaderInformation

    /// When a presented card leaves by itself.
    public enum Removal: Sendable, Equatable {
        /// Stays until `remove` is called.
        case never
        /// Leaves after it answered so many commands.
        case afterCommands(Int)
        /// Leaves while it works on the command after so many: the answer is lost, the card has acted.
        case duringCommand(Int)
        /// The same at the first command with this INS.
        case duringInstruction(UInt8)
    }

    // Cards are not Sendable; they are only touched under this lock.
    private final class Field: @unchecked Sendable {
        var cards: [any VirtualCard] = []
        var removal = Removal.never
        /// Commands since the activation.
        var commands = 0
        /// Counts activations and removals: a channel of an earlier activation is dead.
        var generation = 0
        var isActive = false
        /// Counts the times that the first card left, and how often that was at the last activation; nil before the first.
        var departures = 0
        var departuresAtActivation: Int?
        /// Whether the card that was activated last is gone, though another may lie there already.
        var lastHasLeft: Bool { cards.isEmpty || departuresAtActivation.map { $0 != departures } ?? false }
        var waiters: [(id: Int, continuation: CheckedContinuation<Void, Never>)] = []
        var nextWaiter = 0
        var isClosed = false

        func powerDown() {
            if isActive { cards.first?.powerOff() }
            isActive = false
            generation += 1
        }
        func clear() {
            if !cards.isEmpty { departures += 1 }
            cards = []
        }
        func wake() {
            let resumed = waiters
            waiters = []
            for waiter in resumed { waiter.continuation.resume() }
        }
    }
    private let lock = Mutex<Void>(())
    private let field = Field()

    public init(name: String = "Emulated reader") {
        information = ReaderInformation(kind: .emulated, name: name, vendor: "Tapbridge")
    }

    // MARK: - The card's side

    /// Brings a card into the field; a second one makes a collision. Not `sending`, as the caller may look
    /// at the card again when it has left: until then the reader alone uses it, under its lock.
    public func present(_ card: any VirtualCard, removal: Removal = .never) {
        lock.withLock { _ in
            field.powerDown()
            field.cards.append(card)
            field.removal = removal
            field.wake()
        }
    }

    /// Brings cards into the field at the same moment.
    public func present(_ cards: [any VirtualCard], removal: Removal = .never) {
        lock.withLock { _ in
            field.powerDown()
            field.cards += cards
            field.removal = removal
            field.wake()
        }
    }

    /// How many wait for a card to come or to go.
    var waiting: Int { lock.withLock { _ in field.waiters.count } }

    public var isEmpty: Bool { lock.withLock { _ in field.cards.isEmpty } }

    /// Takes all cards out of the field, in the middle of whatever they do.
    public func remove() {
        lock.withLock { _ in
            field.powerDown()
            field.clear()
            field.wake()
        }
    }

    /// Takes all cards but the first one out of the field, as a customer does who is told of a collision.
    public func leaveFirst() {
        lock.withLock { _ in
            guard field.cards.count > 1 else { return }
            field.powerDown()
            field.cards.removeSubrange(1...)
            field.wake()
        }
    }

    // MARK: - The terminal's side

    public func activateCard(
        deadline: ContinuousClock.Instant?
    ) async throws(ReaderError) -> any CardChannel {
        while true {
            let found: Result<Channel, ReaderError>? = lock.withLock { _ in
                if field.isClosed {
                    return .failure(
                        .readerUnavailable(reader: information.name, reason: "it was closed"))
                }
                if field.cards.count > 1 { return .failure(.collision) }
                guard let card = field.cards.first else { return nil }
                if field.isActive { card.powerOff() }
                field.generation += 1
                field.isActive = true
                field.departuresAtActivation = field.departures
                field.commands = 0
                card.powerOn()
                return .success(
                    Channel(
                        reader: self, generation: field.generation,
                        card: CardInformation(
                            answerToReset: card.answerToReset, activation: card.activation)))
            }
            if let found { return try found.get() }
            try await waitForChange(until: deadline) { $0.cards.isEmpty && !$0.isClosed }
        }
    }

    public func awaitRemoval(deadline: ContinuousClock.Instant?) async throws(ReaderError) -> Bool {
        while true {
            if lock.withLock({ _ in field.lastHasLeft || field.isClosed }) { return true }
            do throws(ReaderError) {
                try await waitForChange(until: deadline) { !$0.lastHasLeft && !$0.isClosed }
            } catch {
                if error == .noCard { return lock.withLock { _ in field.lastHasLeft } }
                throw error
            }
        }
    }

    public func mayHoldLastCard() async -> Bool {
        lock.withLock { _ in field.departuresAtActivation != nil && !field.lastHasLeft }
    }

    public func fieldOff() async {
        lock.withLock { _ in field.powerDown() }
    }

    public func close() async {
        lock.withLock { _ in
            field.isClosed = true
            field.powerDown()
            field.wake()
        }
    }

    /// Waits until something changes, as long as `stillWaiting` holds at the start.
    /// - Throws: `.noCard` at the deadline, `.cancelled`.
    private func waitForChange(
        until deadline: ContinuousClock.Instant?, _ stillWaiting: @Sendable (Field) -> Bool
    ) async throws(ReaderError) {
        if Task.isCancelled { throw .cancelled }
        if let deadline, deadline <= .now { throw .noCard }
        let id = lock.withLock { _ in
            field.nextWaiter += 1
            return field.nextWaiter
        }
        let timer = deadline.map { deadline in
            Task {
                try? await Task.sleep(until: deadline, clock: .continuous)
                if !Task.isCancelled { self.wake(id) }
            }
        }
        defer { timer?.cancel() }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let waits = lock.withLock { _ in
                    guard stillWaiting(field), !Task.isCancelled, deadline.map({ $0 > .now }) ?? true
                    else { return false }
                    field.waiters.append((id, continuation))
                    return true
                }
                if !waits { continuation.resume() }
            }
        } onCancel: {
            wake(id)
        }
        if Task.isCancelled { throw .cancelled }
    }

    private func wake(_ id: Int) {
        lock.withLock { _ in
            guard let index = field.waiters.firstIndex(where: { $0.id == id }) else { return }
            field.waiters.remove(at: index).continuation.resume()
        }
    }

    fileprivate func process(_ command: [UInt8], generation: Int) throws(ReaderError) -> [UInt8] {
        let result: Result<[UInt8], ReaderError> = lock.withLock { _ in
            guard generation == field.generation, field.isActive, let card = field.cards.first else {
                return .failure(.cardRemoved)
            }
            switch field.removal {
            case .afterCommands(let count) where field.commands >= count:
                leave()
                return .failure(.cardRemoved)
            case .duringCommand(let count) where field.commands >= count:
                _ = card.process(command)
                leave()
                return .failure(.cardRemoved)
            case .duringInstruction(let instruction)
            where command.count > 1 && command[1] == instruction:
                _ = card.process(command)
                leave()
                return .failure(.cardRemoved)
            default: break
            }
            field.commands += 1
            guard let answer = card.process(command) else { return .failure(.cardTimeout) }
            return .success(answer)
        }
        return try result.get()
    }

    private func leave() {
        field.powerDown()
        field.clear()
        field.removal = .never
        field.wake()
    }

    private struct Channel: CardChannel {
        let reader: EmulatedReader
        let generation: Int
        let card: CardInformation

        nonisolated(nonsending) func transmit(
            _ command: [UInt8], timeout: Duration?
        ) async throws(ReaderError) -> CardAnswer {
            let watch = Stopwatch()
            let bytes = try reader.process(command, generation: generation)
            return CardAnswer(bytes: bytes, microseconds: watch.microseconds)
        }
    }
}
