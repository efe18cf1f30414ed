import ISO8583
import Testing

/// The digit that fills up an odd count of BCD digits is looked at.
@Suite struct FillerTests {
    typealias Padding = FieldSpecification.Padding

    /// A dialect of field 48 alone.
    static func dialect(
        _ format: FieldSpecification.Format, _ length: FieldSpecification.Length, _ padding: Padding
    ) -> Dialect {
        Dialect(
            name: "fillers", typeEncoding: .bcd, bitmapEncoding: .binary,
            fields: [
                FieldSpecification(
                    number: 48, name: "Digits", format: format, length: length, encoding: .bcd,
                    lengthEncoding: .bcd, padding: padding)
            ])
    }

    static let head: [UInt8] = [0x02, 0x00, 0, 0, 0, 0, 0, 1, 0, 0]

    /// The digits 123 with each filler on the side of the padding.
    @Test(arguments: Padding.allCases, [FieldSpecification.Format.n, .z, .xn])
    func eachFiller(_ padding: Padding, _ format: FieldSpecification.Format) throws {
        let isVariable = format != .xn
        let dialect = Self.dialect(
            format, isVariable ? .variable(digits: 2, most: 19) : .fixed(4), padding)
        let taken: Set<UInt8> =
            switch padding {
            case .leftZero: [0]
            case .rightZero: [0, 0xF]
            case .rightF: [0xF]
            }
        for filler: UInt8 in 0...0xF {
            let digits: [UInt8] = padding == .leftZero ? [filler << 4 | 1, 0x23] : [0x12, 0x30 | filler]
            let bytes = Self.head + [isVariable ? 0x03 : UInt8(ascii: "C")] + digits
            let offset = padding == .leftZero ? 11 : 12
            if taken.contains(filler) {
                let message = try dialect.unpack(bytes)
                #expect(message.text(48) == (isVariable ? "123" : "C123"), "\(padding) \(filler)")
            } else {
                let error = ISO8583Error.badFiller(field: 48, offset: offset, padding: padding)
                #expect(throws: error, "\(padding) \(filler)") { try dialect.unpack(bytes) }
                // What is explained stops at the same place.
                #expect(dialect.explain(bytes).0.error == error.description)
                #expect(error.description.hasPrefix("field 48 at offset \(offset): the filler digit on the "))
            }
        }
    }

    /// What is written is read again, by the own padding alone; even counts have no filler.
    @Test(arguments: Padding.allCases, Padding.allCases) func others(_ writer: Padding, _ reader: Padding)
        throws
    {
        for digits in ["9", "98765", "1234567890123456789", "12345678901234567D25121"] {
            let length = FieldSpecification.Length.variable(digits: 2, most: 37)
            var message = Message(0x0200)
            message.set(48, digits)
            let format: FieldSpecification.Format = digits.contains("D") ? .z : .n
            let bytes = try Self.dialect(format, length, writer).pack(message)
            let read = try? Self.dialect(format, length, reader).unpack(bytes).text(48)
            let isSame = writer == reader || (writer, reader) == (.rightF, .rightZero)
            #expect(read == (isSame ? digits : nil), "\(writer) \(reader) \(digits)")
            message.set(48, digits + "5")
            let even = try Self.dialect(format, length, writer).pack(message)
            #expect(try Self.dialect(format, length, reader).unpack(even).text(48) == digits + "5")
        }
    }

    /// Of all odd numbers a reading by the wrong side takes those with a 0 there, and no other.
    @Test func everyThreeDigits() throws {
        let left = Self.dialect(.n, .fixed(3), .leftZero)
        let right = Self.dialect(.n, .fixed(3), .rightZero)
        for number in 0...999 {
            let text = String(String(number + 1000).dropFirst())
            var message = Message(0x0200)
            message.set(48, text)
            let read = try? left.unpack(right.pack(message)).text(48)
            #expect(read == (text.first == "0" ? String(text.dropFirst()) + "0" : nil))
        }
    }
}
