import TestTools

/// Changes inputs by a seed: what libFuzzer's standard mutations do, without its coverage.
public struct Mutator {
    private var random: SplitMix
    /// Inputs to take pieces from.
    private let corpus: [[UInt8]]

    public init(seed: UInt64, corpus: [[UInt8]]) {
        random = SplitMix(seed: seed)
        self.corpus = corpus
    }

    private static let values: [UInt8] = [
        0x00, 0x01, 0x7F, 0x80, 0x81, 0x82, 0xFF, 0x1F, 0x30, 0x39, 0x2D, 0x0A, 0x22, 0x3A, 0x90, 0x61,
    ]

    /// The input with one to four changes, no longer than `longest`.
    public mutating func mutated(_ input: [UInt8], longest: Int) -> [UInt8] {
        var bytes = input
        for _ in 0...random.below(4) { change(&bytes) }
        return Array(bytes.prefix(longest))
    }

    private mutating func change(_ bytes: inout [UInt8]) {
        let place = random.below(bytes.count + 1)
        let count = 1 + random.below(min(16, max(1, bytes.count - place)))
        let piece = place..<min(bytes.count, place + count)
        switch random.below(10) {
        case 0 where place < bytes.count: bytes[place] ^= 1 << UInt8(random.below(8))
        case 1 where place < bytes.count: bytes[place] = UInt8(truncatingIfNeeded: random.next())
        case 2 where place < bytes.count: bytes[place] = Self.values[random.below(Self.values.count)]
        case 3 where place < bytes.count: bytes[place] &+= random.below(2) == 0 ? 1 : 0xFF
        case 4: bytes.removeSubrange(piece)
        case 5: bytes.insert(contentsOf: random.bytes(1 + random.below(8)), at: place)
        case 6: bytes.insert(contentsOf: bytes[piece], at: random.below(bytes.count + 1))
        case 7: bytes.removeSubrange(place...)
        case 8:
            guard !corpus.isEmpty else { return }
            let other = corpus[random.below(corpus.count)]
            let start = random.below(other.count + 1)
            bytes.replaceSubrange(piece, with: other[start...].prefix(1 + random.below(64)))
        default:
            bytes.insert(
                contentsOf: repeatElement(Self.values[random.below(Self.values.count)], count: count),
                at: place)
        }
    }
}
