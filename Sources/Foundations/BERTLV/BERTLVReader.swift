/// What is wrong with a BER-TLV encoding, and where. Offsets count bytes from the start of the whole
/// input (`baseOffset` of the reader included).
public enum BERTLVError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The input ends inside a tag, which starts at `offset`.
    case truncatedTag(offset: Int)
    /// The tag at `offset` has more than four bytes.
    case tagTooLong(offset: Int)
    /// The input ends inside the length field of `tag`, which starts at `offset`.
    case truncatedLength(tag: Tag, offset: Int)
    /// The indefinite form (80) or a length field of more than four bytes, which EMV does not allow.
    case unsupportedLength(tag: Tag, offset: Int, leadingByte: UInt8)
    /// `tag` at `offset` declares `declared` bytes where only `available` are left.
    case valueTooShort(tag: Tag, offset: Int, declared: Int, available: Int)
    /// Templates nested deeper than `limit`.
    case nestedTooDeep(tag: Tag, offset: Int, limit: Int)

    public var description: String {
        switch self {
        case .truncatedTag(let offset):
            "offset \(offset): the data ends inside a tag"
        case .tagTooLong(let offset):
            "offset \(offset): a tag of more than four bytes"
        case .truncatedLength(let tag, let offset):
            "tag \(tag) at offset \(offset): the data ends inside its length"
        case .unsupportedLength(let tag, let offset, let byte):
            "tag \(tag) at offset \(offset): length form \(String(byte, radix: 16, uppercase: true)) is not allowed"
        case .valueTooShort(let tag, let offset, let declared, let available):
            "tag \(tag) at offset \(offset): its length says \(declared) bytes, \(available) are left"
        case .nestedTooDeep(let tag, let offset, let limit):
            "tag \(tag) at offset \(offset): templates nested deeper than \(limit)"
        }
    }
}

/// One data object as found by `BERTLVReader`: its tag and where its bytes lie. Holds no bytes.
public struct TLVElement: Equatable, Sendable {
    public let tag: Tag
    /// Offset of the first tag byte in the reader's span.
    public let start: Int
    /// The value's bytes in the reader's span.
    public let value: Range<Int>

    @inlinable public init(tag: Tag, start: Int, value: Range<Int>) {
        self.tag = tag
        self.start = start
        self.value = value
    }

    /// Tag, length and value together.
    @inlinable public var whole: Range<Int> { start..<value.upperBound }
}

/// Reads a sequence of BER-TLV data objects from a span, one element a call, without allocating.
///
///     var reader = BERTLVReader(response.span)
///     while let element = try reader.next() {
///         if element.tag == 0x6F { var template = reader.nested(element); ... }
///     }
///
/// Source: EMV Book 3, Annex B (definite lengths only). Padding bytes 00 and FF before, between and
/// after data objects are skipped where `padding` says so (Book 3, Annex B1 allows 00; FF is met in
/// records of older cards).
public struct BERTLVReader: ~Escapable {
    /// Which padding bytes are passed over between data objects.
    public enum Padding: Sendable {
        case none, zeros, zerosAndFF
    }

    @usableFromInline let bytes: Span<UInt8>
    @usableFromInline var offset: Int
    @usableFromInline let end: Int
    @usableFromInline let padding: Padding

    /// - Parameters:
    ///   - bytes: the whole input.
    ///   - range: the part of it to read; the whole where nil. Offsets in results and errors stay those
    ///     of `bytes`.
    @inlinable @_lifetime(copy bytes)
    public init(_ bytes: Span<UInt8>, in range: Range<Int>? = nil, padding: Padding = .zeros) {
        self.bytes = bytes
        let limits = 0..<bytes.count
        let part = range?.clamped(to: limits) ?? limits
        self.offset = part.lowerBound
        self.end = part.upperBound
        self.padding = padding
    }

    /// Offset of the next byte to read.
    @inlinable public var position: Int { offset }

    /// A reader over the inside of a constructed element.
    @inlinable @_lifetime(copy self)
    public func nested(_ element: TLVElement) -> BERTLVReader {
        BERTLVReader(bytes, in: element.value, padding: padding)
    }

    /// The value bytes of an element.
    @inlinable @_lifetime(copy self)
    public func value(_ element: TLVElement) -> Span<UInt8> {
        bytes.extracting(element.value)
    }

