import CommandSupport
import CardReaders
import Cards
import EMV
import SmartCard

/// An emulated card that is tapped whenever a terminal waits for one, and taken away when the terminal asks for
/// that.
final class TappingReader: CardReader {
    private let field: EmulatedReader
    // Handed to the field again and again, which alone uses it, under its lock, as long as it lies there.
    nonisolated(unsafe) private let card: any VirtualCard
    private let removal: @Sendable () -> EmulatedReader.Removal

    /// - Parameter removal: when the card leaves the next tap by itself.
    init(
        _ card: any VirtualCard, name: String,
        removal: @escaping @Sendable () -> EmulatedReader.Removal = { .never }
    ) {
        self.card = card
        self.removal = removal
        field = EmulatedReader(name: name)
    }

    var information: ReaderInformation { field.information }

    func activateCard(deadline: ContinuousClock.Instant?) async throws(ReaderError) -> any CardChannel {
        field.remove()
        field.present(card, removal: removal())
        return try await field.activateCard(deadline: deadline)
    }
    func awaitRemoval(deadline: ContinuousClock.Instant?) async throws(ReaderError) -> Bool {
        field.remove()
        return true
    }
    func fieldOff() async { await field.fieldOff() }
    func close() async { await field.close() }

    /// The card's state, when no terminal has it any more.
    func takeOut() -> CardState? {
        field.remove()
        return (card as? EmulatedCard)?.state
    }
}
