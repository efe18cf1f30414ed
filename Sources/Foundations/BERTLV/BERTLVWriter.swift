/// Writes BER-TLV data objects with the shortest definite length form (EMV Book 3, Annex B2).
///
///     var writer = BERTLVWriter()
///     writer.template(0x6F) { fci in
///         fci.append(0x84, aid)
///         fci.template(0xA5) { $0.append(0x50, label) }
///     }
public struct BERTLVWriter: Sendable {
    /// What was written so far.
    public private(set) var bytes: [UInt8]

    public init(reservingCapacity capacity: Int = 0) {
        bytes = []
        if capacity > 0 { bytes.reserveCapacity(capacity) }
    }

    /// Appends a data object with the given value.
    public mutating func append(_ tag: Tag, _ value: some Collection<UInt8>) {
        Self.append(tag: tag, to: &bytes)
        Self.append(length: value.count, to: &bytes)
        bytes.append(contentsOf: value)
    }

    /// Appends bytes that already are data objects.
    public mutating func append(encoded: some Collection<UInt8>) {
        bytes.append(contentsOf: encoded)
    }

    /// Appends a template whose inside the closure writes.
    public mutating func template<E: Error>(
        _ tag: Tag, _ body: (inout BERTLVWriter) throws(E) -> Void
    ) throws(E) {
        var inside = BERTLVWriter()
        try body(&inside)
        append(tag, inside.bytes)
    }

    public static func append(tag: Tag, to bytes: inout [UInt8]) {
        var shift = (tag.byteCount - 1) * 8
        while shift >= 0 {
            bytes.append(UInt8(truncatingIfNeeded: tag.rawValue >> shift))
            shift -= 8
        }
    }

    public static func append(length: Int, to bytes: inout [UInt8]) {
        if length < 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: length))
        } else if length <= 0xFF {
            bytes.append(0x81)
            bytes.append(UInt8(truncatingIfNeeded: length))
        } else if length <= 0xFFFF {
            bytes.append(0x82)
            bytes.append(UInt8(truncatingIfNeeded: length >> 8))
            bytes.append(UInt8(truncatingIfNeeded: length))
        } else {
            bytes.append(length <= 0xFF_FFFF ? 0x83 : 0x84)
            if length > 0xFF_FFFF { bytes.append(UInt8(truncatingIfNeeded: length >> 24)) }
            bytes.append(UInt8(truncatingIfNeeded: length >> 16))
            bytes.append(UInt8(truncatingIfNeeded: length >> 8))
            bytes.append(UInt8(truncatingIfNeeded: length))
        }
    }
}

extension TLVNode {
    /// The node's encoding.
    public func write(to writer: inout BERTLVWriter) {
        switch content {
        case .primitive(let value): writer.append(tag, value)
        case .constructed(let children):
            writer.template(tag) { inside in
                for child in children { child.write(to: &inside) }
            }
        }
    }
}
