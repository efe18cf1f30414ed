public import BERTLV

/// A set of EMV data objects by tag: one growing byte buffer and a small index, searched from its begin, eight tags at a
/// time (a transaction has some sixty objects, so this beats hashing).
///
/// A data object may be present with an empty value, which EMV tells apart from absent. Values are raw
/// bytes; `description` shows tags and lengths only, as values may be sensitive.
public struct DataObjects: Sendable {
    /// Where a value lies in `storage`.
    @usableFromInline struct Place: Sendable {
        @usableFromInline var start: Int32
        @usableFromInline var count: Int32
        @inlinable init(start: Int32, count: Int32) {
            self.start = start
            self.count = count
        }
        @inlinable var range: Range<Int> { Int(start)..<Int(start &+ count) }
    }
    /// Tags as they are searched, and with the same index the places of their values.
    @usableFromInline var keys: [UInt32] = []
    @usableFromInline var places: [Place] = []
    @usableFromInline var storage: [UInt8] = []

    public init() {}

    public init(reservingObjects objects: Int, bytes: Int) {
        keys.reserveCapacity(objects)
        places.reserveCapacity(objects)
        storage.reserveCapacity(bytes)
    }

    /// Makes room for so many data objects and bytes of values in all.
    public mutating func reserve(objects: Int, bytes: Int) {
        keys.reserveCapacity(objects)
        places.reserveCapacity(objects)
        storage.reserveCapacity(bytes)
    }

    @usableFromInline func index(of tag: Tag) -> Int? {
        // The index runs over the span's own indices: nothing to check at each step.
        let list = keys.span
        let wanted = tag.rawValue
        let pattern = SIMD8<UInt32>(repeating: wanted)
        var position = 0
        while position &+ 8 <= list.count {
            let block = SIMD8<UInt32>(
                list[unchecked: position], list[unchecked: position &+ 1],
                list[unchecked: position &+ 2], list[unchecked: position &+ 3],
                list[unchecked: position &+ 4], list[unchecked: position &+ 5],
                list[unchecked: position &+ 6], list[unchecked: position &+ 7])
            if any(block .== pattern) { break }
            position &+= 8
        }
        while position < list.count {
            if list[unchecked: position] == wanted { return position }
            position &+= 1
        }
        return nil
    }

    /// Number of data objects.
    public var count: Int { keys.count }
    public var isEmpty: Bool { keys.isEmpty }
    /// The tags present, in the order in which they first came.
    public var tags: [Tag] { keys.map { Tag($0) } }

    @inlinable public func contains(_ tag: Tag) -> Bool { index(of: tag) != nil }

    /// The value of a data object; nil where absent. Setting nil removes it.
    @inlinable public subscript(_ tag: Tag) -> ArraySlice<UInt8>? {
        get {
            guard let position = index(of: tag) else { return nil }
            return storage[places[position].range]
        }
        set {
            if let newValue { set(tag, newValue) } else { remove(tag) }
        }
    }

    /// The value's bytes without copying or retaining; nil where absent.
    @inlinable @_lifetime(borrow self)
    public func span(_ tag: Tag) -> Span<UInt8>? {
        guard let position = index(of: tag) else { return nil }
        return storage.span.extracting(places[position].range)
    }

    /// Length of the value in bytes; nil where absent.
    @inlinable public func length(_ tag: Tag) -> Int? {
        index(of: tag).map { Int(places[$0].count) }
    }

    /// Stores a value, replacing an earlier one.
    @inlinable
    public mutating func set(_ tag: Tag, _ value: some Collection<UInt8>) {
        let count = value.count
        if let start = overwritable(tag, count) {
            var index = start
            for byte in value {
                storage[index] = byte
                index &+= 1
            }
        } else {
            storage.append(contentsOf: value)
        }
    }

    /// Stores a value from elsewhere, replacing an earlier one: one copy and nothing retained.
    @inlinable
    public mutating func set(_ tag: Tag, _ value: borrowing Span<UInt8>) {
        let count = value.count
        if let start = overwritable(tag, count) {
            for index in 0..<count { storage[start &+ index] = value[index] }
        } else {
            value.withUnsafeBufferPointer { storage.append(contentsOf: $0) }
        }
    }

    /// Stores the value that another set has; nothing happens where it has none.
    @inlinable
    public mutating func set(_ tag: Tag, from other: borrowing DataObjects) {
        if let value = other.span(tag) { set(tag, value) }
    }

    /// Stores the values that another set has of some tags, none of which is here yet and none of which is named twice.
    public mutating func add(_ tags: [Tag], from other: borrowing DataObjects) {
        for tag in tags {
            guard let position = other.index(of: tag) else { continue }
            let place = other.places[position]
            add(tag, place.count)
            other.storage.span.extracting(place.range).withUnsafeBufferPointer {
                storage.append(contentsOf: $0)
            }
        }
    }

    /// An entry of a new tag, whose value is appended next.
    @inlinable mutating func add(_ tag: Tag, _ count: Int32) {
        keys.append(tag.rawValue)
        places.append(Place(start: Int32(truncatingIfNeeded: storage.count), count: count))
    }

    /// Where a value of the same length as the new one lies; else an entry is made for one that is appended next.
    @usableFromInline mutating func overwritable(_ tag: Tag, _ count: Int) -> Int? {
        let length = Int32(truncatingIfNeeded: count)
        guard let position = index(of: tag) else {
            add(tag, length)
            return nil
        }
        if places[position].count == length { return Int(places[position].start) }
        places[position] = Place(start: Int32(truncatingIfNeeded: storage.count), count: length)
        return nil
    }

    /// Stores an unsigned number as `count` big-endian bytes (format b).
    @inlinable
    public mutating func set(_ tag: Tag, number: UInt64, count: Int) {
        let start = overwritable(tag, count)
        for index in 0..<max(0, count) {
            let byte = UInt8(truncatingIfNeeded: number >> UInt64((count &- 1 &- index) &* 8))
            if let start { storage[start &+ index] = byte } else { storage.append(byte) }
        }
    }

    public mutating func remove(_ tag: Tag) {
        guard let position = index(of: tag) else { return }
        keys.remove(at: position)
        places.remove(at: position)
    }

    /// Takes over every data object of another set, replacing those of the same tag.
    public mutating func merge(_ other: DataObjects) {
        let bytes = other.storage.span
        for index in other.keys.indices {
            set(Tag(other.keys[index]), bytes.extracting(other.places[index].range))
        }
    }

    /// A big-endian number of up to 8 bytes; nil where absent or longer.
    @inlinable public func number(_ tag: Tag) -> UInt64? {
        guard let position = index(of: tag) else { return nil }
        let place = places[position]
        guard place.count <= 8 else { return nil }
        var result: UInt64 = 0
        for index in place.range {
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
        var writer = BERTLVWriter(reservingCapacity: storage.count + keys.count * 4)
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
}

extension DataObjects: Equatable {
    /// Equal when the same tags have the same values, in whichever order.
    public static func == (lhs: DataObjects, rhs: DataObjects) -> Bool {
        guard lhs.count == rhs.count else { return false }
        return lhs.tags.allSatisfy { lhs[$0] == rhs[$0] }
    }
}

extension DataObjects: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String {
        "[" + zip(tags, places).map { "\($0):\($1.count)" }.joined(separator: " ") + "]"
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
