package import Cards
internal import Foundation

/// Emulated cards with a memory: counters live in the state directory between runs.
package enum CardStore {
    package static func statePath(_ id: String) throws -> String {
        let safe = id.map { $0.isLetter || $0.isNumber || $0 == "-" ? $0 : "_" }
        return try StateDirectory.make("cards") + "/" + String(safe) + ".json"
    }

    /// A card as it was left; fresh where it was never used or `fresh` says so.
    package static func take(_ id: String, fresh: Bool = false) throws -> EmulatedCard {
        let profile: CardProfile
        do {
            profile = try CardLibrary.profile(id)
        } catch {
            throw CommandFailure(.badInput, "\(error)")
        }
        var state: CardState?
        if !fresh, let data = FileManager.default.contents(atPath: try statePath(profile.id)) {
            do {
                state = try JSONDecoder().decode(CardState.self, from: data)
            } catch {
                throw CommandFailure(
                    .badInput,
                    "the state of card \(profile.id) (\(try statePath(profile.id))) cannot be read: remove it or use --fresh-card"
                )
            }
        }
        do {
            return try EmulatedCard(profile: profile, state: state)
        } catch {
            throw CommandFailure(.badInput, "card \(profile.id): \(error)")
        }
    }

    package static func putBack(_ card: EmulatedCard) throws { try keep(card.state, of: card.profile.id) }

    package static func keep(_ state: CardState, of id: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        let path = try statePath(id)
        do {
            try encoder.encode(state).write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            throw CommandFailure(
                .journal,
                "the state of card \(id) cannot be kept in \(path): \(error.localizedDescription)"
            )
        }
    }
}
