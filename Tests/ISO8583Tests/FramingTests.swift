import BERTLV
import ISO8583
import Testing

@Suite struct FramingTests {
    /// What stands before twelve bytes of header and message.
    @Test(arguments: [
        ("2-byte", "000C"), ("4-byte", "0000000C"), ("ascii-4", "30303132"), ("ascii-3", "303132"),
        ("bcd", "0012"), ("2-byte +self", "000E"), ("4-byte +self", "00000010"),
        ("ascii-4 +self", "30303136"),
        ("2-byte tpdu", "000C"), ("ascii-4 header 3", "30303132"),
    ]) func lengths(text: String, prefix: String) throws {
        let framing = try #require(Framing(text))
        #expect(framing.description == text)
        let content = (0..<12).map { UInt8($0) }
        let framed = try framing.frame(content)
        #expect(Hex.string(framed) == prefix + Hex.string(content))
        // Also byte by byte, and two in one piece.
        var reader = FrameReader(framing)
        for byte in framed.dropLast() {
            reader.append([byte])
            #expect(try reader.next() == nil)
        }
        reader.append(framed.suffix(1) + framed)
        #expect(try reader.next() == content)
        #expect(try reader.next() == content)
        #expect(try reader.next() == nil)
        #expect(reader.pending == 0)
    }

    @Test(arguments: [
        "", "3-byte", "ascii", "ascii-1", "ascii-9", "ascii-x", "2-byte self", "2-byte header",
        "2-byte header 0",
        "2-byte header 256", "2-byte tpdu more", "none",
    ]) func noFramings(text: String) { #expect(Framing(text) == nil) }

    @Test(arguments: [
        ("ascii-4", "30304130", FramingError.badLength), ("bcd", "00A0", .badLength),
        ("2-byte +self", "0001", .badLength), ("2-byte tpdu", "0005", .badLength),
        ("4-byte", "FFFFFFFF", .exceedsLimit(0xFFFF_FFFF, most: 100)),
        ("2-byte", "0065", .exceedsLimit(101, most: 100)),
    ]) func badLengths(text: String, hex: String, error: FramingError) throws {
        var reader = FrameReader(try #require(Framing(text)), limit: 100)
        reader.append(Hex.bytes(hex)!)
        #expect(throws: error) { try reader.next() }
    }

    @Test func tooLong() {
        #expect(throws: FramingError.tooLong(10000, most: 9999)) {
            try Framing(.ascii(4)).frame(Array(repeating: 0, count: 10000))
        }
        #expect(throws: FramingError.tooLong(65536, most: 65535)) {
            try Framing(.binary(2)).frame(Array(repeating: 0, count: 65536))
        }
    }

    @Test func keepAlivesArePassedOver() throws {
        var reader = FrameReader(Framing(.binary(2)))
        reader.append(Hex.bytes("00000000000101")!)
        #expect(try reader.next() == [1])
        #expect(try reader.next() == nil)
    }

    @Test func tpduIsTurnedAround() {
        #expect(Framing(header: .tpdu).answerHeader(to: [0x60, 1, 2, 3, 4]) == [0x60, 3, 4, 1, 2])
        #expect(Framing(header: .fixed(3)).answerHeader(to: [7, 8, 9]) == [7, 8, 9])
    }
}
