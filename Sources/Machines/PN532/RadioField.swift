internal import SmartCard

/// The field of the antenna and what is in it.
struct RadioField {
    enum Answer: Equatable {
        case silence
        case frame(RadioFrame)
        /// Cards answered differently at the same time.
        case collision
    }

    private(set) var cards: [FieldCard] = []
    private(set) var isOn = false
    /// The last frames, oldest first.
    var sent: [[UInt8]] { log.frames }
    private let log = Log()

    private final class Log {
        var frames: [[UInt8]] = []
        func append(_ frame: [UInt8]) {
            if frames.count >= 64 { frames.removeFirst(32) }
            frames.append(frame)
        }
    }

    mutating func setOn(_ on: Bool) {
        if isOn, !on { for card in cards { card.powerDown() } }
        isOn = on
    }

    mutating func present(_ card: FieldCard) { cards.append(card) }

    mutating func removeAll() {
        for card in cards { card.powerDown() }
        cards = []
    }

    /// Sends a frame and hears what comes back.
    func exchange(_ frame: RadioFrame) -> Answer {
        guard isOn else { return .silence }
        log.append(frame.bytes)
        var heard: RadioFrame?
        var collides = false
        for card in cards {
            guard let answer = card.receive(frame) else { continue }
            if let heard, heard != answer { collides = true }
            heard = answer
        }
        if collides { return .collision }
        return heard.map { .frame($0) } ?? .silence
    }
}
