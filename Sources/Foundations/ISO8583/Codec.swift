/// Why a message cannot be read or written. Offsets count bytes from the start of the message (after any
/// framing).
public enum ISO8583Error: Error, Equatable, Sendable, CustomStringConvertible {
    /// The message ends inside `part` at `offset`.
    case truncated(part: String, offset: Int, needed: Int, available: Int)
    case badMessageType(offset: Int)
    case badBitmap(offset: Int)
    /// The bitmap names a field that the dialect does not have.
    case unknownField(Int, offset: Int)
    /// A bit of the bitmap says that another bitmap follows, for fields beyond 128: bit 65 where the dialect has no such
    /// field, or bit 1 of a bitmap that has 16 bytes already.
    case furtherBitmap(bit: Int, offset: Int)
    /// The length prefix is no number or exceeds the field's greatest length.
    case badLength(field: Int, offset: Int, length: Int?, most: Int)
    /// A character that the field's format does not have.
    case badContent(field: Int, offset: Int, reason: String)
    /// The digit that fills up an odd number of BCD digits is not what the dialect's padding makes it: most likely the
    /// sender pads on the other side, and the digits would be read as another number.
    case badFiller(field: Int, offset: Int, padding: FieldSpecification.Padding)
    /// Bytes after the last field.
    case trailingBytes(offset: Int, count: Int)
    /// A value that cannot be written: too long, too short for a fixed field of bytes, wrong characters.
    case badValue(field: Int, reason: String)

    public var description: String {
        switch self {
        case .truncated(let part, let offset, let needed, let available):
            "offset \(offset): \(part) needs \(needed) bytes, \(available) are left"
        case .badMessageType(let offset): "offset \(offset): the message type is not four digits"
        case .badBitmap(let offset): "offset \(offset): the bitmap is not hexadecimal"
        case .unknownField(let field, let offset):
            "offset \(offset): the bitmap names field \(field), which the dialect does not have"
        case .furtherBitmap(let bit, let offset):
            "offset \(offset): bit \(bit) of the bitmap names a further bitmap (fields 129 to 192), which is not supported"
        case .badLength(let field, let offset, let length, let most):
            "field \(field) at offset \(offset): length "
                + (length.map { "\($0) exceeds \(most)" } ?? "is not a number")
        case .badContent(let field, let offset, let reason):
            "field \(field) at offset \(offset): \(reason)"
        case .badFiller(let field, let offset, let padding):
            "field \(field) at offset \(offset): the filler digit "
                + (padding == .leftZero
                    ? "on the left is not 0" : "on the right is not \(padding == .rightF ? "F" : "0 or F")")
                + ": the sender may pad on the other side (padding of the dialect: \(padding.rawValue))"
        case .trailingBytes(let offset, let count):
            "offset \(offset): \(count) bytes after the last field"
        case .badValue(let field, let reason): "field \(field): \(reason)"
        }
    }
}

extension Dialect {
    // MARK: - Reading

    /// Reads one message, which must fill `bytes` from `start` on.
    /// - Parameter start: length of a header before the message type.
    /// - Throws: `ISO8583Error`.
    public func unpack(_ bytes: Span<UInt8>, from start: Int = 0) throws(ISO8583Error) -> Message {
        var offset = min(max(0, start), bytes.count)
        var message = Message(0)
        for index in 0..<offset { message.header.append(bytes[index]) }
        message.storage.reserveCapacity(bytes.count * 2)
        message.type = try readType(bytes, &offset)
        let bitmaps = try readBitmaps(bytes, &offset)
        try readFields(bitmaps.primary & ~(1 << 63), 0, bytes, &offset, &message)
        try readFields(bitmaps.secondary ?? 0, 64, bytes, &offset, &message)
        guard offset == bytes.count else {
            throw .trailingBytes(offset: offset, count: bytes.count - offset)
        }
        return message
    }

    public func unpack(_ bytes: [UInt8], from start: Int = 0) throws(ISO8583Error) -> Message {
        try unpack(bytes.span, from: start)
    }

