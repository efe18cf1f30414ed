internal import EMV

/// Texts from cards, hosts and callers, made fit for the journal.
enum StoredText {
    static let greatestLength = 500

    /// At most the first six and the last four digits of a card number, whatever was handed in; of numbers
    /// shorter than thirteen digits the last four.
    static func maskedPAN(_ text: String) -> String {
        let characters = text.prefix(19)
        let head = characters.count >= 13 ? 6 : 0
        return String(
            characters.enumerated().map { index, character in
                let isShown = index < head || index >= characters.count - 4
                return isShown && character.isASCII && character.isNumber ? character : "*"
            })
    }

    /// Without what looks like a card number (13 to 19 digits in a row with a right check digit), without
    /// NUL, which would end the text in SQLite, and not endless.
    static func cleaned(_ text: String) -> String {
        var cleaned = ""
        var digits = ""
        func flush() {
            if (13...19).contains(digits.count), let number = PrimaryAccountNumber(digits: digits),
                number.hasValidCheckDigit
            {
                cleaned += number.masked
            } else {
                cleaned += digits
            }
            digits = ""
        }
        for character in text.prefix(greatestLength) {
            if character.isASCII, character.isNumber {
                digits.append(character)
            } else {
                flush()
                cleaned.append(character == "\0" ? "\u{FFFD}" : character)
            }
        }
        flush()
        return cleaned
    }
}
