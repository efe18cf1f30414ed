/// An ISO 8583 message: its type and up to 128 fields.
///
/// Values are held in one buffer in a form that does not depend on the dialect: characters as ASCII, bytes
/// as they are. So a message read from one dialect can be written in another. Descriptions are masked.
public struct Message: Sendable {
    @usableFromInline struct Slot: Sendable {
        @usableFromInline var start: UInt32 = 0
        @usableFromInline var count: UInt32 = 0
        @inlinable init() {}
    }

    /// Message Type Indicator as four hexadecimal digits: `0x0100` is 0100.
    public var type: MessageType
    /// Header that came before the type, as received (TPDU, ISO literal): not interpreted.
    public var header: [UInt8] = []
    /// Fields 1...64 and 65...128 present, topmost bit first. Field 1 itself is never set here.
    @usableFromInline var primary: UInt64 = 0
    @usableFromInline var secondary: UInt64 = 0
    @usableFromInline var slots: InlineArray<129, Slot>
    @usableFromInline var storage: [UInt8]

    public init(_ type: MessageType) {
        self.type = type
        slots = InlineArray(repeating: Slot())
        storage = []
        storage.reserveCapacity(512)
    }

    /// Whether a field 2...128 is present.
    @inlinable public func contains(_ field: Int) -> Bool {
        switch field {
        case 2...64: primary & (1 << UInt64(64 - field)) != 0
        case 65...128: secondary & (1 << UInt64(128 - field)) != 0
        default: false
        }
    }

    /// Numbers of the fields present, ascending.
    public var fields: [Int] {
        var fields: [Int] = []
        fields.reserveCapacity(primary.nonzeroBitCount + secondary.nonzeroBitCount)
        for (bitmap, base) in [(primary, 1), (secondary, 65)] {
            var bits = bitmap
            while bits != 0 {
                let leading = bits.leadingZeroBitCount
                bits &= ~(1 << UInt64(63 - leading))
                fields.append(base + leading)
            }
        }
        return fields
    }

    /// A field's value: ASCII characters, or bytes for format b. Nil where absent; setting nil removes it.
    @inlinable public subscript(field: Int) -> ArraySlice<UInt8>? {
        get {
            guard contains(field) else { return nil }
            let slot = slots[field]
            return storage[Int(slot.start)..<Int(slot.start + slot.count)]
        }
        set {
            if let newValue { set(field, newValue) } else { remove(field) }
        }
    }

    /// A field's characters; nil where absent or not ASCII.
    public func text(_ field: Int) -> String? {
        guard let value = self[field], value.allSatisfy({ $0 < 0x80 }) else { return nil }
        return String(decoding: value, as: UTF8.self)
    }

    public mutating func set(_ field: Int, _ text: String) { set(field, text.utf8) }

    /// Sets a field 2...128; other numbers are ignored, as they name bitmaps.
    @inlinable public mutating func set(_ field: Int, _ value: some Collection<UInt8>) {
        guard (2...128).contains(field) else { return }
        let start = storage.count
        storage.append(contentsOf: value)
        note(field, start: start)
    }

    @inlinable mutating func note(_ field: Int, start: Int) {
        slots[field].start = UInt32(truncatingIfNeeded: start)
        slots[field].count = UInt32(truncatingIfNeeded: storage.count - start)
        if field <= 64 {
            primary |= 1 << UInt64(64 - field)
        } else {
            secondary |= 1 << UInt64(128 - field)
        }
    }

    public mutating func remove(_ field: Int) {
        switch field {
        case 2...64: primary &= ~(1 << UInt64(64 - field))
        case 65...128: secondary &= ~(1 << UInt64(128 - field))
        default: break
        }
    }
}

extension Message: Equatable {
    /// Equal when type and all values are; headers are not compared.
    public static func == (lhs: Message, rhs: Message) -> Bool {
        lhs.type == rhs.type && lhs.primary == rhs.primary && lhs.secondary == rhs.secondary
            && lhs.fields.allSatisfy { lhs[$0] == rhs[$0] }
    }
}

extension Message: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Type and field numbers only: values may be sensitive.
    public var description: String {
        "\(type) [" + fields.map(String.init).joined(separator: " ") + "]"
    }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["description": description]) }
}

/// Message Type Indicator: version, class, function, origin (ISO 8583:1987, 4.2).
public struct MessageType: RawRepresentable, Hashable, Sendable, ExpressibleByIntegerLiteral,
    CustomStringConvertible
{
    /// Four digits as hexadecimal nibbles: 0x0100.
    public let rawValue: UInt16
    @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }
    @inlinable public init(integerLiteral value: UInt16) { rawValue = value }

    public var isVersion1993: Bool { rawValue >> 12 == 1 }
    /// The type that answers this one: 0100 -> 0110, 0420 -> 0430, 0421 -> 0430, 0800 -> 0810.
    public var response: MessageType { MessageType(rawValue: (rawValue & 0xFFF0) + 0x10) }
    /// A repeat of this type: 0420 -> 0421.
    public var repeated: MessageType { MessageType(rawValue: rawValue | 1) }
    /// Whether the third digit says request, advice or notification (even) rather than response (odd).
    public var isResponse: Bool { rawValue >> 4 & 1 == 1 }

    public var description: String {
        let digits = String(rawValue, radix: 16)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }
}