    @inline(__always)
    func readFields(
        _ bitmap: UInt64, _ base: Int, _ bytes: Span<UInt8>, _ offset: inout Int,
        _ message: inout Message
    ) throws(ISO8583Error) {
        var bits = bitmap
        while bits != 0 {
            let leading = bits.leadingZeroBitCount
            bits &= ~(1 << UInt64(63 - leading))
            let number = base + leading + 1
            guard let coding = codings[number] else {
                throw .unknownField(number, offset: offset)
            }
            try Self.read(coding, bytes, &offset, &message)
        }
    }

    func readType(_ bytes: Span<UInt8>, _ offset: inout Int) throws(ISO8583Error) -> MessageType {
        let count = typeEncoding == .bcd ? 2 : 4
        guard bytes.count - offset >= count else {
            throw .truncated(
                part: "the message type", offset: offset, needed: count, available: bytes.count - offset)
        }
        var value: UInt16 = 0
        for index in offset..<(offset + count) {
            let byte = bytes[index]
            if typeEncoding == .bcd {
                guard byte >> 4 <= 9, byte & 0x0F <= 9 else { throw .badMessageType(offset: offset) }
                value = value << 8 | UInt16(byte)
            } else {
                let zero: UInt8 = typeEncoding == .ascii ? 0x30 : 0xF0
                guard byte >= zero, byte <= zero + 9 else { throw .badMessageType(offset: offset) }
                value = value << 4 | UInt16(byte - zero)
            }
        }
        offset += count
        return MessageType(rawValue: value)
    }

    /// Both bitmaps; the second is nil where the message has none.
    @inline(__always)
    func readBitmaps(
        _ bytes: Span<UInt8>, _ offset: inout Int
    ) throws(ISO8583Error) -> (primary: UInt64, secondary: UInt64?) {
        let begin = offset
        let primary = try readBitmap(bytes, &offset)
        let continues = primary & (1 << 63) != 0
        guard continues || hasLongBitmap else { return (primary, nil) }
        guard !(continues && hasLongBitmap) else { throw .furtherBitmap(bit: 1, offset: begin) }
        let place = offset
        let secondary = try readBitmap(bytes, &offset)
        // Where no field 65 is specified, its bit announces a third bitmap, after the second one or in the field's place
        // (ISO 8583:1987, table of data elements, 65): what follows would be read as other fields.
        if secondary & (1 << 63) != 0, codings[65] == nil {
            throw .furtherBitmap(bit: 65, offset: place)
        }
        return (primary, secondary)
    }

    func readBitmap(_ bytes: Span<UInt8>, _ offset: inout Int) throws(ISO8583Error) -> UInt64 {
        let count = bitmapEncoding == .binary ? 8 : 16
        guard bytes.count - offset >= count else {
            throw .truncated(
                part: "the bitmap", offset: offset, needed: count, available: bytes.count - offset)
        }
        var value: UInt64 = 0
        for index in offset..<(offset + count) {
            if bitmapEncoding == .binary {
                value = value << 8 | UInt64(bytes[index])
            } else {
                let byte =
                    bitmapEncoding == .ebcdic ? EBCDIC.decoding[Int(bytes[index])] : bytes[index]
                guard let digit = Self.hexDigit(byte) else { throw .badBitmap(offset: offset) }
                value = value << 4 | UInt64(digit)
            }
        }
        offset += count
        return value
    }

