/// A misbehaviour of the chip, of the line to it, or of the card in its field.
public struct PN532Fault: Sendable, Equatable {
    public enum Kind: Sendable, Equatable {
        /// The command is done and answered, its ACK frame does not come.
        case lostAcknowledge
        /// The command is done and acknowledged, its answer does not come.
        case lostAnswer
        /// The answer's last checksum is wrong.
        case wrongChecksum
        /// The answer comes so much later.
        case slowAnswer(Duration)
        /// These bytes come instead of the answer.
        case nonsense([UInt8])
        /// This comes as the answer, behind the command's code, in a well-formed frame.
        case forgedAnswer([UInt8])
        /// The card leaves the field before it gets the command.
        case cardLeaves
        /// The card leaves when it has acted, its answer is lost.
        case cardLeavesDuringCommand
        /// The chip loses power for a moment: no answer, it sleeps, the card is released.
        case reset
    }
    public var kind: Kind
    /// The command that it befalls; nil is any.
    public var command: UInt8?
    /// How many such commands go well before.
    public var after: Int
    /// How many it befalls; nil is all from then on.
    public var count: Int?

    /// - Parameter command: InDataExchange by default, which carries the APDUs.
    public init(_ kind: Kind, command: UInt8? = 0x40, after: Int = 0, count: Int? = 1) {
        self.kind = kind
        self.command = command
        self.after = after
        self.count = count
    }

    /// Whether it befalls this command; counts it.
    mutating func strikes(_ code: UInt8) -> Bool {
        guard command == nil || command == code, count != 0 else { return false }
        guard after <= 0 else {
            after -= 1
            return false
        }
        if let left = count { count = left - 1 }
        return true
    }
}

extension PN532Fault {
    /// The words by which a fault is asked for: `card-leaves`, `slow=500` (milliseconds), each with `@n`
    /// for "after n exchanges", as in `lost-ack@3`.
    public static let words = [
        "lost-ack", "lost-answer", "wrong-checksum", "slow=MS", "nonsense", "card-leaves",
        "card-leaves-during", "reset",
    ]

    /// - Returns: nil where the words are not understood.
    public init?(words: String) {
        var parts = words.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        var after = 0
        if parts.count == 2 {
            guard let number = Int(parts[1]), number >= 0 else { return nil }
            after = number
            parts.removeLast()
        }
        let pair = parts[0].split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let kind: Kind
        switch (pair[0], pair.count) {
        case ("lost-ack", 1): kind = .lostAcknowledge
        case ("lost-answer", 1): kind = .lostAnswer
        case ("wrong-checksum", 1): kind = .wrongChecksum
        case ("slow", 2):
            guard let milliseconds = Int(pair[1]), (0...3_600_000).contains(milliseconds) else { return nil }
            kind = .slowAnswer(.milliseconds(milliseconds))
        case ("nonsense", 1): kind = .nonsense([0xDE, 0xAD, 0x00, 0xFF, 0x20, 0x11, 0x00, 0x00, 0xFF])
        case ("card-leaves", 1): kind = .cardLeaves
        case ("card-leaves-during", 1): kind = .cardLeavesDuringCommand
        case ("reset", 1): kind = .reset
        default: return nil
        }
        self.init(kind, after: after)
    }
}
