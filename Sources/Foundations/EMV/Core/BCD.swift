/// Packed binary coded decimal, formats n and cn of EMV Book 3, 4.3.
public enum BCD {
    /// The number that decimal nibbles spell; nil for a nibble above 9 or more than 18 digits.
    @inlinable public static func number(_ bytes: Span<UInt8>) -> UInt64? {
        guard bytes.count <= 9 else { return nil }
        var result: UInt64 = 0
        for index in bytes.indices {
            let byte = bytes[index]
            guard byte >> 4 <= 9, byte & 0x0F <= 9 else { return nil }
            result = result &* 100 &+ UInt64(byte >> 4) &* 10 &+ UInt64(byte & 0x0F)
        }
        return result
    }

    /// The same of any collection of bytes.
    @inlinable public static func number(_ bytes: some Collection<UInt8>) -> UInt64? {
        number(Array(bytes).span)
    }

    /// A number in `count` bytes of two digits each, left-padded with zeros (format n). Digits that do
    /// not fit are cut on the left.
    public static func bytes(_ number: UInt64, count: Int) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: count)
        var rest = number
        var index = count - 1
        while index >= 0 {
            let pair = UInt8(truncatingIfNeeded: rest % 100)
            result[index] = (pair / 10) << 4 | pair % 10
            rest /= 100
            index -= 1
        }
        return result
    }
}

/// An amount of money in minor units of its currency: 0...999 999 999 999 (format n 12).
public struct Amount: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    public let minorUnits: UInt64
    public static let zero = Amount(clamping: 0)
    public static let greatest: UInt64 = 999_999_999_999

    /// Nil beyond twelve digits.
    public init?(minorUnits: UInt64) {
        guard minorUnits <= Self.greatest else { return nil }
        self.minorUnits = minorUnits
    }
    public init(clamping minorUnits: UInt64) { self.minorUnits = min(minorUnits, Self.greatest) }

    /// Six bytes of packed BCD.
    public var bytes: [UInt8] { BCD.bytes(minorUnits, count: 6) }

    public static func < (lhs: Amount, rhs: Amount) -> Bool { lhs.minorUnits < rhs.minorUnits }
    public var description: String { String(minorUnits) }

    /// - Throws: `DecodingError` beyond twelve digits.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let number = try container.decode(UInt64.self)
        guard let amount = Amount(minorUnits: number) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "\(number) has more than the twelve digits of an amount")
        }
        self = amount
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(minorUnits)
    }
}

/// A three-digit ISO code (currency ISO 4217, country ISO 3166-1) as EMV holds it: two bytes, format n 3.
public struct NumericCode: Hashable, Sendable, Codable, CustomStringConvertible {
    /// 0...999.
    public let value: UInt16
    @inlinable public init?(_ value: some BinaryInteger) {
        guard (0...999).contains(value) else { return nil }
        self.value = UInt16(value)
    }
    /// From two BCD bytes.
    @inlinable public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 2, let number = BCD.number(bytes) else { return nil }
        self.init(number)
    }
    public var bytes: [UInt8] { BCD.bytes(UInt64(value), count: 2) }
    public var description: String {
        let digits = String(value)
        return String(repeating: "0", count: 3 - digits.utf8.count) + digits
    }
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let number = try container.decode(UInt16.self)
        guard let code = NumericCode(number) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "\(number) is not a three-digit ISO code")
        }
        self = code
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(value)
    }
}

/// A date of format n 6 (YYMMDD). Two-digit years 50...99 are 1950...1999 (EMV Book 4, 6.7.3).
public struct EMVDate: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let year: Int
    public let month: Int
    public let day: Int

    /// Nil for a month or day that no calendar has. Day 0 is refused.
    public init?(year: Int, month: Int, day: Int) {
        guard (1950...2049).contains(year), (1...12).contains(month), day >= 1 else { return nil }
        let leap = year.isMultiple(of: 4) && (!year.isMultiple(of: 100) || year.isMultiple(of: 400))
        let longest = month == 2 ? (leap ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
        guard day <= longest else { return nil }
        self.year = year
        self.month = month
        self.day = day
    }

    /// Days since 1 January of the year 0 of the Gregorian calendar.
    public var dayNumber: Int {
        // March first, so that the leap day is the last of its year.
        let (y, m) = month > 2 ? (year, month - 3) : (year - 1, month + 9)
        return 365 * y + y / 4 - y / 100 + y / 400 + (m * 306 + 5) / 10 + day - 1
    }

    /// From three BCD bytes YYMMDD.
    @inlinable public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 3, let number = BCD.number(bytes) else { return nil }
        self.init(yymmdd: Int(number))
    }

    /// From a number of up to six digits, YYMMDD.
    public init?(yymmdd: Int) {
        guard (0...999_999).contains(yymmdd) else { return nil }
        let yy = yymmdd / 10000
        self.init(year: yy >= 50 ? 1900 + yy : 2000 + yy, month: yymmdd / 100 % 100, day: yymmdd % 100)
    }

    /// The last day of the month that YYMM names, as on tracks and in certificates.
    public init?(endOfMonthYYMM yymm: Int) {
        guard (0...9999).contains(yymm) else { return nil }
        for day in [31, 30, 29, 28] {
            if let date = EMVDate(yymmdd: yymm * 100 + day) {
                self = date
                return
            }
        }
        return nil
    }

    package var number: Int { (year * 100 + month) * 100 + day }
    public var yymmdd: Int { number % 1_000_000 }
    public var bytes: [UInt8] { BCD.bytes(UInt64(yymmdd), count: 3) }
    public static func < (lhs: EMVDate, rhs: EMVDate) -> Bool { lhs.number < rhs.number }
    /// ISO 8601, such as `2026-11-20`.
    public var description: String {
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(year)-\(two(month))-\(two(day))"
    }
}

extension EMVDate {
    /// The last date that two-digit years can tell: 2049-12-31.
    public static let last = EMVDate(unchecked: (2049, 12, 31))

    private init(unchecked parts: (year: Int, month: Int, day: Int)) {
        year = parts.year
        month = parts.month
        day = parts.day
    }
}
