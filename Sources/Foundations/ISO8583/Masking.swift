/// Values as they may be shown: card numbers with first six and last four digits at most, tracks with the masked number
/// alone, PIN blocks, keys and codes not at all.
enum Masking {
    /// - Parameter set: of texts: letters beyond ASCII are shown where the dialect has them.
    static func shown(
        _ value: ArraySlice<UInt8>, _ field: FieldSpecification, in set: Dialect.CharacterSet
    ) -> String {
        switch field.sensitivity {
        case .pan: return digits(characters(value), always: true)
        case .track: return track(value)
        case .pin, .key: return "**** (\(value.count) bytes)"
        case .chip: return "(\(value.count) bytes)"
        case .none: break
        }
        return field.isBinary ? stretches(hex(value)) : text(value, field, in: set)
    }

    /// Characters of a field, or of a piece of one, that is not known to be sensitive: private fields hold anything,
    /// card numbers too, among other digits as well. Fields of digits alone, such as the original data elements, have too
    /// many that pass the check by chance: there whole values are looked at.
    static func text(
        _ value: ArraySlice<UInt8>, _ field: FieldSpecification, in set: Dialect.CharacterSet
    ) -> String {
        if isAmount(field) { return characters(value) }
        let text = characters(value, in: set)
        // Whole runs last: what is left between stretches is one, too.
        return digits(field.format == .n || field.format == .xn ? text : stretches(text), always: false)
    }

    /// Totals of settlement (87 and 93: fields 86 to 89 and 97; 93: 105 and 106): one in ten would pass for a card number by
    /// its check digit, and none is one.
    static func isAmount(_ field: FieldSpecification) -> Bool {
        switch (field.number, field.format, field.length) {
        case (86...89, .n, .fixed(16)), (97, .xn, .fixed(17)), (105...106, .n, .fixed(16)): true
        default: false
        }
    }

    /// Masks 13 to 19 digits, also within a longer run of them, that begin as card numbers do (2 to 6: ISO/IEC 7812-1)
    /// and have a right check digit.
    static func stretches(_ text: String) -> String {
        let bytes = Array(text.utf8)
        var shown = bytes
        for start in bytes.indices where (0x32...0x36).contains(bytes[start]) {
            var end = start
            while end < bytes.count, end - start < 19, (0x30...0x39).contains(bytes[end]) { end += 1 }
            while end - start >= 13, !hasCheckDigit(Substring(decoding: bytes[start..<end], as: UTF8.self)) {
                end -= 1
            }
            guard end - start >= 13 else { continue }
            for place in (start + 6)..<(end - 4) { shown[place] = UInt8(ascii: "*") }
        }
        return String(decoding: shown, as: UTF8.self)
    }

    /// First six and last four of a number; all stars where it is shorter than eleven digits.
    static func number(_ digits: Substring) -> String {
        guard digits.count > 10 else { return String(repeating: "*", count: digits.count) }
        return digits.prefix(6) + String(repeating: "*", count: digits.count - 10) + digits.suffix(4)
    }

    /// Masks runs of digits that may be a card number: 13 to 19 digits with a right check digit that do not begin with 0, as
    /// numbers that are filled up do, or each run of 8 and more (and the whole value where it has none) if `always`.
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
                isNumber
                && (always
                    ? run.count >= 8
                    : (13...19).contains(run.count) && run.first != "0" && hasCheckDigit(run))
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

    /// Printable characters of the set; other bytes as dots.
    static func characters(_ value: ArraySlice<UInt8>, in set: Dialect.CharacterSet = .ascii) -> String {
        guard set == .latin1 else {
            return String(
                decoding: value.map { (0x20...0x7E).contains($0) ? $0 : UInt8(ascii: ".") }, as: UTF8.self)
        }
        var text = ""
        for byte in value {
            let isShown = (0x20...0x7E).contains(byte) || byte > 0xA0 && byte != 0xAD
            text.unicodeScalars.append(isShown ? Unicode.Scalar(byte) : ".")
        }
        return text
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
