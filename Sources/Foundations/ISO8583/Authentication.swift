/// Message authentication in field 64, or 128 where the message has a secondary bitmap (ISO 8583:1987, 4.4). The
/// algorithm is the caller's; it covers everything from the message type to the byte before the code.
extension Dialect {
    /// Writes a message with its authentication code, shorter codes filled with zeros on the right (a 32-bit code of
    /// ANSI X9.9 or X9.19 in eight bytes).
    /// - Parameter code: computes the code over the bytes given.
    /// - Throws: `ISO8583Error`; `.badValue` where the code is longer than its field, `.unknownField` where the dialect
    ///   has none.
    public func pack(
        _ message: Message, authenticatedBy code: (ArraySlice<UInt8>) -> [UInt8]
    ) throws(ISO8583Error) -> [UInt8] {
        var message = message
        message.remove(64)
        message.remove(128)
        let field = message.secondary == 0 ? 64 : 128
        guard let specification = self[field], specification.isBinary else {
            throw .unknownField(field, offset: 0)
        }
        message.set(field, Array(repeating: 0, count: specification.most))
        var bytes = try pack(message)
        let start = bytes.count - Self.wireCount(specification)
        var value = code(bytes[message.header.count..<start])
        guard value.count <= specification.most else {
            throw .badValue(
                field: field,
                reason: "an authentication code of \(value.count) bytes exceeds \(specification.most)")
        }
        value += Array(repeating: 0, count: specification.most - value.count)
        bytes.removeLast(bytes.count - start)
        try Self.write(FieldCoding(specification), value.span, &bytes)
        return bytes
    }

    /// The bytes that a received message's authentication code covers, and the code; nil where there is none.
    public func authentication(
        of message: Message, in bytes: [UInt8]
    ) -> (covered: ArraySlice<UInt8>, code: ArraySlice<UInt8>)? {
        for field in [128, 64] {
            guard let code = message[field], let specification = self[field], specification.isBinary else {
                continue
            }
            // Field 64 is the last one only where no other follows.
            let count = Self.wireCount(specification)
            guard message.fields.last == field, bytes.count - count >= message.header.count else {
                return nil
            }
            return (bytes[message.header.count..<(bytes.count - count)], code)
        }
        return nil
    }

    /// Bytes of a fixed field of format b.
    static func wireCount(_ field: FieldSpecification) -> Int {
        field.encoding == .hex ? field.most * 2 : field.most
    }
}
