internal import BERTLV
internal import EMV
internal import EMVDictionary
public import ISO8583

/// A message as people copy it: hexadecimal digits, the characters of a message of text, with what another tool has written
/// before and behind. Which of the readings is meant is found out by reading each as a message.
public struct PastedMessage: Sendable, Equatable {
    public let bytes: [UInt8]
    /// How the text was read, for people: `hexadecimal digits`, `text`.
    public let reading: String

    public init(bytes: [UInt8], reading: String) {
        self.bytes = bytes
        self.reading = reading
    }

    /// Everything that a line may stand for, the likeliest first: its hexadecimal digits, with what other tools write around
    /// them passed over, then its characters. Digits alone may be both.
    /// - Returns: empty where the line has neither.
    public static func readings(_ line: String) -> [PastedMessage] {
        var found: [PastedMessage] = []
        func add(_ bytes: [UInt8], _ reading: String) {
            guard !bytes.isEmpty, !found.contains(where: { $0.bytes == bytes }) else { return }
            found.append(PastedMessage(bytes: bytes, reading: reading))
        }
        let text = line.trimmed
        if let pasted = PastedHex(text) {
            add(pasted.bytes, pasted.note.map { "hexadecimal digits (\($0))" } ?? "hexadecimal digits")
        }
        for start in starts(text) {
            let part = text[start...]
            // Fields may end in spaces, which a line has at its end.
            let whole = start == text.startIndex ? Substring(line.drop { $0 == " " }) : part
            let note =
                start == text.startIndex
                ? "" : " (after \"\(PlainText.clean(String(text[..<start].suffix(40))).trimmed)\")"
            for candidate in Set([whole, part]).sorted(by: { $0.utf8.count < $1.utf8.count }) {
                add(latin1(candidate), "text\(note)")
            }
        }
        return found
    }

    /// Where a message of text may begin, at the line's first character or at a word: where four digits are followed by the
    /// hexadecimal digits of a bitmap, or a literal header or a length stands before those.
    private static func starts(_ text: String) -> [String.Index] {
        guard text.unicodeScalars.allSatisfy({ $0.value < 0x100 && $0.value >= 0x20 }) else { return [] }
        let bytes = Array(text.unicodeScalars.map { UInt8($0.value) })
        func isDigit(_ place: Int) -> Bool {
            bytes.indices.contains(place) && (0x30...0x39).contains(bytes[place])
        }
        func isHex(_ place: Int) -> Bool {
            bytes.indices.contains(place)
                && (isDigit(place) || (0x41...0x46).contains(bytes[place])
                    || (0x61...0x66).contains(bytes[place]))
        }
        func isMessage(_ place: Int) -> Bool {
            (place..<(place + 4)).allSatisfy(isDigit) && (place + 4..<place + 20).allSatisfy(isHex)
        }
        var places: [Int] = []
        for place in bytes.indices.prefix(120) {
            // Behind a space or a mark such as a colon or a quote.
            let isBoundary =
                place == 0
                || [0x20, 0x3A, 0x3D, 0x3E, 0x5D, 0x22, 0x27, 0x5B].contains(bytes[place - 1])
            guard isBoundary else { continue }
            let isLiteral =
                bytes[place...].starts(with: "ISO".utf8) && (place + 3..<place + 12).allSatisfy(isDigit)
            // A length of four digits or hexadecimal digits, or none.
            if isLiteral || isMessage(place) || isMessage(place + 4) {
                places.append(place)
            }
        }
        let indices = Array(text.indices)
        return places.filter { indices.indices.contains($0) }.map { indices[$0] }
    }

    /// The messages of a text of many lines: one a line, but for a hexadecimal dump, whose lines are one message. Empty lines
    /// and those that begin with # are passed over.
    /// - Returns: each message's first line, from 1, and what it may stand for; empty where a line stands for nothing.
    public static func messages(in text: String) -> [(line: Int, readings: [PastedMessage])] {
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated()
            .compactMap {
                offset, line -> (line: Int, text: String)? in
                let text = String(line)
                let isSkipped = text.allSatisfy { $0 == " " || $0 == "\t" } || text.trimmed.hasPrefix("#")
                return isSkipped ? nil : (offset + 1, text)
            }
        let pasted = lines.map { PastedHex($0.text) }
        let dump = "a line of a hexadecimal dump"
        if lines.count > 1, let first = lines.first, pasted.allSatisfy({ $0?.note == dump }) {
            let bytes = pasted.flatMap { $0?.bytes ?? [] }
            return [(first.line, [PastedMessage(bytes: bytes, reading: "a hexadecimal dump")])]
        }
        return lines.map { ($0.line, readings($0.text)) }
    }

    private static func latin1(_ text: Substring) -> [UInt8] {
        text.unicodeScalars.compactMap { $0.value < 0x100 ? UInt8($0.value) : nil }
    }

    /// Framings in which messages are seen in logs and on lines; nil is a bare message.
    public static let usualFramings: [Framing?] = [
        nil, Framing(.binary(2)), Framing(.binary(2), header: .tpdu), Framing(.ascii(4)), Framing(.binary(4)),
        Framing(.binary(2), countsItself: true), Framing(.bcd), Framing(.bcd, header: .tpdu),
        // Without the length, as logs have them: a TPDU, the literal ISO and nine digits.
        Framing(.none, header: .tpdu), Framing(.none, header: .fixed(12)),
        Framing(.binary(2), gap: 2), Framing(.binary(2), gap: 2, header: .fixed(22)), Framing(.hex(4)),
        Framing(.hex(4), header: .tpdu), Framing(.ascii(4), header: .fixed(12)), Framing(.none, trailer: [3]),
        Framing(.binary(2), trailer: [3]), Framing(.binary(2), header: .fixed(12)),
    ]
}

extension Framing {
    /// Whether the header of a frame is what the framing says, as far as that can be seen: a TPDU begins with 60, a literal
    /// header of twelve characters with ISO.
    public func fitsHeader(_ content: [UInt8]) -> Bool {
        switch header {
        case .none: true
        case .tpdu: content.first == 0x60
        case .fixed(12): content.starts(with: "ISO".utf8) || length != .none
        case .fixed: true
        }
    }
}
