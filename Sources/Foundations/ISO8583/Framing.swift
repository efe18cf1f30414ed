/// How messages follow each other on a connection: a length, perhaps a header, the message.
public struct Framing: Sendable, Equatable, CustomStringConvertible {
    /// How the length is written.
    public enum Length: Sendable, Equatable {
        /// So many bytes, most significant first: 2 or 4.
        case binary(Int)
        /// So many ASCII digits: 2...8.
        case ascii(Int)
        /// Four digits in two bytes.
        case bcd
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
    public var header: Header

    public init(_ length: Length = .binary(2), countsItself: Bool = false, header: Header = .none) {
        self.length = length
        self.countsItself = countsItself
        self.header = header
    }

    /// Reads `2-byte`, `4-byte`, `ascii-4` (2...8 digits) or `bcd`, then `+self` where the length counts itself, `tpdu`
    /// or `header N`: `2-byte tpdu`, `ascii-4 +self header 12`.
    public init?(_ text: String) {
        var words = text.split(separator: " ")[...]
        switch words.popFirst() {
        case "2-byte": length = .binary(2)
        case "4-byte": length = .binary(4)
        case "bcd": length = .bcd
        case let word? where word.hasPrefix("ascii-"):
            guard let digits = Int(word.dropFirst(6)), (2...8).contains(digits) else { return nil }
            length = .ascii(digits)
        default: return nil
        }
        countsItself = words.first == "+self"
        if countsItself { words.removeFirst() }
        header = .none
        switch words.popFirst() {
        case nil: break
        case "tpdu": header = .tpdu
        case "header":
            guard let word = words.popFirst(), let count = Int(word), (1...255).contains(count) else {
                return nil
            }
            header = .fixed(count)
        default: return nil
        }
        guard words.isEmpty else { return nil }
    }

    public var description: String {
        var text =
            switch length {
            case .binary(let count): "\(count)-byte"
            case .ascii(let digits): "ascii-\(digits)"
            case .bcd: "bcd"
            }
        if countsItself { text += " +self" }
        switch header {
        case .none: break
        case .tpdu: text += " tpdu"
        case .fixed(let count): text += " header \(count)"
        }
        return text
    }

    /// Bytes that the length takes.
    public var lengthCount: Int {
        switch length {
        case .binary(let count): count
        case .ascii(let digits): digits
        case .bcd: 2
        }
    }

    /// The greatest number that the length can hold.
    public var most: Int {
        switch length {
        case .binary(let count): count >= 4 ? Int(UInt32.max) : 0xFFFF
        case .ascii(let digits): (1..<digits).reduce(9) { sum, _ in sum * 10 + 9 }
        case .bcd: 9999
        }
    }

    /// The length before `content` (header and message).
    /// - Throws: `FramingError.tooLong`.
    public func frame(_ content: [UInt8]) throws(FramingError) -> [UInt8] {
        let number = content.count + (countsItself ? lengthCount : 0)
        guard number <= most else { throw .tooLong(number, most: most) }
        var output: [UInt8] = []
        output.reserveCapacity(content.count + lengthCount)
        switch length {
        case .binary(let count):
            for index in stride(from: count - 1, through: 0, by: -1) {
                output.append(UInt8(truncatingIfNeeded: number >> (index * 8)))
            }
        case .ascii(let digits): Dialect.writeLength(number, digits, .ascii, &output)
        case .bcd: Dialect.writeLength(number, 4, .bcd, &output)
        }
        output += content
        return output
    }

    /// The number that a length field holds; nil for anything that is no number.
    func number(_ bytes: ArraySlice<UInt8>) -> Int? {
        switch length {
        case .binary: return bytes.reduce(0) { $0 << 8 | Int($1) }
        case .ascii: return SubfieldLayout.number(bytes)
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
    /// The other side announces more than is taken.
    case exceedsLimit(Int, most: Int)

    public var description: String {
        switch self {
        case .tooLong(let count, let most): "\(count) bytes; the length can say at most \(most)"
        case .badLength: "the length before the message is not a number or too small"
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
        while buffer.count - start >= framing.lengthCount {
            let head = buffer[start..<(start + framing.lengthCount)]
            guard var count = framing.number(head) else { throw .badLength }
            if framing.countsItself {
                if count != 0 { count -= framing.lengthCount }
                guard count >= 0 else { throw .badLength }
            }
            guard count <= limit else { throw .exceedsLimit(count, most: limit) }
            let begin = start + framing.lengthCount
            if count == 0 {
                start = begin
                continue
            }
            guard count > framing.header.count else { throw .badLength }
            guard buffer.count - begin >= count else { break }
            defer { compact() }
            start = begin + count
            return Array(buffer[begin..<(begin + count)])
        }
        compact()
        return nil
    }

    private mutating func compact() {
        guard start > 0, start == buffer.count || start > 4096 else { return }
        buffer.removeFirst(start)
        start = 0
    }
}
