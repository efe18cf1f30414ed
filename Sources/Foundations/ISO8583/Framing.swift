/// How messages follow each other on a connection: a length, perhaps a header, the message, perhaps a trailer.
public struct Framing: Sendable, Equatable, CustomStringConvertible {
    /// How the length is written.
    public enum Length: Sendable, Equatable {
        /// So many bytes, most significant first: 2 or 4.
        case binary(Int)
        /// So many ASCII digits: 2...8.
        case ascii(Int)
        /// So many hexadecimal digits in ASCII: 2...8.
        case hex(Int)
        /// Four digits in two bytes.
        case bcd
        /// No length: a trailer ends the message, or nothing does.
        case none
    }
    /// What stands between the length and the message type.
    public enum Header: Sendable, Equatable {
        case none
        /// Transport Protocol Data Unit: an identifier (60), destination and source, two bytes each.
        case tpdu
        /// So many bytes that are not interpreted.
        case fixed(Int)

        public var count: Int {
            switch self {
            case .none: 0
            case .tpdu: 5
            case .fixed(let count): count
            }
        }
    }
    public var length: Length
    /// Whether the length counts its own bytes.
    public var countsItself: Bool
    /// Bytes after the length that it does not count, such as those that stand for formats or platforms: written as zeros,
    /// not interpreted.
    public var gap: Int
    public var header: Header
    /// What ends each message, such as ETX (03); counted by the length. Empty where nothing does.
    public var trailer: [UInt8]

    public init(
        _ length: Length = .binary(2), countsItself: Bool = false, gap: Int = 0, header: Header = .none,
        trailer: [UInt8] = []
    ) {
        self.length = length
        self.countsItself = countsItself
        self.gap = gap
        self.header = header
        self.trailer = trailer
    }

    /// What may be written, for errors and help.
    public static let syntax =
        "\"2-byte\", \"4-byte\", \"bcd\", \"ascii-4\", \"hex-4\" or \"none\", then \"+self\", \"gap N\", \"tpdu\" or \"header N\", and \"trailer HEX\" where needed"

    /// Reads a length: `2-byte`, `4-byte`, `ascii-4` (2...8 digits), `hex-4` (2...8 hexadecimal digits), `bcd`, or `none`;
    /// then, in this order and where they are needed, `+self` where the length counts itself, `gap N` for bytes behind it
    /// that it does not count, `tpdu` or `header N`, and `trailer HEX` of up to eight bytes: `2-byte tpdu`,
    /// `ascii-4 +self header 12`, `2-byte gap 2 header 22`, `none header 12 trailer 03`. `none` needs something else.
    public init?(_ text: String) {
        var words = text.split(separator: " ")[...]
        func digits(_ word: Substring, _ prefix: String) -> Int? {
            guard word.hasPrefix(prefix), let count = Int(word.dropFirst(prefix.count)),
                (2...8).contains(count)
            else { return nil }
            return count
        }
        switch words.popFirst() {
        case "2-byte": length = .binary(2)
        case "4-byte": length = .binary(4)
        case "bcd": length = .bcd
        case "none": length = .none
        case let word?:
            if let count = digits(word, "ascii-") {
                length = .ascii(count)
            } else if let count = digits(word, "hex-") {
                length = .hex(count)
            } else {
                return nil
            }
        case nil: return nil
        }
        func number(_ most: Int) -> Int? {
            guard let word = words.popFirst(), let count = Int(word), (1...most).contains(count) else {
                return nil
            }
            return count
        }
        countsItself = words.first == "+self"
        if countsItself { words.removeFirst() }
        gap = 0
        if words.first == "gap" {
            words.removeFirst()
            guard let count = number(16) else { return nil }
            gap = count
        }
        header = .none
        switch words.first {
        case "tpdu":
            words.removeFirst()
            header = .tpdu
        case "header":
            words.removeFirst()
            guard let count = number(255) else { return nil }
            header = .fixed(count)
        default: break
        }
        trailer = []
        if words.first == "trailer" {
            words.removeFirst()
            guard let word = words.popFirst(), let bytes = Self.bytes(word), (1...8).contains(bytes.count)
            else {
                return nil
            }
            trailer = bytes
        }
        guard words.isEmpty else { return nil }
        guard length != .none || !countsItself && gap == 0 && (header != .none || !trailer.isEmpty) else {
            return nil
        }
    }

