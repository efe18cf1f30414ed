internal import BERTLV
internal import EMV

/// Hexadecimal digits as people copy them out of logs, dumps and other tools: with something before them or behind them.
public struct PastedHex: Sendable, Equatable {
    public let bytes: [UInt8]
    /// What was passed over, in words; nil where the text is digits alone.
    public let note: String?

    public init(bytes: [UInt8], note: String?) {
        self.bytes = bytes
        self.note = note
    }

    /// Finds the digits in one line: `9F0206...`, `0x9F 0x02`, `[+] <<<< 6A82`, `00000123 APDU: 00 A4 04 00`,
    /// `<- 90 00 (success)`, or a line of a hexadecimal dump with its offset and its characters. White space, `:`, `-` and `_`
    /// between digits are passed over.
    /// - Returns: nil where there are none in pairs.
    public init?(_ line: some StringProtocol) {
        let text = Self.trimmed(Substring(line))
        let whole = Self.digits(text)
        if let bytes = Hex.bytes(whole) {
            guard !bytes.isEmpty else { return nil }
            self.init(bytes: bytes, note: nil)
            return
        }
        if let dump = Self.dumpLine(text) {
            self.init(bytes: dump, note: "a line of a hexadecimal dump")
            return
        }
        guard let run = Self.run(in: text), let bytes = Hex.bytes(Self.digits(run)), !bytes.isEmpty else {
            return nil
        }
        var parts: [String] = []
        let before = Self.trimmed(text[..<run.startIndex])
        let behind = Self.trimmed(text[run.endIndex...])
        if !before.isEmpty { parts.append("after \"\(PlainText.clean(String(before.suffix(40))))\"") }
        if !behind.isEmpty { parts.append("before \"\(PlainText.clean(String(behind.prefix(40))))\"") }
        self.init(bytes: bytes, note: "the digits " + parts.joined(separator: " and "))
    }

    /// Without `0x` before the whole and before each part.
    private static func digits(_ text: Substring) -> String {
        guard text.contains("0x") || text.contains("0X") else { return String(text) }
        return text.split { $0.isWhitespace || $0 == "," || $0 == "{" || $0 == "}" }
            .map { $0.hasPrefix("0x") || $0.hasPrefix("0X") ? $0.dropFirst(2) : $0 }.joined(separator: " ")
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while let first = text.first, first.isWhitespace { text.removeFirst() }
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return text
    }

    private static func isHex(_ word: Substring) -> Bool {
        let digits = word.hasPrefix("0x") || word.hasPrefix("0X") ? word.dropFirst(2) : word
        return !digits.isEmpty
            && digits.allSatisfy { $0.isASCII && ($0.isHexDigit || $0 == ":" || $0 == "-" || $0 == "_") }
            && digits.contains { $0.isHexDigit }
    }

    /// `00000010  00 a4 04 00 0e 32 50 41  |.....2PA|`, also with a colon behind the offset and without the characters.
    private static func dumpLine(_ text: Substring) -> [UInt8]? {
        guard let space = text.firstIndex(where: \.isWhitespace) else { return nil }
        let hasColon = text[..<space].hasSuffix(":")
        let offset = hasColon ? text[..<text.index(before: space)] : text[..<space]
        guard (4...8).contains(offset.count), offset.allSatisfy({ $0.isASCII && $0.isHexDigit }) else {
            return nil
        }
        var rest = text[space...]
        let bar = rest.firstIndex(of: "|")
        if let bar { rest = rest[..<bar] }
        guard hasColon || bar != nil else { return nil }
        var bytes: [UInt8] = []
        // The characters of other dumps stand behind two spaces.
        var isFirst = true
        var blanks = 0
        var word = ""
        func take() -> Bool {
            guard !word.isEmpty else { return true }
            guard let next = Hex.bytes(word), next.count <= 4 else { return false }
            bytes += next
            word = ""
            return true
        }
        for character in rest {
            if character.isWhitespace {
                if !take() { return nil }
                blanks += 1
                continue
            }
            if blanks >= 2, !isFirst, bytes.count >= 1, bar == nil { break }
            isFirst = false
            blanks = 0
            word.append(character)
        }
        guard take(), (1...32).contains(bytes.count) else { return nil }
        return bytes
    }

