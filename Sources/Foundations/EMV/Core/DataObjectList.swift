public import BERTLV

/// What is wrong with a Data Object List or an Application File Locator.
public enum DataFormatError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A DOL that ends inside a tag or lacks a length byte.
    case malformedDataObjectList(tag: Tag, offset: Int)
    /// An AFL that is empty or not a multiple of four bytes long.
    case fileLocatorLength(Int)
    /// An AFL entry with SFI 0 or 31, first record 0, last before first, or more records for offline data
    /// authentication than the entry has (EMV Book 3, 10.2).
    case fileLocatorEntry(index: Int, bytes: [UInt8])

    public var description: String {
        switch self {
        case .malformedDataObjectList(let tag, let offset):
            "DOL (tag \(tag)): malformed at offset \(offset)"
        case .fileLocatorLength(let count):
            "AFL of \(count) bytes: must be a multiple of 4, and not empty"
        case .fileLocatorEntry(let index, let bytes):
            "AFL entry \(index) (\(Hex.string(bytes))) names no valid records"
        }
    }
}

/// A Data Object List: PDOL, CDOL1, CDOL2, DDOL, TDOL, UDOL (EMV Book 3, 5.4).
public enum DataObjectList {
    /// One wish of a DOL: a tag and the number of bytes wanted.
    public struct Entry: Equatable, Sendable {
        public let tag: Tag
        /// 0...252 (one length byte).
        public let length: Int
        public init(tag: Tag, length: Int) {
            self.tag = tag
            self.length = length
        }
    }

    /// Reads the entry at `offset` and moves past it.
    /// - Throws: `.malformedDataObjectList`, naming `name` (the DOL's own tag).
    @inline(__always)
    static func entry(
        of list: Span<UInt8>, at offset: inout Int, name: Tag
    ) throws(DataFormatError) -> Entry {
        let start = offset
        var raw = UInt32(list[offset])
        offset += 1
        if raw & 0x1F == 0x1F {
            var count = 1
            while true {
                guard offset < list.count, count < 4 else {
                    throw .malformedDataObjectList(tag: name, offset: start)
                }
                let byte = list[offset]
                offset += 1
                count += 1
                raw = raw << 8 | UInt32(byte)
                if byte & 0x80 == 0 { break }
            }
        }
        guard offset < list.count else {
            throw .malformedDataObjectList(tag: name, offset: start)
        }
        defer { offset += 1 }
        return Entry(tag: Tag(raw), length: Int(list[offset]))
    }

    /// All entries of a DOL whose own tag is `name`.
    /// - Throws: `.malformedDataObjectList`.
    public static func entries(_ list: Span<UInt8>, name: Tag) throws(DataFormatError) -> [Entry] {
        var result: [Entry] = []
        var offset = 0
        while offset < list.count { result.append(try entry(of: list, at: &offset, name: name)) }
        return result
    }

    /// The same of any collection of bytes.
    @inlinable public static func entries(
        _ list: some Collection<UInt8>, name: Tag
    ) throws(DataFormatError) -> [Entry] {
        try entries(Array(list).span, name: name)
    }

    /// Whether a DOL is made of whole entries.
    public static func isWellFormed(_ list: Span<UInt8>) -> Bool {
        var offset = 0
        while offset < list.count {
            // The name is for the error's words alone.
            guard (try? entry(of: list, at: &offset, name: 0x9F38)) != nil else { return false }
        }
        return true
    }

    /// Whether a DOL asks for a tag.
    /// - Throws: `.malformedDataObjectList`.
    public static func contains(
        _ tag: Tag, in list: Span<UInt8>, name: Tag
    ) throws(DataFormatError) -> Bool {
        var offset = 0
        var found = false
        while offset < list.count {
            if try entry(of: list, at: &offset, name: name).tag == tag { found = true }
        }
        return found
    }

    /// The bytes that answer a DOL from the data objects given (EMV Book 3, 5.4): absent objects,
    /// constructed tags and objects of a class the terminal does not know as zeros; longer values cut
    /// (format n on the left, others on the right); shorter ones padded (n with zeros on the left, cn
    /// with FF on the right, others with zeros on the right).
    /// - Throws: `.malformedDataObjectList`.
    public static func fill(
        _ list: Span<UInt8>, name: Tag, from objects: borrowing DataObjects,
        into output: inout [UInt8]
    ) throws(DataFormatError) {
        var offset = 0
        while offset < list.count {
            let entry = try entry(of: list, at: &offset, name: name)
            append(entry.tag, length: entry.length, from: objects, to: &output)
        }
    }

    /// The bytes that answer one wish, as `fill` does for all.
    public static func append(
        _ entry: Entry, from objects: borrowing DataObjects, to output: inout [UInt8]
    ) {
        append(entry.tag, length: entry.length, from: objects, to: &output)
    }

