public import SmartCard

/// A card that is pulled out of the field in the middle of a transaction: from a given command on it is
/// silent until the field comes on again.
public final class TornCard: VirtualCard {
    public enum Moment: Equatable, Sendable {
        /// After so many commands were answered; 0 answers none.
        case afterCommands(Int)
        /// At the first command with this INS.
        case duringInstruction(UInt8)
    }

    private let card: any VirtualCard
    private let moment: Moment
    private let reachesCard: Bool
    private var answered = 0
    private var tearsLeft: Int
    /// The card is out of the field.
    public private(set) var isTorn = false

    /// - Parameters:
    ///   - times: in how many presentments the card is pulled; later ones go undisturbed.
    ///   - reachesCard: whether the command whose answer is lost was still carried out by the card (its ATC
    ///     has advanced), or never reached it.
    public init(around card: any VirtualCard, _ moment: Moment, times: Int = 1, reachesCard: Bool = true) {
        self.card = card
        self.moment = moment
        self.reachesCard = reachesCard
        tearsLeft = times
    }

    public var answerToReset: [UInt8] { card.answerToReset }
    public var activation: ContactlessActivation { card.activation }

    public func powerOn() {
        isTorn = false
        answered = 0
        card.powerOn()
    }

    public func powerOff() { card.powerOff() }

    public func process(_ command: [UInt8]) -> [UInt8]? {
        guard !isTorn else { return nil }
        if tearsLeft > 0 {
            let now =
                switch moment {
                case .afterCommands(let count): answered >= count
                case .duringInstruction(let instruction): command.count >= 2 && command[1] == instruction
                }
            if now {
                if reachesCard { _ = card.process(command) }
                card.powerOff()
                isTorn = true
                tearsLeft -= 1
                return nil
            }
        }
        answered += 1
        return card.process(command)
    }
}

/// A card that takes its time over each answer, or over those to one command.
public final class SlowCard: VirtualCard {
    private let card: any VirtualCard
    private let delay: Duration
    private let instruction: UInt8?
    private let wait: (Duration) -> Void

    /// - Parameters:
    ///   - instruction: the command (INS) that is slow; all where nil.
    ///   - wait: passes the time. The caller gives it, as only the caller knows whether its thread may block
    ///     or its clock is a simulated one.
    public init(
        around card: any VirtualCard, delay: Duration, instruction: UInt8? = nil,
        wait: @escaping (Duration) -> Void
    ) {
        self.card = card
        self.delay = delay
        self.instruction = instruction
        self.wait = wait
    }

    public var answerToReset: [UInt8] { card.answerToReset }
    public var activation: ContactlessActivation { card.activation }
    public func powerOn() { card.powerOn() }
    public func powerOff() { card.powerOff() }

    public func process(_ command: [UInt8]) -> [UInt8]? {
        let answer = card.process(command)
        if instruction == nil || (command.count >= 2 && command[1] == instruction) { wait(delay) }
        return answer
    }
}
