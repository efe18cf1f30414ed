/// The Application Transaction Counters (9F36) that an issuer has seen of one card: the highest and the 63
/// below it.
public struct CounterLog: Sendable, Codable, Equatable {
    /// Nil before the first transaction.
    public private(set) var highest: UInt16?
    /// Bit n stands for `highest - n`.
    private var seen: UInt64 = 0

    public init() {}

    public enum Finding: Sendable, Equatable {
        case first
        /// Above the highest by `step`, 1 or more.
        case ahead(step: UInt16)
        /// Below the highest by `steps`, within the window and not seen before: an offline transaction that
        /// was forwarded late, or a tap that was overtaken.
        case behind(steps: UInt16)
        case repeated
        /// Below the highest by more than the window.
        case outsideWindow(steps: UInt16)
    }

    /// How a counter stands to what was seen.
    public func look(_ counter: UInt16, window: UInt16) -> Finding {
        guard let highest else { return .first }
        if counter > highest { return .ahead(step: counter - highest) }
        let steps = highest - counter
        if steps <= 63, seen >> UInt64(steps) & 1 == 1 { return .repeated }
        return steps > min(window, 63) ? .outsideWindow(steps: steps) : .behind(steps: steps)
    }

    /// Notes a counter of a cryptogram that was right.
    mutating func note(_ counter: UInt16) {
        guard let highest else {
            self.highest = counter
            seen = 1
            return
        }
        if counter > highest {
            // Shifting by 64 or more gives 0.
            seen = seen << UInt64(counter - highest) | 1
            self.highest = counter
        } else if highest - counter <= 63 {
            seen |= 1 << UInt64(highest - counter)
        }
    }
}
