import BERTLV
import Testing
import TestTools

@testable import EMVDictionary

/// Commands and responses of one card, each explained by what came before.
@Suite struct ExchangeContextTests {
    struct Exchange {
        var context = ExchangeContext()
        var options = EMVDecoder.Options()

        mutating func sent(_ hex: String) -> ExplainedNode {
            var options = options
            options.kind = .command
            let bytes = Hex.bytes(hex)!
            return EMVDecoder.explain(bytes, options, hint: context.sent(bytes))
        }
        mutating func received(_ hex: String) -> ExplainedNode {
            var options = options
            options.kind = .response
            let bytes = Hex.bytes(hex)!
            return EMVDecoder.explain(bytes, options, hint: context.received(bytes))
        }
    }

    /// FCI with a PDOL of 9F66 (4), 9F02 (6), 9F37 (4), 5F2A (2); a Visa AID.
    static var selected: Exchange {
        var exchange = Exchange()
        _ = exchange.sent("00A4040007A000000003101000")
        let inner = "9F380C9F66049F02069F37045F2A02" + "9F110105" + "5004B2B8B7B0"
        let proprietary = "A5" + hexLength(inner) + inner
        let content = "8407A0000000031010" + proprietary
        let node = exchange.received("6F" + hexLength(content) + content + "9000")
        #expect(!node.hasErrors)
        #expect(node.first(tag: "50")?.lines.map(\.text) == ["\"ВИЗА\" (ISO/IEC 8859-5)"])
        return exchange
    }
    static func hexLength(_ hex: String) -> String {
        let text = String(hex.utf8.count / 2, radix: 16, uppercase: true)
        return text.utf8.count == 1 ? "0" + text : text
    }

