public import BERTLV

/// A set of EMV data objects by tag: one growing byte buffer and a small index, searched linearly (a
/// transaction has some sixty objects, so this beats hashing and allocates twice in all).
///
/// A data object may be present with an empty value, which EMV tells apart from absent. Values are raw
/// bytes; `description` shows tags and lengths only, as values may be sensitive.
public struct DataObjects: Sendable {
    @usableFromInline struct Entry: Sendable {
        @usableFromInline let tag: UInt32
        @usableFromInline var start: Int32
        @usableFromInline var count: Int32
        @inlinable init(tag: UInt32, start: Int32, count: Int32) {
            self.tag = tag
            self.start = start
            self.count = count
        }
    }
    @usableFromInline var entries: [Entry] = []
    @usableFromInline var storage: [UInt8] = []

    public init() {}

    public init(reservingObjects objects: Int, bytes: Int) {
        entries.reserveCapacity(objects)
        storage.reserveCapacity(bytes)
    }

    @inlinable func index(of tag: Tag) -> Int? {
        for position in entries.indices where entries[position].tag == tag.rawValue {
            return position
        }
        return nil
    }

    /// Number of data objects.
    public var count: Int { entries.count }
    public var isEmpty: Bool { entries.isEmpty }
    /// The tags present, in the order in which they first came.
    public var tags: [Tag] { entries.map { Tag($0.tag) } }

    @inlinable public func contains(_ tag: Tag) -> Bool { index(of: tag) != nil }

    /// The value of a data object; nil where absent. Setting nil removes it.
    @inlinable public subscript(_ tag: Tag) -> ArraySlice<UInt8>? {
        get {
            guard let position = index(of: tag) else { return nil }
            let entry = entries[position]
            return storage[Int(entry.start)..<Int(entry.start &+ entry.count)]
        }
        set {
            if let newValue { set(tag, newValue) } else { remove(tag) }
        }
    }

    /// The value's bytes without copying or retaining; nil where absent.
    @inlinable @_lifetime(borrow self)
    public func span(_ tag: Tag) -> Span<UInt8>? {
        guard let position = index(of: tag) else { return nil }
        let entry = entries[position]
        return storage.span.extracting(Int(entry.start)..<Int(entry.start &+ entry.count))
    }

    /// Length of the value in bytes; nil where absent.
    @inlinable public func length(_ tag: Tag) -> Int? {
        index(of: tag).map { Int(entries[$0].count) }
    }

    /// Stores a value, replacing an earlier one.
    @inlinable
    public mutating func set(_ tag: Tag, _ value: some Collection<UInt8>) {
        let count = Int32(truncatingIfNeeded: value.count)
        if let position = index(of: tag) {
            if entries[position].count == count {
                var index = Int(entries[position].start)
                for byte in value {
                    storage[index] = byte
                    index &+= 1
                }
                return
            }
            entries[position].start = Int32(truncatingIfNeeded: storage.count)
            entries[position].count = count
        } else {
            entries.append(
                Entry(
                    tag: tag.rawValue, start: Int32(truncatingIfNeeded: storage.count), count: count))
        }
        storage.append(contentsOf: value)
    }

    /// Stores an unsigned number as `count` big-endian bytes (format b).
    @inlinable
    public mutating func set(_ tag: Tag, number: UInt64, count: Int) {
        set(tag, (0..<count).lazy.map { UInt8(truncatingIfNeeded: number >> ((count - 1 - $0) * 8)) })
    }

    public mutating func remove(_ tag: Tag) {
        if let position = index(of: tag) { entries.remove(at: position) }
    }

    /// Takes over every data object of another set, replacing those of the same tag.
    public mutating func merge(_ other: DataObjects) {
        for entry in other.entries {
            set(Tag(entry.tag), other.storage[Int(entry.start)..<Int(entry.start + entry.count)])
        }
    }

    /// A big-endian number of up to 8 bytes; nil where absent or longer.
    @inlinable public func number(_ tag: Tag) -> UInt64? {
        guard let position = index(of: tag) else { return nil }
        let entry = entries[position]
        guard entry.count <= 8 else { return nil }
        var result: UInt64 = 0
        for index in Int(entry.start)..<Int(entry.start &+ entry.count) {
            result = result << 8 | UInt64(storage[index])
        }
        return result
    }

    /// A packed BCD number (format n) of up to 9 bytes; nil where absent, longer or not decimal.
    public func decimal(_ tag: Tag) -> UInt64? {
        guard let span = span(tag) else { return nil }
        return BCD.number(span)
    }

    /// Writes all data objects (or those of `tags`, in that order, as far as present) as BER-TLV.
    public func encoded(_ tags: [Tag]? = nil) -> [UInt8] {
        var writer = BERTLVWriter(reservingCapacity: storage.count + entries.count * 4)
        for tag in tags ?? self.tags {
            if let value = self[tag] { writer.append(tag, value) }
        }
        return writer.bytes
    }

    /// Reads what `encoded` wrote, as far as it is well-formed.
    public init(encoded bytes: [UInt8]) {
        self.init()
        var reader = BERTLVReader(bytes.span, in: 0..<bytes.count)
        while let element = try? reader.next() { set(element.tag, bytes[element.value]) }
    }

    /// Calls `body` with each data object.
    public func forEach(_ body: (Tag, ArraySlice<UInt8>) -> Void) {
        for entry in entries {
            body(Tag(entry.tag), storage[Int(entry.start)..<Int(entry.start + entry.count)])
        }
    }
}

extension DataObjects: Equatable {
    /// Equal when the same tags have the same values, in whichever order.
    public static func == (lhs: DataObjects, rhs: DataObjects) -> Bool {
        guard lhs.count == rhs.count else { return false }
        return lhs.entries.allSatisfy { lhs[Tag($0.tag)] == rhs[Tag($0.tag)] }
    }
}

extension DataObjects: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String {
        "[" + entries.map { "\(Tag($0.tag)):\($0.count)" }.joined(separator: " ") + "]"
    }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["objects": description]) }
}

extension DataObjects: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral elements: (Tag, [UInt8])...) {
        self.init()
        for (tag, value) in elements { set(tag, value) }
    }
}
