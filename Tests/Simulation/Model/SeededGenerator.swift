/// SplitMix64: the same numbers from the same seed, on every machine.
struct SeededGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
    /// A number below `bound`, which is above 0.
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(max(1, bound))) }
    mutating func between(_ low: Int, _ high: Int) -> Int { low + below(high - low + 1) }
    /// True in so many of a thousand cases.
    mutating func perMille(_ count: Int) -> Bool { below(1000) < count }
    /// One of some, by their weights.
    mutating func choice<T>(_ weighted: [(T, Int)]) -> T {
        var left = below(weighted.reduce(0) { $0 + $1.1 })
        for (value, weight) in weighted {
            if left < weight { return value }
            left -= weight
        }
        return weighted[0].0
    }
}
