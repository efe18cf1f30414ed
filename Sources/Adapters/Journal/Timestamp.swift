package import Foundation

/// Journal times: UTC with milliseconds, as `2026-11-21T04:16:28.123Z`, so that text sorts as time does.
/// Done here as `Date.ISO8601FormatStyle` cuts instead of rounding and would not read back what it wrote.
package enum Timestamp {
    /// 0001-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z.
    static let range: ClosedRange<Int64> = -62_135_596_800_000...253_402_300_799_999

    /// Milliseconds since 1970, rounded to the nearest, within `range`.
    static func milliseconds(_ date: Date) -> Int64 {
        let value = (date.timeIntervalSince1970 * 1000).rounded()
        guard value.isFinite else { return 0 }
        return Int64(min(max(value, Double(range.lowerBound)), Double(range.upperBound)))
    }

    static func date(milliseconds: Int64) -> Date {
        Date(timeIntervalSince1970: Double(milliseconds) / 1000)
    }

    /// A date as the journal can hold it.
    static func rounded(_ date: Date) -> Date { Self.date(milliseconds: milliseconds(date)) }

    package static func text(_ date: Date) -> String {
        let milliseconds = milliseconds(date)
        let (days, ofDay) = split(milliseconds)
        let (year, month, day) = civil(days)
        let bytes = [UInt8](unsafeUninitializedCapacity: 24) { buffer, count in
            func put(_ value: Int64, _ digits: Int) {
                var rest = value
                for position in stride(from: count + digits - 1, through: count, by: -1) {
                    buffer[position] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                    rest /= 10
                }
                count += digits
            }
            func put(_ mark: Unicode.Scalar) {
                buffer[count] = UInt8(ascii: mark)
                count += 1
            }
            put(year, 4)
            put("-")
            put(month, 2)
            put("-")
            put(day, 2)
            put("T")
            put(ofDay / 3_600_000, 2)
            put(":")
            put(ofDay / 60_000 % 60, 2)
            put(":")
            put(ofDay / 1000 % 60, 2)
            put(".")
            put(ofDay % 1000, 3)
            put("Z")
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Nil unless it is exactly of the form that `text` writes.
    package static func date(_ text: String) -> Date? {
        let bytes = Array(text.utf8)
        guard bytes.count == 24 else { return nil }
        for (position, mark) in [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":"), (19, "."), (23, "Z")]
            as [(Int, Unicode.Scalar)] where bytes[position] != UInt8(ascii: mark)
        { return nil }
        func number(_ range: Range<Int>) -> Int64? {
            var value: Int64 = 0
            for byte in bytes[range] {
                guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
                value = value * 10 + Int64(byte - UInt8(ascii: "0"))
            }
            return value
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
            let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
            let millisecond = number(20..<23), hour < 24, minute < 60, second < 60
        else { return nil }
        let days = daysSince1970(year, month, day)
        guard civil(days) == (year, month, day) else { return nil }
        return date(
            milliseconds: days * 86_400_000 + hour * 3_600_000 + minute * 60_000 + second * 1000
                + millisecond)
    }

    /// Year, month, day and hour, for reference numbers.
    static func parts(_ date: Date) -> (year: Int64, dayOfYear: Int64) {
        let (days, _) = split(milliseconds(date))
        let (year, _, _) = civil(days)
        return (year, days - daysSince1970(year, 1, 1) + 1)
    }

    private static func split(_ milliseconds: Int64) -> (days: Int64, ofDay: Int64) {
        let ofDay = ((milliseconds % 86_400_000) + 86_400_000) % 86_400_000
        return ((milliseconds - ofDay) / 86_400_000, ofDay)
    }

    // The Gregorian calendar with years that begin in March, so that the leap day comes last.
    private static func civil(_ days: Int64) -> (Int64, Int64, Int64) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (
            yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month,
            dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        )
    }

    private static func daysSince1970(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
