import BERTLV
import ISO8583
import ISO8583Dialects
import ProfileFile
import Testing
import TestTools

@Suite struct BadInputTests {
    static func dialect(_ name: String) throws -> Dialect { try #require(try Dialect.builtIn(name)) }

    /// Cut anywhere, a message is refused, and what can be read of it is explained.
    @Test(arguments: Dialect.builtInNames) func cutAnywhere(name: String) throws {
        let dialect = try Self.dialect(name)
        var random = SplitMix(seed: 11)
        let message = SampleMessages.random(in: dialect, &random)
        let bytes = try dialect.pack(message)
        #expect(try dialect.unpack(bytes) == message)
        for count in 0..<bytes.count {
            #expect(throws: ISO8583Error.self) { try dialect.unpack(Array(bytes[..<count])) }
            #expect(dialect.explain(Array(bytes[..<count])).0.error != nil)
        }
        #expect(throws: ISO8583Error.trailingBytes(offset: bytes.count, count: 1)) {
            try dialect.unpack(bytes + [0])
        }
    }

    /// Damaged in any way, a message is refused or read as what it says: writing it again gives the same message.
    @Test(arguments: Dialect.builtInNames) func fuzzed(name: String) throws {
        let dialect = try Self.dialect(name)
        var random = SplitMix(seed: 8583)
        var accepted = 0
        for _ in 0..<1500 {
            var bytes = try dialect.pack(SampleMessages.random(in: dialect, &random))
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch random.next() % 5 {
                case 0: bytes[place] ^= 1 << UInt8(random.next() % 8)
                case 1: bytes[place] = UInt8(random.next() & 0xFF)
                case 2: bytes.insert(UInt8(random.next() & 0xFF), at: place)
                case 3: bytes.removeSubrange(place..<min(bytes.count, place + 3))
                default: bytes[min(bytes.count - 1, 4 + place % 16)] = UInt8(random.next() & 0xFF)
                }
                if bytes.isEmpty { bytes = [0] }
            }
            let explained = dialect.explain(bytes)
            do {
                let message = try dialect.unpack(bytes)
                accepted += 1
                #expect(explained.0.error == nil)
                #expect(explained.1 == message)
                #expect(try dialect.unpack(dialect.pack(message)) == message)
            } catch {
                #expect(explained.0.error != nil)
            }
            for framing in [Framing(.binary(2)), Framing(.bcd, header: .tpdu), Framing(.ascii(4))] {
                var reader = FrameReader(framing, limit: 4096)
                reader.append(bytes)
                while let next = try? reader.next() { #expect(next.count <= 4096) }
            }
        }
        #expect(accepted > 50)
    }

    @Test(arguments: [
        (
            "generic-bcd", "",
            ISO8583Error.truncated(part: "the message type", offset: 0, needed: 2, available: 0)
        ),
        ("generic-bcd", "0A00", .badMessageType(offset: 0)),
        ("generic-bcd", "01004000", .truncated(part: "the bitmap", offset: 2, needed: 8, available: 2)),
        ("jpos-87a", "30313030374747", .truncated(part: "the bitmap", offset: 4, needed: 16, available: 3)),
        ("jpos-87a", "3031303047303030303030303030303030303030", .badBitmap(offset: 4)),
        ("generic-bcd", "0100400000000000000020", .badLength(field: 2, offset: 10, length: 20, most: 19)),
        ("generic-bcd", "010040000000000000001A", .badLength(field: 2, offset: 10, length: nil, most: 19)),
        (
            "generic-bcd", "0100400000000000000004123",
            .truncated(part: "field 2", offset: 11, needed: 2, available: 1)
        ),
        (
            "generic-bcd", "010040000000000000000412A4",
            .badContent(field: 2, offset: 12, reason: "expected decimal digits in BCD")
        ),
        (
            "generic-ascii", "30313030200000000000000030303030304E",
            .badContent(field: 3, offset: 17, reason: "expected a digit")
        ),
        (
            "moov-87",
            "3031303038303030303030303030303030303030" + "34" + String(repeating: "30", count: 15),
            .unknownField(66, offset: 36)
        ),
    ]) func errors(name: String, hex: String, error: ISO8583Error) throws {
        // An odd digit at the end stands for half a byte that is missing.
        let bytes = try #require(Hex.bytes(hex.count % 2 == 0 ? hex : String(hex.dropLast())))
        #expect(throws: error) { try Self.dialect(name).unpack(bytes) }
    }

