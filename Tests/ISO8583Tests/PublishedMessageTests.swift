import BERTLV
import EMVCryptography
import ISO8583
import ISO8583Dialects
import Testing

/// Messages that other libraries publish as what they write.
@Suite struct PublishedMessageTests {
    /// Fields that jPOS' tests have in both versions, and those of one.
    static func jPOSMessage(_ version: Dialect.Version, has90: Bool) -> Message {
        var message = Message(version == .v1987 ? 0x0800 : 0x1800)
        var fields: [Int: String] = [
            2: "1234567890123456789", 3: "000000", 4: "000000000100", 5: "000000000200", 6: "000000000300",
            7: "0611191024", 8: "12345678", 9: "12345678", 10: "12345678", 11: "000001", 13: "0611",
            14: "1001",
            16: "0112", 17: "0611", 18: "1234", 19: "858", 20: "032", 21: "400", 23: "001", 24: "003",
            27: "1",
            34: "ABCDEFGHIJKLMNOPQRSTUVWXYZ01", 36: "THE QUICK BROWN FOX JUMPED OVER THE LAZY DOG",
            37: "123456789ABC", 38: "123456", 41: "0001ABCD", 42: "123456789012345",
            43: "JPOS CARD ACCEPTOR / WWW.JPOS.ORG       ", 44: "jPOSjPOSjPOSjPOSjPOSjPOS",
            45: "JPOSJPOSJPOSJPOSJPOSJPOS", 46: "ADDITIONAL DATA - ISO", 47: "ADDITIONAL DATA - NATIONAL",
            48: "ADDITIONAL DATA - PRIVATE", 49: "032", 50: "032", 51: "032", 54: "000000001000000000002000",
            56: "EFGH", 59: "QRST", 60: "UVWX", 61: "YZ01", 62: "A002", 63: "ABCDDCBA",
        ]
        let own: [Int: String] =
            version == .v1987
            ? [
                12: "010203", 15: "0112", 22: "000", 25: "00", 26: "01", 28: "000000100", 29: "000000200",
                30: "000000300", 31: "000000400", 32: "123456", 33: "654321", 39: "00", 40: "ABC",
                53: "1234567890123456", 55: "ABCD", 57: "IJKL", 58: "MNOP",
                90: "000000000000000000000000000000000000000000",
            ]
            : [
                12: "010203193005", 15: "011205", 22: "ABCDEFGHIJKL", 25: "0000", 26: "0001", 28: "010203",
                29: "000", 30: "000000000100000000000100", 31: "ACQUIRER REF.DATA", 32: "12345678901",
                33: "10987654321", 39: "000", 40: "000", 57: "000", 58: "123456", 90: "1234567890",
            ]
        fields.merge(own) { $1 }
        for (field, text) in fields { message.set(field, text) }
        message.set(52, Hex.bytes("0001020304050607")!)
        message.set(64, Hex.bytes("CAFEBABECAFEBABE")!)
        if version == .v1993 {
            // They have letters in this field of digits: BCD takes the low halves.
            message.set(56, "5678")
            message.set(53, Hex.bytes("1234567890123456")!)
            message.set(55, Hex.bytes("CAFEBABECAFEBABE")!)
        }
        if !has90 { message.remove(90) }
        return message
    }

    /// SHA-256 of the messages in jPOS' test resources (org/jpos/iso/packagers), where the fields are told in XML.
    @Test(arguments: [
        ("jpos-87a", true, "=", "0565A57A355B38A050A68B63D097F6DAA29BA63B6D57762F40C8EF84CED25490"),
        ("jpos-87b", true, "D", "72F53722D5561858B270717C4D527BE3A5801B0C493A7D5648327078D005AB10"),
        ("jpos-93a", true, "=", "123408E18B85DF7103433651B38039A63F6603861B105015609108F62680B8F3"),
        ("jpos-93b", true, "=", "DAD8D0BBC569B8C5972F1134F42CB596CC26220035E3513F223D8F4BB416A64F"),
        ("jpos-87a", false, "=", "184624A6D845A93A1DC8DFFC1B102F150C733FBC8BDAEC75C0366DCD49B5AB1E"),
        ("jpos-87b", false, "D", "51AF66B6318F579C9875B5808E327FA4A63CFDF575C3306FC3F24DAE727FA159"),
    ]) func jPOS(name: String, has90: Bool, separator: String, digest: String) throws {
        let dialect = try #require(try Dialect.builtIn(name))
        var message = Self.jPOSMessage(dialect.version, has90: has90)
        message.set(35, "1234567890123456\(separator)12345678901234567890")
        let bytes = try dialect.pack(message)
        #expect(try dialect.unpack(bytes) == message)
        let published = name == "jpos-93a" ? bytes.replacing("045678".utf8, with: "04EFGH".utf8) : bytes
        #expect(Hex.string(SHA256.hash(published)) == digest)
    }

    /// From the documentation and tests of moov-io/iso8583, whose bitmap there has 16 digits.
    @Test func moov() throws {
        let dialect = try #require(try Dialect.builtIn("moov-87"))
        let bytes = Array("01007000000000000000164242424242424242123456000000000100".utf8)
        let message = try dialect.unpack(bytes)
        #expect(message.type == 0x0100)
        #expect(message.fields == [2, 3, 4])
        #expect(message.text(2) == "4242424242424242")
        #expect(message.text(3) == "123456")
        #expect(message.text(4) == "000000000100")
        #expect(try dialect.pack(message) == bytes)
    }

    /// From the documentation of pyiso8583.
    @Test func pyISO8583() throws {
        let dialect = try #require(try Dialect.builtIn("pyiso8583-default"))
        let bytes =
            Array("0200".utf8) + Hex.bytes("4010100000000000")! + Array("161234567890123456123456111".utf8)
        let message = try dialect.unpack(bytes)
        #expect(message.fields == [2, 12, 20])
        #expect(message.text(2) == "1234567890123456")
        #expect(message.text(12) == "123456")
        #expect(message.text(20) == "111")
        #expect(try dialect.pack(message) == bytes)
    }
}
