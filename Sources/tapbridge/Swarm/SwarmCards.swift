import CommandSupport
import CardReaders
import Cards
import EMV
import Foundation
import Issuing
import Synchronization

/// Which cards come, and how often each: `visa-credit=4,mc-credit=4,apple-pay-visa`.
struct SwarmMix: Sendable {
    var shares: [(id: String, weight: Int)]
    private let total: Int

    static let standard =
        "visa-credit=4,mc-credit=4,visa-debit=2,mc-debit=2,visa-no-oda=1,mc-no-oda=1,apple-pay-visa=2,apple-pay-mastercard=2,google-pay-visa=1,google-pay-mastercard=1,visa-expired=1,mc-declines=1"

    init(_ text: String) throws {
        var shares: [(id: String, weight: Int)] = []
        for part in text.split(separator: ",") {
            let pieces = part.split(separator: "=", maxSplits: 1).map {
                $0.trimmingCharacters(in: .whitespaces)
            }
            guard let id = pieces.first, !id.isEmpty, let weight = pieces.count == 2 ? Int(pieces[1]) : 1,
                (1...1_000_000).contains(weight)
            else {
                throw CommandFailure(.usage, "\"\(part)\" is no part of a mix: write it as visa-credit=4")
            }
            shares.append((id, weight))
        }
        guard !shares.isEmpty else { throw CommandFailure(.usage, "the mix has no card") }
        self.shares = shares
        total = shares.reduce(0) { $0 + $1.weight }
    }

    func pick(_ random: inout some RandomNumberGenerator) -> String {
        var place = Int.random(in: 0..<total, using: &random)
        for (id, weight) in shares {
            place -= weight
            if place < 0 { return id }
        }
        return shares[0].id
    }
}

/// A card that passes from terminal to terminal. One terminal has it at a time, and the cards change hands through the
/// pool's actor.
final class SwarmCard: @unchecked Sendable {
    let card: EmulatedCard
    init(_ card: EmulatedCard) {
        card.ownerUnlocksWhenAsked = true
        self.card = card
    }
}

/// The cards of each kind that nobody has in hand. Who comes first is served first.
actor SwarmPool {
    private var free: [String: [SwarmCard]] = [:]
    private var waiting: [String: [CheckedContinuation<SwarmCard, Never>]] = [:]

    init(_ cards: [String: [SwarmCard]]) { free = cards }

    func take(_ id: String) async -> SwarmCard {
        if let card = free[id]?.popLast() { return card }
        return await withCheckedContinuation { waiting[id, default: []].append($0) }
    }

    func putBack(_ card: SwarmCard, _ id: String) {
        if waiting[id]?.isEmpty == false, let next = waiting[id]?.removeFirst() {
            next.resume(returning: card)
        } else {
            free[id, default: []].append(card)
        }
    }

    var all: [String: [SwarmCard]] { free }
}

/// A field into which one card after the other is held.
final class SwarmReader: CardReader {
    private struct State: Sendable {
        var card: SwarmCard?
        var removal = EmulatedReader.Removal.never
    }
    private let field: EmulatedReader
    private let state = Mutex(State())
    var information: ReaderInformation { field.information }

    init(name: String) { field = EmulatedReader(name: name) }

    /// The customer's card for the next payment.
    /// - Parameter removal: how it leaves the first tap; the customer holds still after that.
    func hold(_ card: SwarmCard, removal: EmulatedReader.Removal) {
        state.withLock { $0 = State(card: card, removal: removal) }
    }
    func takeAway() {
        field.remove()
        state.withLock { $0.card = nil }
    }

    func activateCard(deadline: ContinuousClock.Instant?) async throws(ReaderError) -> any CardChannel {
        field.remove()
        let (card, removal) = state.withLock { state in
            defer { state.removal = .never }
            return (state.card, state.removal)
        }
        if let card { field.present(card.card, removal: removal) }
        return try await field.activateCard(deadline: deadline)
    }
    func awaitRemoval(deadline: ContinuousClock.Instant?) async throws(ReaderError) -> Bool {
        field.remove()
        return true
    }
    func fieldOff() async { await field.fieldOff() }
    func close() async { await field.close() }
}

/// Copies of built-in cards with numbers of their own, and a world whose issuers know them: a card's counter is good once, so
/// one card would make a queue.
struct SwarmWorld {
    private(set) var world = IssuingWorld.test
    private(set) var cards: [String: [SwarmCard]] = [:]
    private var issued = 0

    /// - Parameter copies: of each card.
    init(_ mix: SwarmMix, copies: Int) throws {
        for (id, _) in mix.shares {
            let profile: CardProfile
            do { profile = try CardLibrary.profile(id) } catch { throw CommandFailure(.badInput, "\(error)") }
            var own: [SwarmCard] = []
            for _ in 0..<copies { own.append(SwarmCard(try EmulatedCard(profile: try copy(profile)))) }
            cards[id] = own
        }
    }

    private mutating func copy(_ profile: CardProfile) throws -> CardProfile {
        issued += 1
        var copy = profile
        for index in copy.applications.indices {
            let old = copy.applications[index].primaryAccountNumber
            guard let number = Self.number(issued, like: old) else {
                throw CommandFailure(.different, "no number for a copy of card \(profile.id)")
            }
            let account: String
            if var card = world.cards.first(where: { $0.number == old }) {
                account = card.account
                card.id = "swarm-\(issued)-\(index)"
                card.number = number
                card.scripts = []
                card.account = richAccount(account)
                world.cards.append(card)
            } else if var token = world.tokens.first(where: { $0.number == old }) {
                account = token.account
                token.id = "swarm-\(issued)-\(index)"
                token.number = number
                token.scripts = []
                token.account = richAccount(account)
                // Its account is a copy: the card behind it has another one.
                token.card = nil
                world.tokens.append(token)
            } else {
                continue
            }
            copy.applications[index].primaryAccountNumber = number
        }
        return copy
    }

    /// A copy of an account with enough for any swarm, without limits.
    private mutating func richAccount(_ id: String) -> String {
        let name = "swarm-\(id)"
        if world.accounts.contains(where: { $0.id == name }) { return name }
        guard var account = world.accounts.first(where: { $0.id == id }) else { return id }
        account.id = name
        account.balance = 900_000_000_000
        account.singleLimit = nil
        account.dailyLimit = nil
        account.dailyCount = nil
        world.accounts.append(account)
        return name
    }

    /// A number of the same issuer with a right check digit.
    static func number(_ index: Int, like number: PrimaryAccountNumber) -> PrimaryAccountNumber? {
        let body = String(number.clearDigits.prefix(9)) + String(format: "%06d", 500_000 + index)
        return (0...9).lazy.compactMap { PrimaryAccountNumber(digits: body + String($0)) }.first(
            where: \.hasValidCheckDigit)
    }
}

/// Reproducible numbers (SplitMix64).
struct SwarmRandom: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64, _ stream: Int) {
        state = seed &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(stream) &* 0xD1B5_4A32_D192_ED03
    }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