    private static let arrows: Set<Substring> = ["<-", "->", "<--", "-->", "=>", "<="]
    /// What a remark begins with.
    private static let remarks: Set<Character> = ["(", "|", "#", ";", "/", "[", "<"]

    /// The longest run of words of digits behind a mark such as `:`, `<` or `]`, with nothing or a remark behind it: digits
    /// with a wrong one among them are none.
    private static func run(in text: Substring) -> Substring? {
        var runs: [(range: Range<Substring.Index>, count: Int)] = []
        var start: Substring.Index?
        var end = text.startIndex
        var count = 0
        var isMarked = false
        var last: Substring = ""
        func close(before next: Character?) {
            guard let start, isMarked, count > 0, count % 2 == 0, next.map({ remarks.contains($0) }) ?? true
            else {
                return
            }
            runs.append((start..<end, count))
        }
        var place = text.startIndex
        while place < text.endIndex {
            guard let from = text[place...].firstIndex(where: { !$0.isWhitespace }) else { break }
            let to = text[from...].firstIndex(where: \.isWhitespace) ?? text.endIndex
            place = to
            let word = text[from..<to]
            if isHex(word) {
                if start == nil {
                    start = from
                    count = 0
                    isMarked = last.last.map { ":<>=]|)".contains($0) } == true || arrows.contains(last)
                }
                count += (word.hasPrefix("0x") || word.hasPrefix("0X") ? word.dropFirst(2) : word).count {
                    $0.isHexDigit
                }
                end = to
                continue
            }
            close(before: word.first)
            start = nil
            last = word
            // `APDU:00A40400` and `<6A82>`: digits within a word, behind a mark.
            if let mark = word.lastIndex(where: { ":<=>]|".contains($0) }), word.index(after: mark) < to {
                let tail = word[word.index(after: mark)...]
                // A time of day is none.
                if isHex(tail), word[..<mark].contains(where: { !$0.isHexDigit && $0 != ":" }) {
                    start = tail.startIndex
                    end = to
                    count = tail.count { $0.isHexDigit }
                    isMarked = true
                }
            }
        }
        close(before: nil)
        return runs.max { $0.count < $1.count }.map { text[$0.range] }
    }

    /// Data objects behind a length, as field 55 of ISO 8583 has them: three digits in ASCII, two bytes in BCD, or one or
    /// two bytes.
    /// - Returns: what is behind the length, and how that is written; nil where nothing before the data is their length.
    public static func behindLength(_ bytes: [UInt8]) -> (data: [UInt8], note: String)? {
        func digits(_ bytes: ArraySlice<UInt8>) -> Int? {
            bytes.reduce(0) { sum, byte in
                guard let sum, (0x30...0x39).contains(byte) else { return nil }
                return sum * 10 + Int(byte - 0x30)
            }
        }
        func packed(_ bytes: ArraySlice<UInt8>) -> Int? { EMVDecoder.Session.decimal(bytes) }
        func binary(_ bytes: ArraySlice<UInt8>) -> Int? { bytes.reduce(0) { $0 << 8 | Int($1) } }
        let forms: [(count: Int, name: String, number: (ArraySlice<UInt8>) -> Int?)] = [
            (3, "three digits in ASCII", digits), (2, "two bytes in BCD", packed), (2, "two bytes", binary),
            (1, "one byte", binary), (1, "one byte in BCD", packed),
        ]
        for form in forms where bytes.count > form.count + 2 {
            let data = Array(bytes.dropFirst(form.count))
            if form.number(bytes.prefix(form.count)) == data.count, EMVDecoder.areKnownObjects(data) {
                return (data, "behind a length of \(data.count) bytes (\(form.name))")
            }
        }
        return nil
    }

    /// The same where the length is three decimal digits of the text: `149` and 298 digits.
    static func behindLength(digits text: String) -> (data: [UInt8], note: String)? {
        let digits = text.filter { $0.isASCII && $0.isHexDigit }
        guard digits.count % 2 == 1, let count = Int(digits.prefix(3)),
            let data = Hex.bytes(digits.dropFirst(3)),
            data.count == count, EMVDecoder.areKnownObjects(data)
        else { return nil }
        return (data, "behind a length of \(count) bytes (three digits)")
    }
}
