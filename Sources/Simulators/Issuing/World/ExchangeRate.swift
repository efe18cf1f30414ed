public import EMV

/// Units of one currency for one unit of another: a decimal fraction, exact.
public struct ExchangeRate: Sendable, Equatable {
    public let from: NumericCode
    public let to: NumericCode
    /// The rate's digits without the point.
    let digits: UInt64
    /// How many of them stand behind the point: 0...9.
    let scale: UInt8

    /// - Parameter rate: decimal text such as `7.80`: up to nine digits before and nine behind the point,
    ///   above zero.
    /// - Returns: nil for any other text.
    public init?(from: NumericCode, to: NumericCode, rate: String) {
        let parts = rate.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count),
            parts.allSatisfy({ part in
                (1...9).contains(part.utf8.count) && part.utf8.allSatisfy { (0x30...0x39).contains($0) }
            }), let digits = UInt64(parts.joined()), digits > 0
        else { return nil }
        self.from = from
        self.to = to
        self.digits = digits
        scale = parts.count == 2 ? UInt8(parts[1].utf8.count) : 0
    }

    private init(from: NumericCode, to: NumericCode, digits: UInt64, scale: UInt8) {
        self.from = from
        self.to = to
        self.digits = digits
        self.scale = scale
    }

    /// The rate of a currency to itself.
    static func identity(_ currency: NumericCode) -> ExchangeRate {
        ExchangeRate(from: currency, to: currency, digits: 1, scale: 0)
    }

    /// Decimal text, such as `7.80`.
    public var text: String {
        guard scale > 0 else { return String(digits) }
        var text = String(digits)
        if text.utf8.count <= Int(scale) {
            text = String(repeating: "0", count: Int(scale) + 1 - text.utf8.count) + text
        }
        return String(text.dropLast(Int(scale))) + "." + text.suffix(Int(scale))
    }

    /// An amount in minor units of `to`. Rounded half up (0.5 of a minor unit becomes 1), the usual rounding
    /// of card billing.
    /// - Parameters:
    ///   - fromExponent: minor-unit digits of the amount's currency, 0...4.
    ///   - toExponent: those of the result's.
    /// - Returns: nil beyond twelve digits.
    public func convert(_ amount: Amount, fromExponent: UInt8, toExponent: UInt8) -> Amount? {
        // At most 12 + 18 + 4 decimal digits: fits 128 bits.
        let product = UInt128(amount.minorUnits) * UInt128(digits) * Self.power(toExponent)
        let divisor = Self.power(scale) * Self.power(fromExponent)
        let result = (product + divisor / 2) / divisor
        guard result <= UInt128(Amount.greatest) else { return nil }
        return Amount(minorUnits: UInt64(result))
    }

    /// The greatest amount in `from` whose conversion is not above `limit`; for partial approvals.
    func greatestAmount(within limit: UInt64, fromExponent: UInt8, toExponent: UInt8) -> Amount {
        var low: UInt64 = 0
        var high = Amount.greatest
        while low < high {
            let middle = low + (high - low + 1) / 2
            let converted = convert(
                Amount(clamping: middle), fromExponent: fromExponent, toExponent: toExponent)
            if let converted, converted.minorUnits <= limit { low = middle } else { high = middle - 1 }
        }
        return Amount(clamping: low)
    }

    private static func power(_ exponent: UInt8) -> UInt128 {
        var result: UInt128 = 1
        for _ in 0..<min(exponent, 9) { result *= 10 }
        return result
    }
}
