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
        // jPOS's HEXChannel; CSChannel, VAPChannel and moov's VMLH; BASE24TCPChannel; BASE24Channel.
        ("hex-4 tpdu", "30303043"), ("hex-2", "3043"), ("2-byte gap 2", "000C0000"),
        ("2-byte gap 2 header 10", "000C0000"), ("2-byte +self gap 2", "000E0000"),
    ]) func lengths(text: String, prefix: String) throws { try check(text, prefix, trailer: "") }

    @Test(arguments: [
        ("2-byte trailer FF", "000D", "FF"), ("none trailer FF", "", "FF"),
        ("none header 4 trailer FF", "", "FF"),
        ("ascii-4 +self trailer 0DFF0A", "30303139", "0DFF0A"), ("none tpdu trailer FFFF", "", "FFFF"),
    ]) func trailers(text: String, prefix: String, trailer: String) throws {
        try check(text, prefix, trailer: trailer)
    }

    private func check(_ text: String, _ prefix: String, trailer: String) throws {
        let framing = try #require(Framing(text))
        #expect(framing.description == text)
        let content = (0..<12).map { UInt8($0) }
        let framed = try framing.frame(content)
        #expect(Hex.string(framed) == prefix + Hex.string(content) + trailer)
        #expect(try framing.content(of: framed) == content)
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
        "2-byte header 256", "2-byte tpdu more", "none", "none +self tpdu", "none gap 2 tpdu", "hex-9",
        "2-byte gap",
        "2-byte gap 0", "2-byte trailer", "2-byte trailer 3", "2-byte trailer XY", "2-byte tpdu gap 2",
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

    /// A header without a length, as logs show messages: read as one, but no framing of a connection.
    @Test func nothingTellsMessagesApart() throws {
        for (text, frame) in [
            ("none tpdu", "60000300000200"), ("none header 12", "49534F3032363030303037300200"),
        ] {
            let framing = try #require(Framing(text))
            #expect(!framing.isDelimited)
            #expect(try framing.content(of: Hex.bytes(frame)!) == Hex.bytes(frame)!)
            #expect(throws: FramingError.badLength) { try framing.content(of: [0x60, 0, 3, 0, 0]) }
        }
    }

    @Test func trailersThatAreNotThere() throws {
        let framing = try #require(Framing("2-byte trailer 03"))
        #expect(throws: FramingError.noTrailer) { try framing.content(of: [0, 3, 1, 2, 4]) }
        #expect(throws: FramingError.badLength) { try framing.content(of: [0, 1, 3]) }
        let open = try #require(Framing("none trailer 03"))
        #expect(throws: FramingError.trailerInside) { try open.frame([2, 3, 4]) }
        var reader = FrameReader(open, limit: 4)
        reader.append([3, 3, 1, 2, 3, 9])
        #expect(try reader.next() == [1, 2])
        #expect(try reader.next() == nil)
        reader.append([9, 9, 9, 9, 9])
        #expect(throws: FramingError.exceedsLimit(5, most: 4)) { try reader.next() }
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
