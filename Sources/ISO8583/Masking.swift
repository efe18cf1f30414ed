/// Values as they may be shown: card numbers with first six and last four digits at most, tracks with the masked number
/// alone, PIN blocks, keys and codes not at all.
enum Masking {
    static func shown(_ value: ArraySlice<UInt8>, _ field: FieldSpecification) -> String {
        switch field.sensitivity {
        case .pan: return digits(characters(value), always: true)
        case .track: return track(value)
        case .pin, .key: return "**** (\(value.count) bytes)"
        case .chip: return "(\(value.count) bytes)"
        case .none: break
        }
        if field.isBinary { return hex(value) }
        // Private fields hold anything, card numbers too.
        return digits(characters(value), always: false)
    }

    /// First six and last four of a number; all stars where it is shorter than eleven digits.
    static func number(_ digits: Substring) -> String {
        guard digits.count > 10 else { return String(repeating: "*", count: digits.count) }
        return digits.prefix(6) + String(repeating: "*", count: digits.count - 10) + digits.suffix(4)
    }

    /// Masks runs of digits that may be a card number: 13 to 19 digits with a right check digit, or each run of 8
    /// and more (and the whole value where it has none) if `always`.
    static func digits(_ text: String, always: Bool) -> String {
        var result = ""
        var rest = text[...]
        while let first = rest.first {
            let run = rest.prefix { $0.isASCII && $0.isNumber == first.isNumber }
            guard !run.isEmpty else {
                result.append(first)
                rest = rest.dropFirst()
                continue
            }
            let isNumber = run.allSatisfy { $0.isASCII && $0.isNumber }
            let hides =
                isNumber && (always ? run.count >= 8 : (13...19).contains(run.count) && hasCheckDigit(run))
            result += hides ? number(run) : String(run)
            rest = rest.dropFirst(run.count)
        }
        return result
    }

    /// Luhn (ISO/IEC 7812-1, annex B).
    static func hasCheckDigit(_ digits: Substring) -> Bool {
        var sum = 0
        for (index, digit) in digits.reversed().enumerated() {
            guard let value = digit.wholeNumberValue else { return false }
            let doubled = value * (index & 1 + 1)
            sum += doubled > 9 ? doubled - 9 : doubled
        }
        return sum % 10 == 0
    }

    /// The masked number of a track, and how many characters are left out.
    static func track(_ value: ArraySlice<UInt8>) -> String {
        let text = characters(value)
        // Track 1 begins with B; a separator ends the number.
        let body = text.hasPrefix("B") ? text.dropFirst() : text[...]
        let pan = body.prefix { $0.isASCII && $0.isNumber }
        let rest = text.count - (text.count - body.count) - pan.count
        return number(pan) + (rest > 0 ? "**** (\(text.count) characters)" : "")
    }

    /// Printable ASCII; other bytes as dots.
    static func characters(_ value: ArraySlice<UInt8>) -> String {
        String(decoding: value.map { (0x20...0x7E).contains($0) ? $0 : UInt8(ascii: ".") }, as: UTF8.self)
    }

    static func hex(_ value: ArraySlice<UInt8>) -> String {
        var result = ""
        for byte in value {
            if byte < 16 { result += "0" }
            result += String(byte, radix: 16, uppercase: true)
        }
        return result
    }
}
