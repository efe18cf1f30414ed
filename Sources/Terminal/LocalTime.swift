public import EMV
internal import Foundation

/// The terminal's clock in local time, as EMV wants it.
public enum LocalTime {
    /// Date and HHMMSS.
    @Sendable public static func now() -> (date: EMVDate, hhmmss: Int) { parts(of: time(nil)) }

    /// Date and HHMMSS of a moment, in seconds since 1970.
    static func parts(of moment: time_t) -> (date: EMVDate, hhmmss: Int) {
        var seconds = moment
        var parts = tm()
        localtime_r(&seconds, &parts)
        // Beyond 2049 two-digit years end; a clock that far off gives the last date there is.
        let date =
            EMVDate(year: Int(parts.tm_year) + 1900, month: Int(parts.tm_mon) + 1, day: Int(parts.tm_mday))
            ?? .last
        let hhmmss = (Int(parts.tm_hour) * 100 + Int(parts.tm_min)) * 100 + min(59, Int(parts.tm_sec))
        return (date, hhmmss)
    }
}