    @Test func processingOptions() {
        var exchange = Self.selected
        let node = exchange.sent("80A80000128310" + "3600C000" + "000000001500" + "12345678" + "0978" + "00")
        #expect(!node.hasErrors, "\(node.text())")
        #expect(node.first(tag: "9F66")?.value == "3600C000")
        #expect(node.first(tag: "9F02")?.lines.map(\.text) == ["EUR 15.00"])
        #expect(node.first(tag: "9F37")?.value == "12345678")
        #expect(node.first(tag: "5F2A")?.lines.first?.text.hasPrefix("EUR") == true)
        // By itself it stays bytes.
        var alone = Exchange()
        #expect(
            alone.sent("80A80000128310" + "3600C000000000001500123456780978" + "00").first(tag: "9F66") == nil
        )
    }

    /// The first GENERATE AC answers CDOL1, the second CDOL2; another SELECT forgets both.
    @Test func cryptograms() {
        var exchange = Self.selected
        let lists = "8C089F02069F03069A03" + "8D058A029F3704"
        _ = exchange.sent("00B2011400")
        #expect(!exchange.received("70" + Self.hexLength(lists) + lists + "9000").hasErrors)
        let first = exchange.sent("80AE80000F" + "000000001500" + "000000000000" + "261130" + "00")
        #expect(first.first(tag: "9A")?.lines.map(\.text) == ["2026-11-30"])
        #expect(first.first(tag: "9F03") != nil && !first.hasErrors)
        let second = exchange.sent("80AE400006" + "3030" + "1A2B3C4D" + "00")
        #expect(second.first(tag: "8A")?.lines.first?.text.hasPrefix("\"00\"") == true)
        #expect(second.first(tag: "9F37")?.value == "1A2B3C4D")
        _ = exchange.sent("00A4040007A000000003101000")
        #expect(exchange.sent("80AE80000F00000000150000000000000026113000").first(tag: "9A") == nil)
    }

    /// A list that does not fit is not the one that was answered: the bytes stay.
    @Test func listsThatDoNotFit() {
        var exchange = Self.selected
        let node = exchange.sent("80A80000048302360000")
        #expect(!node.hasErrors && node.first(tag: "9F66") == nil)
        // DDOL: the terminal's own where the card has none.
        #expect(exchange.sent("00880000041A2B3C4D00").first(tag: "9F37")?.value == "1A2B3C4D")
    }

    /// Kernel 2 with data storage: the DSDOL's data come behind those of CDOL1. Visa's 9F5B is something else.
    @Test func dataStorage() {
        for (aid, holds) in [("A0000000041010", true), ("A0000000031010", false)] {
            var exchange = Exchange()
            _ = exchange.sent("00A4040007\(aid)00")
            _ = exchange.received("6F0C8407\(aid)A501009000")
            let lists = "8C039F3704" + "9F5B03DF6008"
            _ = exchange.sent("00B2010C00")
            _ = exchange.received("70" + Self.hexLength(lists) + lists + "9000")
            let node = exchange.sent("80AE80000C" + "1A2B3C4D" + "0102030405060708" + "00")
            #expect((node.first(tag: "DF60")?.value == "0102030405060708") == holds, "\(node.text())")
            #expect(!node.hasErrors)
        }
    }

    /// Records of the log are values without tags, in the order of the Log Format (EMV Book 3, Annex D4). This one would be
    /// read as data objects: 9A 03 ... and so on.
    @Test func logRecords() {
        var exchange = Exchange()
        _ = exchange.sent("00A4040007A000000003101000")
        let entry = "BF0C059F4D020B0A"
        let proprietary = "A5" + Self.hexLength(entry) + entry
        let content = "8407A0000000031010" + proprietary
        _ = exchange.received("6F" + Self.hexLength(content) + content + "9000")
        let record = "9A03261130" + "9C0100"
        // Without the format the bytes alone.
        _ = exchange.sent("00B2015C00")
        let bare = exchange.received(record + "9000")
        #expect(bare.children.first?.name == "Transaction log record")
        #expect(bare.first(tag: "9A") == nil && bare.text().contains("9F4F"))
        _ = exchange.sent("80CA9F4F00")
        #expect(!exchange.received("9F4F0B9F02069A039F21039F3602" + "9000").isMasked)
        _ = exchange.sent("80CA9F4F00")
        _ = exchange.received("9F4F089A039F02035F2A02" + "9000")
        _ = exchange.sent("00B2015C00")
        let node = exchange.received("261130" + "001500" + "0978" + "9000")
        #expect(!node.hasErrors, "\(node.text())")
        #expect(node.first(tag: "9A")?.lines.map(\.text) == ["2026-11-30"])
        #expect(node.first(tag: "5F2A")?.lines.first?.text.hasPrefix("EUR") == true)
        // Records of other files are data objects as ever.
        _ = exchange.sent("00B2010C00")
        #expect(exchange.received("70055A033811229000").first(tag: "5A") != nil)
    }

    /// Issuer Code Table Index: "ВИЗА" in part 5.
    @Test(arguments: [
        ("9F1101059F1204B2B8B7B0", "\"ВИЗА\" (ISO/IEC 8859-5)"),
        ("9F1204B2B8B7B09F110105", "\"ВИЗА\" (ISO/IEC 8859-5)"),
        ("9F1204B2B8B7B0", "\"²¸·°\" (ISO/IEC 8859-1)"),
        ("9F1101079F1204C2C9C6C1", "\"ΒΙΖΑ\" (ISO/IEC 8859-7)"),
        ("9F1101059F120456495341", "\"VISA\""),
        ("9F1101129F1204E9E9E9E9", "\"éééé\" (as ISO/IEC 8859-1: part 12 is not known)"),
        ("9F1101089F1202E0FD", "not text"), ("9F1101059F1202561B", "not text"),
    ]) func alphabets(hex: String, line: String) {
        let node = EMVDecoder.explain(hex: hex)
        #expect(node.first(tag: "9F12")?.lines.first?.text == line)
    }

    @Test(.needs(.oracles)) func partsOf8859() throws {
        let lines = try PythonOracle("iso8859.py").lines()
        #expect(lines.count == 15)
        for line in lines {
            let words = line.split(separator: " ")
            let part = try #require(Int(words[0]))
            #expect(IssuerCodeTable.isKnown(part))
            for (index, word) in words.dropFirst().enumerated() {
                let point = try #require(UInt32(word, radix: 16))
                let text = IssuerCodeTable.text([UInt8(0xA0 + index)], part: part)
                // Marks of direction cannot be seen.
                let expected = point == 0 || point == 0x200E || point == 0x200F ? nil : Unicode.Scalar(point)
                #expect(text?.unicodeScalars.first == expected, "part \(part), byte \(0xA0 + index)")
            }
        }
    }
}

