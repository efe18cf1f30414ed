public import ISO8583

/// Field 39 of both versions. Inside, the codes of ISO 8583:1987 count, always whole.
enum ResponseCodes {
    /// ISO 8583:1993, table of action codes, beside the nearest code of 1987.
    private static let actions: [(action: String, code: String)] = [
        ("000", "00"), ("002", "10"), ("003", "11"), ("100", "05"), ("101", "54"), ("102", "34"),
        ("104", "62"),
        ("106", "75"), ("107", "01"), ("109", "03"), ("110", "13"), ("111", "14"), ("116", "51"),
        ("117", "55"),
        ("119", "57"), ("120", "58"), ("121", "61"), ("122", "63"), ("123", "65"), ("125", "78"),
        ("200", "04"),
        ("202", "59"), ("208", "41"), ("209", "43"), ("400", "00"), ("500", "00"), ("501", "95"),
        ("600", "00"),
        ("800", "00"), ("902", "12"), ("904", "30"), ("907", "91"), ("908", "15"), ("909", "96"),
        ("911", "68"),
        ("913", "94"), ("914", "25"), ("915", "95"),
    ]

    /// The code inside for what a host sent; a code that is not in the table declines as its first digit says.
    static func inside(_ text: String, _ version: Dialect.Version) -> String {
        guard version == .v1993 else { return text }
        if let known = actions.first(where: { $0.action == text }) { return known.code }
        switch text.first {
        case "2": return "04"
        case "9": return "96"
        default: return "05"
        }
    }

    /// What a host sends for a code inside, by the kind of message (the third digit of its type's class).
    static func outside(_ code: String, _ version: Dialect.Version, type: MessageType) -> String {
        guard version == .v1993 else { return code }
        if code == "00" {
            switch type.rawValue >> 8 & 0x0F {
            case 4: return "400"
            case 5: return "500"
            case 6: return "600"
            case 8: return "800"
            default: return "000"
            }
        }
        if code == "95", type.rawValue >> 8 & 0x0F == 5 { return "501" }
        return actions.first { $0.code == code }?.action ?? "100"
    }
}