    @Test(arguments: [
        (2, "12345678901234567890"), (3, "1234567"), (3, "12345X"), (28, "C"), (35, "4761E12"), (4, "12.50"),
        (41, "TERMINAL1"), (48, String(repeating: "A", count: 1000)),
    ]) func valuesThatCannotBeWritten(field: Int, text: String) throws {
        for name in ["generic-bcd", "generic-ascii"] where !(name == "generic-ascii" && field == 35) {
            var message = Message(0x0100)
            message.set(field, text)
            #expect {
                try Self.dialect(name).pack(message)
            } throws: {
                if case .badValue(field, _)? = $0 as? ISO8583Error { true } else { false }
            }
        }
    }

    @Test func bytesOfAFixedFieldMustBeWhole() throws {
        var message = Message(0x0100)
        message.set(52, [1, 2, 3])
        #expect(throws: ISO8583Error.badValue(field: 52, reason: "3 bytes, exactly 8 are needed")) {
            try Self.dialect("generic-bcd").pack(message)
        }
    }

    static let file = """
        name: mine
        version: 1987
        message-type: bcd
        bitmap: binary
        defaults:
          numeric: bcd
          text: ascii
          binary: binary
          length: bcd
        fields:
          2: { name: "Number", format: n, length: "LL 19", sensitive: pan }
          48: { name: "Private", format: ans, length: "LLL 999", layout: "tagged 2 3" }
        """

    @Test(arguments: [
        ("version: 1987", "version: 2003", 2, "1987 or 1993"),
        ("message-type: bcd", "message-type: morse", 3, "ascii"),
        ("message-type: bcd", "message-type: hex", 3, "ascii, bcd, ebcdic"),
        ("bitmap: binary", "bitmaps: binary", 1, "bitmap"),
        ("numeric: bcd", "numeric: binary", 6, "ascii"),
        ("length: bcd", "length: bcd\n  colour: red", 10, "colour"),
        ("2: {", "1: {", 11, "2"),
        ("2: {", "129: {", 11, "128"),
        ("2: {", "two: {", 11, "two"),
        ("format: n,", "format: m,", 11, "ans"),
        ("format: n,", "", 11, "format"),
        ("\"LL 19\"", "\"LL 190\"", 11, "LLL 999"),
        ("\"LL 19\"", "0", 11, "LLL 999"),
        ("sensitive: pan", "sensitive: very", 11, "pan"),
        ("sensitive: pan", "encoding: binary", 11, "cannot be written as binary"),
        ("tagged 2 3", "tagged 2", 12, "ber-tlv"),
        ("layout: \"tagged 2 3\"", "subfields: \"Name\"", 12, "a name and a length"),
        ("layout: \"tagged 2 3\"", "subfields: \"Rest *; Name 2\"", 12, "a name and a length"),
        ("  48:", "  2:", 12, ""),
    ]) func dialectFiles(old: String, new: String, line: Int, says: String) throws {
        #expect(throws: Never.self) { try Dialect(text: Self.file, source: "mine.yaml") }
        let text = Self.file.replacing(old, with: new, maxReplacements: 1)
        #expect {
            try Dialect(text: text, source: "mine.yaml")
        } throws: {
            let error = $0 as? ProfileFileError
            return error?.file == "mine.yaml" && (error?.line == line || error?.line == line - 1)
                && (says.isEmpty || "\(error!)".contains(says))
        }
    }

    @Test func dialectsThatAreNotThere() {
        #expect {
            try Dialect.named("generic-acsii")
        } throws: { "\($0)".contains("generic-ascii") }
        #expect {
            try Dialect.named("/no/such.yaml")
        } throws: { "\($0)".contains("/no/such.yaml") }
    }
}
