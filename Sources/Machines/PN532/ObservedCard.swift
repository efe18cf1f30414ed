public import SmartCard

/// A card that tells what happens to it.
public final class ObservedCard: VirtualCard {
    public enum Event: Sendable, Equatable {
        case powerOn
        case powerOff
        /// A command and the card's response; nil where it stayed silent.
        case exchange(command: [UInt8], response: [UInt8]?)
    }
    public let card: any VirtualCard
    private let observer: @Sendable (Event) -> Void

    /// - Parameter observer: called after each event; the reader waits meanwhile.
    public init(_ card: any VirtualCard, observer: @escaping @Sendable (Event) -> Void) {
        self.card = card
        self.observer = observer
    }

    public var answerToReset: [UInt8] { card.answerToReset }
    public var activation: ContactlessActivation { card.activation }
    public func powerOn() {
        card.powerOn()
        observer(.powerOn)
    }
    public func powerOff() {
        card.powerOff()
        observer(.powerOff)
    }
    public func process(_ command: [UInt8]) -> [UInt8]? {
        let response = card.process(command)
        observer(.exchange(command: command, response: response))
        return response
    }
}
