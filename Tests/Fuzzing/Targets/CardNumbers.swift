/// Looks for what masked text must not show, by the rule of ISO/IEC 7812-1 alone and not by the product's own code.
enum CardNumbers {
    /// Whether the text has a run of 13 to 19 decimal digits, no digit before or behind it, with a right check digit.
    /// Runs of one digit alone, such as zeros, are no number of anybody.
    /// - Parameter afterZero: whether a run counts that begins with 0, as no card's number does.
    static func hasRun(_ text: String, afterZero: Bool = true) -> Bool {
        text.utf8.split { !isDigit($0) }.contains { run in
            (13...19).contains(run.count) && Set(run).count > 1 && (afterZero || run.first != 0x30)
                && hasCheckDigit(run)
        }
    }

    /// Whether any 13 to 19 digits one behind the other, also within a longer run, begin as the schemes' numbers do and
    /// have a right check digit.
    static func hasStretch(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        for start in bytes.indices where (0x32...0x36).contains(bytes[start]) {
            var end = start
            while end < bytes.count, end - start < 19, isDigit(bytes[end]) {
                end += 1
                if end - start >= 13, hasCheckDigit(bytes[start..<end]) { return true }
            }
        }
        return false
    }

    static func hasCheckDigit(_ digits: ArraySlice<UInt8>) -> Bool { luhn(digits) }
    static func hasCheckDigit(_ digits: Substring.UTF8View) -> Bool { luhn(Array(digits)[...]) }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    private static func luhn(_ digits: ArraySlice<UInt8>) -> Bool {
        var sum = 0
        for (index, digit) in digits.reversed().enumerated() {
            let value = Int(digit) - 0x30
            let weighted = index % 2 == 0 ? value : value * 2
            sum += weighted / 10 + weighted % 10
        }
        return sum % 10 == 0
    }
}