    private static func bytes(_ text: Substring) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count % 2 == 0 else { return nil }
        var result: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = Dialect.hexDigit(digits[index]), let low = Dialect.hexDigit(digits[index + 1])
            else {
                return nil
            }
            result.append(high << 4 | low)
        }
        return result
    }

    public var description: String {
        var text =
            switch length {
            case .binary(let count): "\(count)-byte"
            case .ascii(let digits): "ascii-\(digits)"
            case .hex(let digits): "hex-\(digits)"
            case .bcd: "bcd"
            case .none: "none"
            }
        if countsItself { text += " +self" }
        if gap > 0 { text += " gap \(gap)" }
        switch header {
        case .none: break
        case .tpdu: text += " tpdu"
        case .fixed(let count): text += " header \(count)"
        }
        if !trailer.isEmpty { text += " trailer " + Masking.hex(trailer[...]) }
        return text
    }

    /// Bytes that the length takes.
    public var lengthCount: Int {
        switch length {
        case .binary(let count): count
        case .ascii(let digits), .hex(let digits): digits
        case .bcd: 2
        case .none: 0
        }
    }

    /// Bytes before the header.
    public var prefixCount: Int { lengthCount + gap }

    /// Whether messages on a connection can be told apart: by a length or by what ends them.
    public var isDelimited: Bool { length != .none || !trailer.isEmpty }

    /// The greatest number that the length can hold.
    public var most: Int {
        switch length {
        case .binary(let count): count >= 4 ? Int(UInt32.max) : 0xFFFF
        case .ascii(let digits): (1..<digits).reduce(9) { sum, _ in sum * 10 + 9 }
        case .hex(let digits): 1 << (digits * 4) - 1
        case .bcd: 9999
        case .none: Int(UInt32.max)
        }
    }

    /// The length and the gap before `content` (header and message), the trailer behind it.
    /// - Throws: `FramingError.tooLong`, `.trailerInside` where the message holds what ends it.
    public func frame(_ content: [UInt8]) throws(FramingError) -> [UInt8] {
        let number = content.count + trailer.count + (countsItself ? lengthCount : 0)
        guard number <= most else { throw .tooLong(number, most: most) }
        if length == .none, !trailer.isEmpty, Self.firstIndex(of: trailer, in: content[...]) != nil {
            throw .trailerInside
        }
        var output: [UInt8] = []
        output.reserveCapacity(content.count + prefixCount + trailer.count)
        switch length {
        case .binary(let count):
            for index in stride(from: count - 1, through: 0, by: -1) {
                output.append(UInt8(truncatingIfNeeded: number >> (index * 8)))
            }
        case .ascii(let digits): Dialect.writeLength(number, digits, .ascii, &output)
        case .hex(let digits):
            for index in stride(from: digits - 1, through: 0, by: -1) {
                output.append(Dialect.hexCharacter(UInt8(truncatingIfNeeded: number >> (index * 4) & 0x0F)))
            }
        case .bcd: Dialect.writeLength(number, 4, .bcd, &output)
        case .none: break
        }
        output.append(contentsOf: repeatElement(0, count: gap))
        output += content
        output += trailer
        return output
    }

    /// Header and message of one whole frame, such as somebody has copied; also of a framing that tells messages on a
    /// connection apart by nothing.
    /// - Throws: `FramingError` where `frame` is none, or more than one.
    public func content(of frame: [UInt8]) throws(FramingError) -> [UInt8] {
        guard isDelimited else {
            guard frame.count > header.count else { throw .badLength }
            return frame
        }
        var reader = FrameReader(self, limit: max(frame.count, 1))
        reader.append(frame)
        guard let content = try reader.next(), reader.pending == 0 else { throw .badLength }
        return content
    }

    static func firstIndex(of pattern: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
        guard let first = pattern.first else { return nil }
        var place = bytes.startIndex
        while let next = bytes[place...].firstIndex(of: first) {
            guard next + pattern.count <= bytes.endIndex else { return nil }
            if bytes[next..<(next + pattern.count)].elementsEqual(pattern) { return next }
            place = next + 1
        }
        return nil
    }

    /// The number that a length field holds; nil for anything that is no number.
    func number(_ bytes: ArraySlice<UInt8>) -> Int? {
        switch length {
        case .binary: return bytes.reduce(0) { $0 << 8 | Int($1) }
        case .ascii: return SubfieldLayout.number(bytes)
        case .hex:
            var value = 0
            for byte in bytes {
                guard let digit = Dialect.hexDigit(byte) else { return nil }
                value = value << 4 | Int(digit)
            }
            return value
        case .none: return nil
        case .bcd:
            var value = 0
            for byte in bytes {
                guard byte >> 4 <= 9, byte & 0x0F <= 9 else { return nil }
                value = value * 100 + Int(byte >> 4) * 10 + Int(byte & 0x0F)
            }
            return value
        }
    }

    /// The header of the answer to a message that came with `header`: a TPDU goes back with destination and source
    /// exchanged, another header goes back as it came.
    public func answerHeader(to header: [UInt8]) -> [UInt8] {
        guard self.header == .tpdu, header.count == 5 else { return header }
        return [header[0], header[3], header[4], header[1], header[2]]
    }
}

