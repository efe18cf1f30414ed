internal import Cards
internal import EMV
internal import ProfileFile
internal import SmartCard
internal import Synchronization

/// An emulated card or phone on the shelf.
///
/// `@unchecked Sendable`: the card is touched under the lock only, by the reader in whose field it lies and by the API at the
/// same time.
final class ShelfCard: VirtualCard, @unchecked Sendable {
    let id: String
    let profile: CardProfile
    private let lock = Mutex<Void>(())
    private var card: EmulatedCard
    /// The terminal at which it is tapped.
    private let place = Mutex<String?>(nil)

    init(id: String, profile: CardProfile) throws(PersonalisationError) {
        self.id = id
        self.profile = profile
        card = try EmulatedCard(profile: profile)
        answerToReset = card.answerToReset
        activation = card.activation
    }

    let answerToReset: [UInt8]
    let activation: ContactlessActivation
    func powerOn() { lock.withLock { _ in card.powerOn() } }
    func powerOff() { lock.withLock { _ in card.powerOff() } }
    func process(_ command: [UInt8]) -> [UInt8]? { lock.withLock { _ in card.process(command) } }

    func unlock() { lock.withLock { _ in card.unlock() } }
    func relock() { lock.withLock { _ in card.lock() } }
    /// A card fresh from personalisation.
    func reset() throws(PersonalisationError) {
        let fresh = try EmulatedCard(profile: profile)
        lock.withLock { _ in card = fresh }
    }
    var state: CardState { lock.withLock { _ in card.state } }
    var isUnlocked: Bool { lock.withLock { _ in card.isUnlocked } }
    var asksToUnlock: Bool { lock.withLock { _ in card.asksToUnlock } }

    var terminal: String? { place.withLock { $0 } }
    /// Takes the card for a tap.
    /// - Returns: false where another terminal has it.
    func take(to terminal: String) -> Bool {
        place.withLock { place in
            guard place == nil || place == terminal else { return false }
            place = terminal
            return true
        }
    }
    func putBack() { place.withLock { $0 = nil } }
}

/// The cards and phones that can be tapped. It begins with one of each built-in profile, made when it is first asked for.
final class CardShelf: Sendable {
    private struct State {
        var cards: [String: ShelfCard] = [:]
        /// Built-in ones that were not made yet.
        var waiting: [String] = CardLibrary.identifiers
        /// Ids in the order in which they came.
        var order: [String] = CardLibrary.identifiers
        var count = 0
    }
    private let state = Mutex(State())
    let capacity: Int

    init(capacity: Int = 10_000) { self.capacity = capacity }

    /// - Throws: `Problem` where there is no such card.
    func card(_ id: String) throws(Problem) -> ShelfCard {
        let result: Result<ShelfCard, Problem> = state.withLock { state in
            if let card = state.cards[id] { return .success(card) }
            guard let index = state.waiting.firstIndex(of: id) else {
                return .failure(.notFound("card \(id)"))
            }
            do {
                let card = try ShelfCard(id: id, profile: try CardLibrary.profile(id))
                state.waiting.remove(at: index)
                state.cards[id] = card
                return .success(card)
            } catch {
                return .failure(
                    Problem(.internal, status: 500, title: "The card cannot be made", detail: "\(error)"))
            }
        }
        return try result.get()
    }

    var identifiers: [String] { state.withLock { $0.order } }

    func add(_ profile: CardProfile, id wanted: String?) throws(Problem) -> ShelfCard {
        let made: ShelfCard
        let id = try state.withLock { state throws(Problem) -> String in
            guard state.order.count < capacity else {
                throw Problem(
                    .conflict, status: 409, title: "The shelf is full",
                    detail: "\(capacity) cards are there: delete some")
            }
            guard let wanted else {
                repeat { state.count += 1 } while state.order.contains("card-\(state.count)")
                return "card-\(state.count)"
            }
            return wanted
        }
        do {
            made = try ShelfCard(id: id, profile: profile)
        } catch {
            throw Problem(
                .badRequest, status: 400, title: "The profile cannot be personalised", detail: "\(error)")
        }
        try state.withLock { state throws(Problem) in
            guard state.cards[id] == nil, !state.waiting.contains(id) else {
                throw Problem(.conflict, status: 409, title: "The name is taken", detail: "card \(id) exists")
            }
            state.cards[id] = made
            state.order.append(id)
        }
        return made
    }

    func remove(_ id: String) throws(Problem) {
        let card = try card(id)
        if let terminal = card.terminal {
            throw Problem(
                .conflict, status: 409, title: "The card is in use",
                detail: "it is tapped at terminal \(terminal)",
                retryable: true)
        }
        state.withLock { state in
            state.cards[id] = nil
            state.order.removeAll { $0 == id }
        }
    }
}
