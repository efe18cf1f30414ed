/// Why a key of Derived Unique Key Per Transaction cannot be made.
public enum DUKPTError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A key serial number or initial key identifier of `found` bytes.
    case identifierLength(found: Int, expected: Int)
    /// A transaction counter that the standard leaves out: zero, or with more than `limit` bits set.
    case counter(UInt32, limit: Int)
    /// Base or initial key of `found` bytes.
    case keyLength(found: Int, allowed: [Int])
    /// A working key stronger than the key that it would be derived from (ANSI X9.24-3, 6.1.3).
    case strongerThanItsSource(bits: Int, source: Int)
    /// The last key serial number has been used: the device needs a new initial key.
    case exhausted

    public var description: String {
        switch self {
        case .identifierLength(let found, let expected):
            "a key serial number of \(found) bytes where \(expected) are needed"
        case .counter(let counter, let limit):
            "transaction counter \(counter): it must have 1...\(limit) bits set"
        case .keyLength(let found, let allowed):
            "a key of \(found) bytes; allowed are \(allowed.map(String.init).joined(separator: ", "))"
        case .strongerThanItsSource(let bits, let source):
            "a working key of \(bits) bits cannot come from a key of \(source) bits"
        case .exhausted: "the transaction counter is at its end: a new initial key is needed"
        }
    }
}

/// The counter of a device: values with few bits set only, so that a host needs few steps to any of them.
enum TransactionCounter {
    /// The next allowed value after `counter`; nil at the end of `bits` bits.
    static func successor(of counter: UInt32, bits: Int, limit: Int) -> UInt32? {
        let top = UInt64(1) << UInt64(bits)
        var next = UInt64(counter) + 1
        // Adding the lowest set bit carries it away: no value in between has fewer bits.
        while next < top, next.nonzeroBitCount > limit { next += next & (~next + 1) }
        return next < top ? UInt32(next) : nil
    }

    static func isAllowed(_ counter: UInt32, limit: Int) -> Bool {
        counter != 0 && counter.nonzeroBitCount <= limit
    }
}