@Suite struct PastedHexTests {
    @Test(arguments: [
        ("6A82", "6A82", nil as String?), ("00 A4:04-00", "00A40400", nil), ("0x9F 0x02", "9F02", nil),
        ("[+] <<<< 6A82", "6A82", "after \"[+] <<<<\""), ("[=] >>>> 00 A4 04 00", "00A40400", "after"),
        ("00000123 APDU: 00 A4 04 00 0E", "00A404000E", "after \"00000123 APDU:\""),
        ("00012345 SW: 90 00", "9000", "after"), ("Sending: 00 A4 04 00", "00A40400", "after \"Sending:\""),
        ("<- 90 00 (success)", "9000", "before \"(success)\""),
        ("C-APDU:00A40400", "00A40400", "after \"C-APDU:\""),
        ("2026-11-30 21:04:11.123 DEBUG rx: 6F0A8408", "6F0A8408", "after"),
        (
            "00000010  00 a4 04 00 0e 32 50 41  59 2e 53 59 53 2e 44 44  |.....2PAY.SYS.DD|",
            "00A404000E325041592E5359532E4444", "a line of a hexadecimal dump"
        ),
        ("00000010: 00a4 0400 0e32 5041  .....2PA", "00A404000E325041", "a line of a hexadecimal dump"),
        ("error: nothing here", "", nil), ("", "", nil), ("9F6", "", nil),
    ]) func lines(text: String, hex: String, says: String?) {
        guard !hex.isEmpty else { return #expect(PastedHex(text) == nil, "\(text)") }
        let pasted = PastedHex(text)
        #expect(pasted.map { Hex.string($0.bytes) } == hex)
        if let says { #expect(pasted?.note?.contains(says) == true, "\(pasted?.note ?? "no note")") }
        if says == nil { #expect(pasted?.note == nil) }
    }

    /// Field 55 with its length: three digits in ASCII, two bytes in BCD or binary, digits before the text.
    @Test(arguments: [
        "0010", "000A", "0A", "10", "303130",
    ]) func lengthsInFront(prefix: String) {
        let objects = "9A03261130" + "5F2A020978"
        let node = EMVDecoder.explain(hex: prefix + objects)
        #expect(node.first(tag: "9A")?.value == "261130", "\(node.text())")
        #expect(node.lines.first?.text.contains("behind a length of 10 bytes") == true, "\(node.text())")
        #expect(!node.hasErrors)
    }

    @Test func lengthInDigits() {
        let node = EMVDecoder.explain(hex: "010" + "9A03261130" + "5F2A020978")
        #expect(node.first(tag: "5F2A")?.value == "0978")
        #expect(node.lines.first?.text == "read: behind a length of 10 bytes (three digits)")
    }

    /// What another tool wrote, explained, with what was passed over.
    @Test func explained() {
        let node = EMVDecoder.explain(hex: "[+] <<<< 6A82")
        #expect(node.name == "Response APDU")
        #expect(node.lines.first?.text == "read: the digits after \"[+] <<<<\"")
        #expect(EMVDecoder.explain(hex: "9F66049F0206").lines.first?.text.contains("it would be cut") == true)
        #expect(EMVDecoder.explain(hex: "nothing").error?.contains("is not a hexadecimal digit") == true)
    }
}