public enum FramingError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The message is longer than the length can say.
    case tooLong(Int, most: Int)
    /// The length is no number, or counts less than itself and the header.
    case badLength
    /// A message does not end as the framing says.
    case noTrailer
    /// A message holds the bytes that end messages.
    case trailerInside
    /// The other side announces more than is taken; where nothing is announced, it has sent one byte more at least.
    case exceedsLimit(Int, most: Int)

    public var description: String {
        switch self {
        case .tooLong(let count, let most): "\(count) bytes; the length can say at most \(most)"
        case .badLength: "the length before the message is not a number or too small"
        case .noTrailer: "the message does not end with its trailer"
        case .trailerInside: "the message holds the bytes that end messages: this framing cannot carry it"
        case .exceedsLimit(let count, let most):
            "a message of \(count) bytes is announced; at most \(most) are taken"
        }
    }
}

/// Cuts what a connection brings into messages. After an error the stream cannot be read on: close it.
public struct FrameReader: Sendable {
    public let framing: Framing
    /// The longest header and message that is taken.
    public let limit: Int
    private var buffer: [UInt8] = []
    private var start = 0
    /// Up to here no trailer begins.
    private var searched = 0

    public init(_ framing: Framing, limit: Int = 16_384) {
        self.framing = framing
        self.limit = limit
    }

    /// Bytes that wait for the rest of their message.
    public var pending: Int { buffer.count - start }

    public mutating func append(_ bytes: some Sequence<UInt8>) { buffer.append(contentsOf: bytes) }

    /// The next header and message; nil where more bytes are needed. Messages of length zero, which some hosts send to
    /// keep a connection open, are passed over.
    /// - Throws: `FramingError`.
    public mutating func next() throws(FramingError) -> [UInt8]? {
        if framing.length == .none { return try nextTrailed() }
        while buffer.count - start >= framing.prefixCount {
            let head = buffer[start..<(start + framing.lengthCount)]
            guard var count = framing.number(head) else { throw .badLength }
            if framing.countsItself {
                if count != 0 { count -= framing.lengthCount }
                guard count >= 0 else { throw .badLength }
            }
            guard count <= limit else { throw .exceedsLimit(count, most: limit) }
            let begin = start + framing.prefixCount
            if count == 0 {
                start = begin
                continue
            }
            guard count > framing.header.count + framing.trailer.count else { throw .badLength }
            guard buffer.count - begin >= count else { break }
            let end = begin + count - framing.trailer.count
            guard buffer[end..<(begin + count)].elementsEqual(framing.trailer) else { throw .noTrailer }
            defer { compact() }
            start = begin + count
            return Array(buffer[begin..<end])
        }
        compact()
        return nil
    }

    /// The next message that a trailer ends; nothing between two trailers is passed over.
    private mutating func nextTrailed() throws(FramingError) -> [UInt8]? {
        let trailer = framing.trailer
        while let end = Framing.firstIndex(of: trailer, in: buffer[max(start, searched)...]) {
            let begin = start
            start = end + trailer.count
            searched = start
            if end == begin { continue }
            guard end - begin <= limit else { throw .exceedsLimit(limit + 1, most: limit) }
            guard end - begin > framing.header.count else { throw .badLength }
            defer { compact() }
            return Array(buffer[begin..<end])
        }
        // The trailer may have begun.
        searched = max(start, buffer.count - max(0, trailer.count - 1))
        guard pending - trailer.count <= limit else { throw .exceedsLimit(limit + 1, most: limit) }
        compact()
        return nil
    }

    private mutating func compact() {
        guard start > 0, start == buffer.count || start > 4096 else { return }
        buffer.removeFirst(start)
        searched = max(0, searched - start)
        start = 0
    }
}
