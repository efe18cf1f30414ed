internal import EMV

/// Texts from cards, hosts and callers, made fit for the journal.
package enum StoredText {
    static let greatestLength = 500

    /// At most the first six and the last four digits of a card number, whatever was handed in; of numbers
    /// shorter than thirteen digits the last four.
    package static func maskedPAN(_ text: String) -> String {
        let characters = text.prefix(19)
        let head = characters.count >= 13 ? 6 : 0
        return String(
            characters.enumerated().map { index, character in
                let isShown = index < head || index >= characters.count - 4
                return isShown && character.isASCII && character.isNumber ? character : "*"
            })
    }

    /// Hexadecimal digits, at most `bytes` bytes of them, else masked: for identifiers and bit fields, which
    /// may look like card numbers without being any.
    static func hexadecimal(_ text: String, bytes: Int) -> String {
        text.utf8.count <= bytes * 2 && text.allSatisfy(\.isHexDigit) ? text : cleaned(text)
    }

    /// Without what looks like a card number or the track that follows one, without control characters (NUL would end
    /// the text in SQLite, others are obeyed by the terminal that shows it: `PlainText`), and not endless.
    ///
    /// A card number is a stretch of 13 to 19 digits, single spaces or hyphens among them allowed, that begins with
    /// 1 to 9 and has a right check digit (ISO/IEC 7812-1); it may lie within a longer run of digits, as in
    /// spelled-out TLV. Its first six and last four digits stay. After it a track goes on with `D`, `=` or
    /// `^` (ISO/IEC 7813): nothing of that stays.
    package static func cleaned(_ text: String) -> String {
        var characters = Array(PlainText.clean(String(text.prefix(greatestLength))))
        var index = 0
        while index < characters.count {
            guard digit(characters[index]) != nil else {
                index += 1
                continue
            }
            // The places of a run's digits.
            var places: [Int] = []
            var end = index
            while end < characters.count {
                if digit(characters[end]) != nil {
                    places.append(end)
                    end += 1
                } else if isGap(characters[end]), end + 1 < characters.count,
                    digit(characters[end + 1]) != nil
                {
                    end += 1
                } else {
                    break
                }
            }
            let numbers = numbers(places.map { digit(characters[$0]) ?? 0 })
            for number in numbers {
                for place in places[(number.lowerBound + 6)..<(number.upperBound - 4)] {
                    characters[place] = "*"
                }
            }
            if !numbers.isEmpty { end = maskTrack(&characters, from: end) }
            index = end
        }
        return String(characters)
    }

    /// Masks what follows a card number if it is the rest of a track.
    /// - Returns: where other text begins.
    private static func maskTrack(_ characters: inout [Character], from start: Int) -> Int {
        var end = start
        if end + 1 < characters.count, isGap(characters[end]) { end += 1 }
        guard end < characters.count, "D=d^".contains(characters[end]) else { return start }
        // Track 1 holds a name, with blanks, and ends with a question mark.
        let isTrack1 = characters[end] == "^"
        end += 1
        while end < characters.count {
            let character = characters[end]
            if isTrack1 ? character == "?" || character.isNewline : !character.isHexDigit {
                // Bytes spelled apart.
                guard !isTrack1, isGap(character), end + 2 < characters.count,
                    characters[end + 1].isHexDigit, characters[end + 2].isHexDigit,
                    end + 3 == characters.count || !characters[end + 3].isLetter
                else { break }
            } else {
                characters[end] = "*"
            }
            end += 1
        }
        return end
    }

    private static func digit(_ character: Character) -> UInt8? {
        guard let byte = character.asciiValue, (0x30...0x39).contains(byte) else { return nil }
        return byte - 0x30
    }

    private static func isGap(_ character: Character) -> Bool { character == " " || character == "-" }

    /// Where card numbers may lie in a run of digits.
    private static func numbers(_ digits: [UInt8]) -> [Range<Int>] {
        var found: [Range<Int>] = []
        for start in digits.indices where digits[start] != 0 {
            for length in 13...19 where start + length <= digits.count {
                if hasValidCheckDigit(digits[start..<(start + length)]) {
                    found.append(start..<(start + length))
                }
            }
        }
        return found
    }

    /// Luhn's check digit (ISO/IEC 7812-1, annex B).
    private static func hasValidCheckDigit(_ digits: ArraySlice<UInt8>) -> Bool {
        var sum = 0
        for (place, digit) in digits.reversed().enumerated() {
            let weighed = place.isMultiple(of: 2) ? Int(digit) : Int(digit) * 2
            sum += weighed > 9 ? weighed - 9 : weighed
        }
        return sum.isMultiple(of: 10)
    }
}
