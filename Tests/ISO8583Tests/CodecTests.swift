import BERTLV
import ISO8583
import ISO8583Dialects
import Testing

@Suite struct CodecTests {
    /// The 0100 whose packed sizes were measured with jPOS, moov-io/iso8583 and pyiso8583.
    static func authorizationRequest(chip: [UInt8]) -> Message {
        var message = Message(0x0100)
        for (field, text) in [
            (2, "4761739001010119"), (3, "000000"), (4, "000000001500"), (7, "1120223015"), (11, "000123"),
            (12, "223015"), (13, "1120"), (14, "3112"), (18, "5812"), (19, "840"), (22, "071"),
            (23, "001"), (25, "00"), (32, "47617390"), (35, "4761739001010119D31122011143878089"),
            (37, "632522000123"), (41, "TERM0001"), (42, "MERCHANT0000001"),
            (43, "ACME COFFEE          SPRINGFIELD  ILUSA "), (49, "840"),
        ] { message.set(field, text) }
        message.set(55, chip)
        return message
    }
    static let chip = Hex.bytes(
        "9F260824C5608C4CDCC70C9F2701809F100706010A03A000009F37041A2B3C4D9F36020042950500000000009A032611209C01009F02060000000015005F2A020840820220009F1A0208409F03060000000000009F3303E0B8C89F34031F03029F3501229F1E08534E3030303030318407A00000000310109F0607A00000000310109F090200969F4104000001235F3401019F6E04207000009F66043600C0009F6C023E005F24033112319F3901079F21032230159F40056000F0A0019F4E0841434D4520434146"
    )!

    @Test(arguments: [("generic-ascii", 420), ("generic-bcd", 355)])
    func packsToTheMeasuredSize(dialect: String, size: Int) throws {
        let dialect = try #require(try Dialect.builtIn(dialect))
        let message = Self.authorizationRequest(chip: Self.chip)
        let bytes = try dialect.pack(message)
        #expect(bytes.count == size)
        #expect(Hex.string(bytes).contains("723C668128E08200"))
        #expect(try dialect.unpack(bytes) == message)
    }

    @Test(arguments: Dialect.builtInNames)
    func everyDialectLoads(name: String) throws {
        let dialect = try #require(try Dialect.builtIn(name))
        #expect(dialect[2]?.sensitivity == .pan)
    }
}
