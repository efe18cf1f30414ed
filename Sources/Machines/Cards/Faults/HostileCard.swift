public import SmartCard

/// A generator of reproducible random numbers (SplitMix64).
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64
    public init(seed: UInt64) { state = seed }
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}

/// A card around another that spoils its answers: the same seed spoils the same way.
public final class HostileCard: VirtualCard {
    /// One way of spoiling an answer.
    public enum Attack: CaseIterable, Sendable {
        /// Another value in any one byte, status word included.
        case changeByte
        /// Other values in up to eight bytes.
        case changeBytes
        /// Ends early; anything from nothing at all.
        case truncate
        /// Data cut short, with a good status word after them.
        case truncateData
        /// Bytes added before the status word, up to 64 KiB in all.
        case extend
        /// Bytes left out in the middle.
        case removeBytes
        /// A stretch of the answer twice.
        case repeatBytes
        /// Another status word after the data.
        case statusWord
        /// A status word alone.
        case statusWordOnly
        /// Random bytes.
        case noise
        case silence
    }

    private let card: any VirtualCard
    private var random: SeededGenerator
    private let chance: Double
    private let attacks: [Attack]
    /// What was done to each answer since the card was made; nil where it was let through.
    public private(set) var history: [Attack?] = []

    /// - Parameters:
    ///   - card: the card whose answers are spoilt.
    ///   - chance: of each answer being spoilt, 0...1.
    ///   - attacks: to choose from; empty lets everything through.
    public init(
        around card: any VirtualCard, seed: UInt64, chance: Double = 0.4, attacks: [Attack] = Attack.allCases
    ) {
        self.card = card
        random = SeededGenerator(seed: seed)
        self.chance = chance
        self.attacks = attacks
    }

    public var answerToReset: [UInt8] { card.answerToReset }
    public var activation: ContactlessActivation { card.activation }
    public func powerOn() { card.powerOn() }
    public func powerOff() { card.powerOff() }

    public func process(_ command: [UInt8]) -> [UInt8]? {
        let answer = card.process(command)
        guard let answer, Double.random(in: 0..<1, using: &random) < chance,
            let attack = attacks.randomElement(using: &random)
        else {
            history.append(nil)
            return answer
        }
        history.append(attack)
        return spoil(answer, attack)
    }

    private static let statusWords: [StatusWord] = [
        0x9000, 0x6100, 0x61FF, 0x6C00, 0x6C10, 0x6283, 0x6300, 0x6581, 0x6700, 0x6982, 0x6983, 0x6984,
        0x6985,
        0x6986, 0x6A80, 0x6A81, 0x6A82, 0x6A83, 0x6A86, 0x6A88, 0x6B00, 0x6D00, 0x6E00, 0x6F00, 0x0000,
        0xFFFF,
    ]

    private func spoil(_ answer: [UInt8], _ attack: Attack) -> [UInt8]? {
        var bytes = answer
        let status = answer.suffix(2)
        func noise(_ count: Int) -> [UInt8] {
            (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
        }
        func stretch() -> Range<Int> {
            guard !bytes.isEmpty else { return 0..<0 }
            let start = Int.random(in: 0..<bytes.count, using: &random)
            return start..<Int.random(in: start...bytes.count, using: &random)
        }
        switch attack {
        case .changeByte, .changeBytes:
            let count = attack == .changeByte ? 1 : Int.random(in: 1...8, using: &random)
            for _ in 0..<count where !bytes.isEmpty {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                bytes[index] ^= UInt8.random(in: 1...255, using: &random)
            }
        case .truncate:
            bytes = Array(bytes.prefix(Int.random(in: 0...max(0, bytes.count - 1), using: &random)))
        case .truncateData:
            bytes = Array(bytes.prefix(Int.random(in: 0...max(0, bytes.count - 2), using: &random)) + status)
        case .extend:
            let room = max(0, 65536 + 2 - bytes.count)
            // Mostly a little, sometimes all the way.
            let count =
                Bool.random(using: &random) ? min(room, Int.random(in: 1...300, using: &random)) : room
            bytes = Array(bytes.dropLast(2)) + noise(count) + Array(status)
        case .removeBytes: bytes.removeSubrange(stretch())
        case .repeatBytes:
            let range = stretch()
            bytes.insert(contentsOf: Array(bytes[range]), at: range.upperBound)
        case .statusWord, .statusWordOnly:
            let word = Self.statusWords.randomElement(using: &random) ?? .unknownError
            bytes = (attack == .statusWord ? Array(bytes.dropLast(2)) : []) + [word.sw1, word.sw2]
        case .noise: bytes = noise(Int.random(in: 0...300, using: &random))
        case .silence: return nil
        }
        return bytes
    }
}