    /// The data that a DOL asks for, of two sets: the second one has what is not in the first.
    public static func fill(
        _ list: Span<UInt8>, name: Tag, from first: borrowing DataObjects, _ second: borrowing DataObjects,
        into output: inout [UInt8]
    ) throws(DataFormatError) {
        var offset = 0
        while offset < list.count {
            append(try entry(of: list, at: &offset, name: name), from: first, second, to: &output)
        }
    }

    /// The data of one entry, of two sets: the second one has what is not in the first.
    public static func append(
        _ entry: Entry, from first: borrowing DataObjects, _ second: borrowing DataObjects,
        to output: inout [UInt8]
    ) {
        if first.contains(entry.tag) {
            append(entry.tag, length: entry.length, from: first, to: &output)
        } else {
            append(entry.tag, length: entry.length, from: second, to: &output)
        }
    }

    @inline(__always)
    static func append(
        _ tag: Tag, length: Int, from objects: borrowing DataObjects, to output: inout [UInt8]
    ) {
        guard !tag.isConstructed, let value = objects.span(tag) else {
            for _ in 0..<length { output.append(0) }
            return
        }
        let format = PaddingFormat(tag)
        if value.count >= length {
            let first = format == .numeric ? value.count - length : 0
            for index in first..<(first + length) { output.append(value[index]) }
        } else {
            if format == .numeric {
                for _ in 0..<(length - value.count) { output.append(0) }
            }
            for index in value.indices { output.append(value[index]) }
            if format != .numeric {
                let filler: UInt8 = format == .compressedNumeric ? 0xFF : 0
                for _ in 0..<(length - value.count) { output.append(filler) }
            }
        }
    }

    /// How a value is fitted to a DOL's length.
    public enum PaddingFormat: Sendable {
        case numeric, compressedNumeric, other

        /// By the tag's format in EMV Book 3, Annex A, and in the kernels' books where they agree. A `switch` rather than a dictionary look-up, as
        /// every GPO passes here.
        @inlinable public init(_ tag: Tag) {
            switch tag.rawValue {
            case 0x9F02, 0x9F03, 0x9F1A, 0x5F2A, 0x9A, 0x9C, 0x9F21, 0x9F35, 0x9F15, 0x9F01, 0x5F24,
                0x5F25, 0x5F28, 0x5F30, 0x5F34, 0x5F36, 0x9F11, 0x9F39, 0x9F3C, 0x9F3D, 0x9F41, 0x9F42,
                0x9F44, 0x9F51, 0x9F54, 0x9F5C, 0x9F3B, 0x9F43, 0x9F57, 0x9F5D, 0x9F6A, 0x9F78, 0x9F79,
                0x9F7B,
                0x42, 0x5F57, 0x9F0C, 0x9F19, 0x9F25:
                self = .numeric
            case 0x5A, 0x9F20: self = .compressedNumeric
            default: self = .other
            }
        }
    }
}

/// The Application File Locator, tag 94 (EMV Book 3, 10.2).
public struct ApplicationFileLocator: Equatable, Sendable {
    public struct Entry: Equatable, Sendable {
        /// Short File Identifier, 1...30.
        public let sfi: UInt8
        public let firstRecord: UInt8
        public let lastRecord: UInt8
        /// How many records from the first take part in offline data authentication.
        public let authenticatedRecords: UInt8
    }
    public let entries: [Entry]

    /// - Throws: `.fileLocatorLength`, `.fileLocatorEntry`.
    public init(_ bytes: Span<UInt8>) throws(DataFormatError) {
        guard bytes.count >= 4, bytes.count.isMultiple(of: 4) else {
            throw .fileLocatorLength(bytes.count)
        }
        var entries: [Entry] = []
        entries.reserveCapacity(bytes.count / 4)
        for index in 0..<(bytes.count / 4) {
            let (a, b, c, d) = (
                bytes[index * 4], bytes[index * 4 + 1], bytes[index * 4 + 2], bytes[index * 4 + 3]
            )
            let sfi = a >> 3
            guard (1...30).contains(sfi), b >= 1, c >= b, d <= c - b + 1 else {
                throw .fileLocatorEntry(index: index, bytes: [a, b, c, d])
            }
            entries.append(
                Entry(sfi: sfi, firstRecord: b, lastRecord: c, authenticatedRecords: d))
        }
        self.entries = entries
    }

    /// - Throws: `.fileLocatorLength`, `.fileLocatorEntry`.
    public init(_ bytes: some Collection<UInt8>) throws(DataFormatError) {
        let copy = Array(bytes)
        try self.init(copy.span)
    }

    public var recordCount: Int {
        entries.reduce(0) { $0 + Int($1.lastRecord - $1.firstRecord) + 1 }
    }
}
