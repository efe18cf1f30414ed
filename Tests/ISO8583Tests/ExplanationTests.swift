import BERTLV
import Foundation
import ISO8583
import ISO8583Dialects
import Testing

@Suite struct ExplanationTests {
    /// Nothing of number, track, PIN block and key is shown, in whatever dialect.
    @Test(arguments: Dialect.builtInNames) func masks(name: String) throws {
        let dialect = try #require(try Dialect.builtIn(name))
        var message = Message(0x0100)
        let values = [
            2: "4761739001010119", 35: "4761739001010119D31122011143878089",
            45: "B4761739001010119^CARD/TEST^31122",
            48: "ref 4761739001010119 end", 63: "ref 6759649826438453.", 102: "DE4761739001010119",
        ]
        for (field, text) in values where dialect[field].map({ $0.most >= text.count }) ?? false {
            message.set(field, text)
        }
        message.set(52, Hex.bytes("0123456789ABCDEF")!)
        message.set(64, Hex.bytes("FEDCBA9876543210")!)
        let (explanation, _) = dialect.explain(try dialect.pack(message))
        #expect(explanation.error == nil)
        let shown = [explanation.text(), message.description(in: dialect), "\(message)", "\(explanation)"]
        for text in shown {
            for secret in ["39001010", "64982643", "31122011", "CARD/TEST", "0123456789ABCDEF", "FEDCBA98"] {
                #expect(!text.contains(secret), "\(secret) in \(text)")
            }
        }
        #expect(explanation.text().contains("476173******0119"))
        var dumped = ""
        dump(message, to: &dumped)
        #expect(!dumped.contains("39001010"))
    }

    /// A card number in packed digits of a field of bytes, and among other digits of a private field.
    @Test(arguments: [
        (65, Hex.bytes("4761739001010119") ?? [], "476173******0119"),
        (63, Array("00004761739001010119".utf8), "0000476173******0119"),
        (63, Array("47617390010101193".utf8), "476173******01193"),
        // What is left behind the stars is a run of its own with a right check digit.
        (
            63, Array("2840000021647617390010101190000000000000".utf8),
            "284000" + String(repeating: "*", count: 19) + "190000*****0000"
        ),
    ]) func masksAmongOtherData(field: Int, value: [UInt8], shown: String) throws {
        let dialect = try #require(try Dialect.builtIn("jpos-93b"))
        var message = Message(0x1100)
        message.set(field, value)
        let (explanation, _) = dialect.explain(try dialect.pack(message))
        #expect(explanation.error == nil)
        #expect(explanation.fields.last?.value == shown)
        #expect(!message.description(in: dialect).contains("4761739001010119"))
    }

    @Test(arguments: [
        ("476173900101011", "476173*****1011"), ("4761739001", "**********"), ("12345678901", "123456*8901"),
        ("1234567890123456789", "123456*********6789"),
    ]) func numbers(number: String, shown: String) throws {
        let dialect = try #require(try Dialect.builtIn("generic-ascii"))
        var message = Message(0x0100)
        message.set(2, number)
        #expect(dialect.explain(try dialect.pack(message)).0.fields.first?.value == shown)
    }

    @Test func saysWhatStandsWhere() throws {
        let dialect = try #require(try Dialect.builtIn("generic-bcd"))
        var message = Message(0x0421)
        message.set(3, "200030")
        message.set(22, "071")
        message.set(39, "51")
        message.set(54, "0002840C0000000012500002840D000000000001")
        message.set(90, "010000012311202230150000047617390000000000")
        message.set(70, "301")
        let (explanation, _) = dialect.explain([0x60, 0, 1, 0, 2] + (try dialect.pack(message)), from: 5)
        #expect(explanation.header == "6000010002")
        #expect(explanation.typeMeaning == "reversal advice (acquirer, repeat; 1987)")
        #expect(explanation.bitmap == "A00004000200040004000040000000" + "00")
        #expect(explanation.fields.map(\.number) == [3, 22, 39, 54, 70, 90])
        // Type 2 bytes, bitmaps 16; each field in BCD or characters.
        #expect(explanation.fields.map(\.offset) == [23, 26, 28, 30, 72, 74])
        #expect(explanation.fields.map(\.byteCount) == [3, 2, 2, 42, 2, 21])
        #expect(explanation.fields[0].pieces.map(\.meaning) == ["return of goods", "default", "credit"])
        #expect(explanation.fields[1].pieces.map(\.meaning) == ["contactless chip", "can enter PINs"])
        #expect(explanation.fields[2].meaning == "insufficient funds")
        #expect(explanation.fields[3].pieces.count == 10)
        #expect(explanation.fields[4].meaning == "echo test")
        #expect(explanation.fields[5].pieces.map(\.value)[..<3] == ["0100", "000123", "1120223015"])
        let json = try JSONEncoder().encode(explanation)
        #expect(try JSONDecoder().decode(MessageExplanation.self, from: json) == explanation)
    }

    @Test func elementsOfTagAndLength() {
        let layout = SubfieldLayout.tagged(tag: 2, length: 3)
        let joined = layout.joined([("01", Array("AB".utf8)), ("77", [])])
        #expect(joined == Array("01002AB77000".utf8))
        let pieces = layout.split(ArraySlice(Array("01002AB7700".utf8)))
        #expect(pieces.map(\.name) == ["01", "?"])
        #expect(pieces.map { String(decoding: $0.value, as: UTF8.self) } == ["AB", "7700"])
        #expect(layout.joined([("1", [])]) == nil)
        #expect(layout.joined([("01", Array(repeating: 0, count: 1000))]) == nil)
    }

    @Test func types() {
        #expect(MessageType(0x0100).response == 0x0110)
        #expect(MessageType(0x0421).response == 0x0430)
        #expect(MessageType(0x0420).repeated == 0x0421)
        #expect(MessageType(0x0810).isResponse)
        #expect(!MessageType(0x0401).isResponse)
        #expect(MessageType(0x9999).meaning == nil)
    }
}
