/// A BER-TLV tag of one to four bytes, held as the big-endian number that its bytes spell
/// (`9F02` is `0x9F02`).
///
/// Rules: ISO/IEC 8825-1 8.1.2; EMV Book 3, Annex B1. EMV uses at most three bytes; four are accepted
/// so that proprietary data can be shown.
public struct Tag: RawRepresentable, Hashable, Comparable, Sendable, ExpressibleByIntegerLiteral {
    public let rawValue: UInt32

    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
    @inlinable public init(_ rawValue: UInt32) { self.rawValue = rawValue }
    @inlinable public init(integerLiteral value: UInt32) { self.rawValue = value }

    /// Reads a tag from hexadecimal digits; nil unless they spell exactly one well-formed tag.
    public init?(hex: some StringProtocol) {
        // The number parser would also take a sign.
        guard hex.utf8.count <= 8, hex.utf8.count.isMultiple(of: 2), !hex.isEmpty,
            hex.utf8.first != UInt8(ascii: "+"), hex.utf8.first != UInt8(ascii: "-"),
            let value = UInt32(hex, radix: 16)
        else { return nil }
        let tag = Tag(value)
        guard tag.byteCount * 2 == hex.utf8.count, tag.isWellFormed else { return nil }
        self = tag
    }

    /// Number of bytes that the tag takes when written: 1...4.
    @inlinable public var byteCount: Int {
        rawValue > 0xFF_FFFF ? 4 : rawValue > 0xFFFF ? 3 : rawValue > 0xFF ? 2 : 1
    }

    @inlinable var leadingByte: UInt8 { UInt8(truncatingIfNeeded: rawValue >> ((byteCount - 1) * 8)) }

    /// Whether the value is itself a sequence of data objects (bit 6 of the leading byte).
    @inlinable public var isConstructed: Bool { leadingByte & 0x20 != 0 }

    /// Universal, application, context-specific or private class (bits 8-7 of the leading byte).
    public enum Class: UInt8, Sendable { case universal, application, contextSpecific, `private` }
    public var tagClass: Class { Class(rawValue: leadingByte >> 6) ?? .private }

    /// Whether the leading byte and the continuation bits agree with the number of bytes.
    public var isWellFormed: Bool {
        let count = byteCount
        if count == 1 { return leadingByte & 0x1F != 0x1F }
        guard leadingByte & 0x1F == 0x1F else { return false }
        for position in 0..<(count - 1) {
            let byte = UInt8(truncatingIfNeeded: rawValue >> (position * 8))
            if (byte & 0x80 != 0) != (position > 0) { return false }
        }
        return true
    }

    @inlinable public static func < (lhs: Tag, rhs: Tag) -> Bool { lhs.rawValue < rhs.rawValue }
}

extension Tag: CustomStringConvertible {
    /// The tag's bytes in upper-case hexadecimal, such as `9F02`.
    public var description: String {
        let digits = String(rawValue, radix: 16, uppercase: true)
        return String(repeating: "0", count: byteCount * 2 - digits.utf8.count) + digits
    }
}