    @inline(__always)
    static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x37
        case 0x61...0x66: byte - 0x57
        default: nil
        }
    }

    @inline(__always)
    static func hexCharacter(_ nibble: UInt8) -> UInt8 { nibble < 10 ? 0x30 + nibble : 0x37 + nibble }

    /// All at once: byte by byte each would be a check of capacity and ownership.
    @inline(__always)
    static func append(_ bytes: Span<UInt8>, to array: inout [UInt8]) {
        bytes.withUnsafeBufferPointer { array.append(contentsOf: $0) }
    }

    /// Bytes that a length prefix takes.
    @inline(__always)
    static func prefixCount(_ digits: Int, _ encoding: FieldSpecification.Encoding) -> Int {
        switch encoding {
        case .bcd: (digits + 1) / 2
        case .binary: digits <= 2 ? 1 : digits <= 4 ? 2 : 3
        default: digits
        }
    }

    @inline(__always)
    static func read(
        _ field: FieldCoding, _ bytes: Span<UInt8>, _ offset: inout Int, _ message: inout Message
    ) throws(ISO8583Error) {
        let begin = offset
        // How many characters (or bytes), and how many bytes on the line.
        var count: Int
        switch field.length {
        case .fixed(let fixed): count = fixed
        case .variable(let digits, let most):
            let prefix = prefixCount(digits, field.lengthEncoding)
            guard bytes.count - offset >= prefix else {
                throw .truncated(
                    part: "the length of field \(field.number)", offset: offset, needed: prefix,
                    available: bytes.count - offset)
            }
            count = 0
            for index in offset..<(offset + prefix) {
                let byte = bytes[unchecked: index]
                switch field.lengthEncoding {
                case .bcd:
                    guard byte >> 4 <= 9, byte & 0x0F <= 9 else {
                        throw .badLength(field: field.number, offset: begin, length: nil, most: most)
                    }
                    count = count * 100 + Int(byte >> 4) * 10 + Int(byte & 0x0F)
                case .binary: count = count << 8 | Int(byte)
                default:
                    let digit = byte &- (field.lengthEncoding == .ebcdic ? 0xF0 : 0x30)
                    guard digit <= 9 else {
                        throw .badLength(field: field.number, offset: begin, length: nil, most: most)
                    }
                    count = count * 10 + Int(digit)
                }
            }
            offset += prefix
            if field.lengthUnit == .bytes {
                switch field.encoding {
                case .bcd: count *= 2
                case .hex:
                    guard count & 1 == 0 else {
                        throw .badContent(
                            field: field.number, offset: offset,
                            reason: "\(count) hexadecimal digits are no whole bytes")
                    }
                    count /= 2
                default: break
                }
            }
            // A BCD field counted in bytes may come out one digit longer than its odd greatest length.
            let slack = field.lengthUnit == .bytes && field.encoding == .bcd ? most & 1 : 0
            guard count <= most + slack else {
                throw .badLength(field: field.number, offset: begin, length: count, most: most)
            }
        }
        let needed: Int
        switch field.encoding {
        case .bcd: needed = field.format == .xn ? 1 + count / 2 : (count + 1) / 2
        case .hex: needed = count * 2
        default: needed = count
        }
        guard bytes.count - offset >= needed else {
            throw .truncated(
                part: "field \(field.number)", offset: offset, needed: needed,
                available: bytes.count - offset)
        }
        let start = message.storage.count
        switch field.encoding {
        case .binary: Self.append(bytes.extracting(offset..<(offset + needed)), to: &message.storage)
        case .ascii:
            if field.format == .n {
                for index in offset..<(offset + needed) {
                    guard bytes[unchecked: index] &- 0x30 <= 9 else {
                        throw .badContent(
                            field: field.number, offset: index, reason: "expected a digit")
                    }
                }
            } else if field.format == .xn {
                try checkSigned(field, bytes.extracting(offset..<(offset + needed)), at: offset)
            }
            Self.append(bytes.extracting(offset..<(offset + needed)), to: &message.storage)
        case .ebcdic:
            for index in offset..<(offset + needed) {
                let byte = EBCDIC.decoding[Int(bytes[unchecked: index])]
                if field.format == .n {
                    guard byte &- 0x30 <= 9 else {
                        throw .badContent(
                            field: field.number, offset: index, reason: "expected a digit")
                    }
                }
                message.storage.append(byte)
            }
            if field.format == .xn {
                try checkSigned(field, message.storage.span.extracting(start..<(start + needed)), at: offset)
            }
        case .hex:
            for index in 0..<count {
                guard let high = hexDigit(bytes[unchecked: offset + index * 2]),
                    let low = hexDigit(bytes[unchecked: offset + index * 2 + 1])
                else {
                    throw .badContent(
                        field: field.number, offset: offset + index * 2,
                        reason: "expected hexadecimal digits")
                }
                message.storage.append(high << 4 | low)
            }
        case .bcd:
            if field.format == .xn {
                // The sign is a character of its own.
                let byte = bytes[unchecked: offset]
                let sign = field.signEncoding == .ebcdic ? EBCDIC.decoding[Int(byte)] : byte
                guard isSign(sign) else {
                    throw .badContent(field: field.number, offset: offset, reason: badSign)
                }
                message.storage.append(sign)
                try readBCD(field, bytes, offset + 1, needed - 1, count - 1, &message)
            } else {
                try readBCD(field, bytes, offset, needed, count, &message)
            }
        }
        offset += needed
        message.note(field.number, start: start)
    }

    /// C or D (ISO 8583:1987, 4.1, "x"); jPOS's own test messages have a zero.
    @inline(__always)
    static func isSign(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "C") || byte == UInt8(ascii: "D") || byte == UInt8(ascii: "0")
    }
    static let badSign = "expected a sign, C or D"

    /// A sign and digits, as characters.
    static func checkSigned(
        _ field: FieldCoding, _ value: Span<UInt8>, at offset: Int
    ) throws(ISO8583Error) {
        for index in value.indices {
            let byte = value[unchecked: index]
            guard index == 0 ? isSign(byte) : byte &- 0x30 <= 9 else {
                throw .badContent(
                    field: field.number, offset: offset + index,
                    reason: index == 0 ? badSign : "expected a digit")
            }
        }
    }

    @inline(__always)
    static func readBCD(
        _ field: FieldCoding, _ bytes: Span<UInt8>, _ offset: Int, _ needed: Int, _ count: Int,
        _ message: inout Message
    ) throws(ISO8583Error) {
        // An odd count has one filler nibble, left or right.
        let odd = count & 1 == 1
        let skipsFirst = odd && field.padding == .leftZero
        let last = offset + needed - 1
        let hasFiller = field.format == .z || field.lengthUnit == .bytes
        if odd {
            // On the right F is no digit and cannot be one that is lost; a 0 may be, where F is meant.
            let filler = skipsFirst ? bytes[unchecked: offset] >> 4 : bytes[unchecked: last] & 0x0F
            guard filler == 0 && field.padding != .rightF || filler == 0x0F && !skipsFirst else {
                throw .badFiller(
                    field: field.number, offset: skipsFirst ? offset : last, padding: field.padding)
            }
        }
        let start = message.storage.count
        message.storage.append(contentsOf: repeatElement(0, count: needed * 2))
        var place = start
        var characters = message.storage.mutableSpan
        for index in offset..<(offset + needed) {
            let byte = bytes[unchecked: index]
            let high = byte >> 4
            let low = byte & 0x0F
            if !(skipsFirst && index == offset) {
                characters[unchecked: place] = try character(high, field, index)
                place += 1
            }
            if index == last, odd && !skipsFirst || low == 0x0F && hasFiller { break }
            characters[unchecked: place] = try character(low, field, index)
            place += 1
        }
        message.storage.removeLast(start + needed * 2 - place)
    }

    @inline(__always)
    static func character(
        _ nibble: UInt8, _ field: FieldCoding, _ offset: Int
    ) throws(ISO8583Error) -> UInt8 {
        if nibble <= 9 { return 0x30 + nibble }
        if field.format == .z, nibble == 0x0D { return UInt8(ascii: "D") }
        throw .badContent(
            field: field.number, offset: offset, reason: "expected decimal digits in BCD")
    }

    // MARK: - Writing

    /// Writes a message, its header first.
    /// - Throws: `.unknownField`, `.badValue`.
    public func pack(_ message: Message) throws(ISO8583Error) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(message.storage.count + 160)
        try pack(message, into: &output)
        return output
    }

    /// Appends a message to `output`; what was appended before an error must be dropped by the caller.
    public func pack(_ message: borrowing Message, into output: inout [UInt8]) throws(ISO8583Error) {
        output.append(contentsOf: message.header)
        let type = message.type.rawValue
        switch typeEncoding {
        case .bcd:
            output.append(UInt8(truncatingIfNeeded: type >> 8))
            output.append(UInt8(truncatingIfNeeded: type))
        default:
            let zero: UInt8 = typeEncoding == .ebcdic ? 0xF0 : 0x30
            var shift: UInt16 = 16
            while shift > 0 {
                shift -= 4
                output.append(zero + UInt8(type >> shift & 0x0F))
            }
        }
        let hasSecondary = message.secondary != 0
        writeBitmap(message.primary | (hasSecondary && !hasLongBitmap ? 1 << 63 : 0), &output)
        if hasSecondary || hasLongBitmap { writeBitmap(message.secondary, &output) }
        try writeFields(message.primary, 0, message, &output)
        try writeFields(message.secondary, 64, message, &output)
    }

    @inline(__always)
    func writeFields(
        _ bitmap: UInt64, _ base: Int, _ message: borrowing Message, _ output: inout [UInt8]
    ) throws(ISO8583Error) {
        var bits = bitmap
        while bits != 0 {
            let leading = bits.leadingZeroBitCount
            bits &= ~(1 << UInt64(63 - leading))
            let number = base + leading + 1
            guard let coding = codings[number] else {
                throw .unknownField(number, offset: output.count)
            }
            let slot = message.slots[number]
            let value = message.storage.span.extracting(
                Int(slot.start)..<Int(slot.start + slot.count))
            try Self.write(coding, value, &output)
        }
    }

    func writeBitmap(_ bits: UInt64, _ output: inout [UInt8]) {
        if bitmapEncoding == .binary {
            for shift in stride(from: UInt64(56), through: 0, by: -8) {
                output.append(UInt8(truncatingIfNeeded: bits >> shift))
            }
        } else {
            for shift in stride(from: UInt64(60), through: 0, by: -4) {
                let digit = Self.hexCharacter(UInt8(bits >> shift & 0x0F))
                output.append(bitmapEncoding == .ebcdic ? EBCDIC.encoding[Int(digit)] : digit)
            }
        }
    }

    @inline(__always)
    static func write(
        _ field: FieldCoding, _ value: Span<UInt8>, _ output: inout [UInt8]
    ) throws(ISO8583Error) {
        var fill = 0
        switch field.length {
        case .fixed(let count):
            guard value.count <= count else {
                throw .badValue(field: field.number, reason: "\(value.count) exceeds \(count)")
            }
            fill = count - value.count
            if field.format == .xn {
                guard value.count >= 2 else {
                    throw .badValue(field: field.number, reason: "a sign and digits are needed")
                }
                guard isSign(value[unchecked: 0]) else {
                    throw .badValue(field: field.number, reason: "its sign is neither C nor D")
                }
                for index in 1..<value.count where value[unchecked: index] &- 0x30 > 9 {
                    throw .badValue(field: field.number, reason: "a character that is not a digit")
                }
            }
            if fill > 0, field.format == .b {
                throw .badValue(
                    field: field.number, reason: "\(value.count) bytes, exactly \(count) are needed")
            }
        case .variable(let digits, let most):
            guard value.count <= most else {
                throw .badValue(field: field.number, reason: "\(value.count) exceeds \(most)")
            }
            var length = value.count
            if field.lengthUnit == .bytes {
                switch field.encoding {
                case .bcd: length = (length + 1) / 2
                case .hex: length *= 2
                default: break
                }
            }
            guard length <= greatestLength(digits, field.lengthEncoding) else {
                throw .badValue(
                    field: field.number, reason: "its length \(length) has more digits than its prefix")
            }
            writeLength(length, digits, field.lengthEncoding, &output)
        }
        switch field.encoding {
        case .binary: append(value, to: &output)
        case .ascii where field.format != .xn:
            // Numbers are filled with zeros on the left, characters with spaces on the right.
            if field.format == .n {
                for index in value.indices where value[unchecked: index] &- 0x30 > 9 {
                    throw .badValue(field: field.number, reason: "a character that is not a digit")
                }
                for _ in 0..<fill { output.append(0x30) }
                append(value, to: &output)
            } else {
                append(value, to: &output)
                for _ in 0..<fill { output.append(0x20) }
            }
        case .hex:
            for index in value.indices {
                output.append(hexCharacter(value[unchecked: index] >> 4))
                output.append(hexCharacter(value[unchecked: index] & 0x0F))
            }
        case .ascii, .ebcdic:
            let isEBCDIC = field.encoding == .ebcdic
            if field.format == .n {
                for _ in 0..<fill { output.append(isEBCDIC ? 0xF0 : 0x30) }
            }
            for index in value.indices {
                let byte = value[unchecked: index]
                // Signed numbers are filled after their sign.
                if field.format == .xn, index == 1 {
                    for _ in 0..<fill { output.append(isEBCDIC ? 0xF0 : 0x30) }
                }
                if field.format == .n, byte &- 0x30 > 9 {
                    throw .badValue(field: field.number, reason: "a character that is not a digit")
                }
                output.append(isEBCDIC ? EBCDIC.encoding[Int(byte)] : byte)
            }
            if field.format != .n, field.format != .xn {
                for _ in 0..<fill { output.append(isEBCDIC ? 0x40 : 0x20) }
            }
        case .bcd:
            if field.format == .xn {
                guard value.count >= 2 else { return }  // Refused above, as the length is fixed.
                let sign = value[0]
                output.append(field.signEncoding == .ebcdic ? EBCDIC.encoding[Int(sign)] : sign)
                try writeBCD(field, value.extracting(1..<value.count), fill, &output)
            } else {
                try writeBCD(field, value, fill, &output)
            }
        }
    }

    @inline(__always)
    static func writeBCD(
        _ field: FieldCoding, _ value: Span<UInt8>, _ fill: Int, _ output: inout [UInt8]
    ) throws(ISO8583Error) {
        let digits = value.count + fill
        // Counted in nibbles from the first byte of the field.
        var place = digits & 1 == 1 && field.padding == .leftZero ? 1 + fill : fill
        let start = output.count
        output.append(contentsOf: repeatElement(0, count: (digits + 1) / 2))
        var bytes = output.mutableSpan
        for index in value.indices {
            let character = value[unchecked: index]
            let nibble: UInt8
            switch character {
            case 0x30...0x39: nibble = character - 0x30
            case UInt8(ascii: "D") where field.format == .z, UInt8(ascii: "=") where field.format == .z:
                nibble = 0x0D
            default:
                throw .badValue(field: field.number, reason: "a character that BCD cannot hold")
            }
            bytes[unchecked: start + place >> 1] |= place & 1 == 0 ? nibble << 4 : nibble
            place += 1
        }
        if place & 1 == 1, field.padding == .rightF { bytes[unchecked: start + place >> 1] |= 0x0F }
    }

    /// The greatest number that a length prefix can hold.
    @inline(__always)
    static func greatestLength(_ digits: Int, _ encoding: FieldSpecification.Encoding) -> Int {
        if encoding == .binary { return 1 << (prefixCount(digits, encoding) * 8) - 1 }
        switch digits {
        case ...2: return digits <= 1 && encoding != .bcd ? 9 : 99
        case 3: return encoding == .bcd ? 9999 : 999
        case 4: return 9999
        default: return digits == 5 && encoding != .bcd ? 99_999 : 999_999
        }
    }

    static func writeLength(
        _ length: Int, _ digits: Int, _ encoding: FieldSpecification.Encoding, _ output: inout [UInt8]
    ) {
        let count = prefixCount(digits, encoding)
        switch encoding {
        case .binary:
            for position in stride(from: count - 1, through: 0, by: -1) {
                output.append(UInt8(truncatingIfNeeded: length >> (position * 8)))
            }
        case .bcd:
            var divisor = 1
            for _ in 1..<max(1, count) { divisor *= 100 }
            for _ in 0..<count {
                let pair = length / divisor % 100
                output.append(UInt8(pair / 10) << 4 | UInt8(pair % 10))
                divisor /= 100
            }
        default:
            let zero: UInt8 = encoding == .ebcdic ? 0xF0 : 0x30
            var divisor = 1
            for _ in 1..<max(1, digits) { divisor *= 10 }
            for _ in 0..<digits {
                output.append(zero + UInt8(length / divisor % 10))
                divisor /= 10
            }
        }
    }
}