    /// The next data object, or nil at the end.
    /// - Throws: `BERTLVError`; the reader is then at its end.
    @inlinable @_lifetime(self: copy self)
    public mutating func next() throws(BERTLVError) -> TLVElement? {
        if padding != .none {
            while offset < end {
                let byte = bytes[unchecked: offset]
                guard byte == 0x00 || (byte == 0xFF && padding == .zerosAndFF) else { break }
                offset &+= 1
            }
        }
        guard offset < end else { return nil }
        let start = offset
        // offset < end <= bytes.count is checked before each unchecked access below.
        var rawTag = UInt32(bytes[unchecked: offset])
        offset &+= 1
        if rawTag & 0x1F == 0x1F {
            var tagBytes = 1
            while true {
                guard offset < end else { throw fail(.truncatedTag(offset: start)) }
                guard tagBytes < 4 else { throw fail(.tagTooLong(offset: start)) }
                let byte = bytes[unchecked: offset]
                offset &+= 1
                tagBytes &+= 1
                rawTag = rawTag << 8 | UInt32(byte)
                if byte & 0x80 == 0 { break }
            }
        }
        let tag = Tag(rawTag)
        guard offset < end else { throw fail(.truncatedLength(tag: tag, offset: start)) }
        let first = bytes[unchecked: offset]
        offset &+= 1
        var length = Int(first)
        if first & 0x80 != 0 {
            let count = Int(first & 0x7F)
            guard (1...4).contains(count) else {
                throw fail(.unsupportedLength(tag: tag, offset: start, leadingByte: first))
            }
            guard end &- offset >= count else {
                throw fail(.truncatedLength(tag: tag, offset: start))
            }
            length = 0
            for _ in 0..<count {
                length = length << 8 | Int(bytes[unchecked: offset])
                offset &+= 1
            }
        }
        guard length <= end &- offset else {
            throw fail(
                .valueTooShort(tag: tag, offset: start, declared: length, available: end &- offset))
        }
        let value = Range(uncheckedBounds: (offset, offset &+ length))
        offset &+= length
        return TLVElement(tag: tag, start: start, value: value)
    }

    @inlinable @_lifetime(self: copy self)
    mutating func fail(_ error: BERTLVError) -> BERTLVError {
        offset = end
        return error
    }
}

extension BERTLVReader {
    /// The first element with `tag` at this level, not looking into templates.
    @inlinable
    public static func first(
        _ tag: Tag, in bytes: Span<UInt8>, range: Range<Int>? = nil
    ) throws(BERTLVError) -> TLVElement? {
        var reader = BERTLVReader(bytes, in: range)
        while let element = try reader.next() {
            if element.tag == tag { return element }
        }
        return nil
    }
}

/// A data object and, for a template, the data objects inside: for tools that show or edit a whole
/// encoding. Parsers on the hot path use `BERTLVReader`.
public struct TLVNode: Equatable, Sendable {
    public var tag: Tag
    /// Offset of the first tag byte in the input.
    public var offset: Int
    public var content: Content

    public enum Content: Equatable, Sendable {
        case primitive([UInt8])
        case constructed([TLVNode])
    }

    /// - Parameter offset: 0 for nodes that come from no input.
    public init(tag: Tag, offset: Int = 0, content: Content) {
        self.tag = tag
        self.offset = offset
        self.content = content
    }

    /// Reads a whole encoding as a tree.
    /// - Throws: `BERTLVError`, also `.nestedTooDeep` beyond 16 levels.
    public static func parse(
        _ bytes: [UInt8], padding: BERTLVReader.Padding = .zeros
    ) throws(BERTLVError) -> [TLVNode] {
        try parse(bytes, 0..<bytes.count, padding, 0)
    }

    static func parse(
        _ bytes: [UInt8], _ range: Range<Int>, _ padding: BERTLVReader.Padding, _ depth: Int
    ) throws(BERTLVError) -> [TLVNode] {
        var nodes: [TLVNode] = []
        var reader = BERTLVReader(bytes.span, in: range, padding: padding)
        while let element = try reader.next() {
            if element.tag.isConstructed {
                guard depth < 16 else {
                    throw .nestedTooDeep(tag: element.tag, offset: element.start, limit: 16)
                }
                let inside = try parse(bytes, element.value, padding, depth + 1)
                nodes.append(
                    TLVNode(tag: element.tag, offset: element.start, content: .constructed(inside)))
            } else {
                nodes.append(
                    TLVNode(
                        tag: element.tag, offset: element.start,
                        content: .primitive(Array(bytes[element.value]))))
            }
        }
        return nodes
    }
}
