import BERTLV
import ISO8583
import ISO8583Dialects
import ProfileFile
import Testing
import TestTools

/// Dialects that bear the name of a library read and write that library's messages, both ways.
@Suite(.serialized) struct LibraryDialectTests {
    private func check(_ oracle: OracleMessage) throws {
        let dialect = try #require(try Dialect.builtIn(oracle.layout))
        #expect(try dialect.unpack(oracle.bytes) == oracle.message)
        #expect(Hex.string(try dialect.pack(oracle.message)) == Hex.string(oracle.bytes))
    }

    @Test(arguments: OracleMessage.all(moovVectors)) func moovCommitted(_ oracle: OracleMessage) throws {
        try check(oracle)
    }

    /// Packed by moov-io/iso8583 itself (commit b7a9ed4) with `specs.Spec87ASCII`: type, 32 digits of bitmap, field 11.
    @Test func moovsOwnBitmap() throws {
        let dialect = try #require(try Dialect.builtIn("moov-87ascii"))
        let bytes = Array("080000200000000000000000000000000000000123".utf8)
        let message = try dialect.unpack(bytes)
        #expect(message.type == 0x0800)
        #expect(message.fields == [11])
        #expect(message.text(11) == "000123")
        #expect(try dialect.pack(message) == bytes)
        // A field over 64 sets its own bit alone.
        var second = message
        second.set(90, String(repeating: "0", count: 42))
        let packed = String(decoding: try dialect.pack(second), as: UTF8.self)
        #expect(packed.hasPrefix("080000200000000000000000004000000000000123"))
    }

    /// Chip data are hexadecimal digits there, and their length counts them.
    @Test(arguments: ["moov-87", "moov-87ascii"]) func moovsChipData(name: String) throws {
        let dialect = try #require(try Dialect.builtIn(name))
        var message = Message(0x0200)
        message.set(55, Hex.bytes("9F2608FFFEFDFCFBFAF9F8")!)
        let text = String(decoding: try dialect.pack(message), as: UTF8.self)
        #expect(text.hasSuffix("0229F2608FFFEFDFCFBFAF9F8"))
        let odd = Array(text.dropLast(1).replacing("0229F", with: "0219F").utf8)
        #expect {
            try dialect.unpack(odd)
        } throws: {
            if case .badContent(55, _, _)? = $0 as? ISO8583Error { true } else { false }
        }
    }

    private func run(_ script: String, _ arguments: [String], input: String = "") throws -> [OracleMessage] {
        OracleMessage.all(
            try PythonOracle(script).run(arguments, input: input), hasBytes: arguments[0] == "make")
    }

    /// Five hundred messages there, as many back.
    @Test(
        .needs(.oracles),
        arguments: [
            ("moov_messages.py", "moov-87"), ("moov_messages.py", "moov-87ascii"),
            ("iso8583_messages.py", "pyiso8583-default"),
        ]) func thousandsBothWays(script: String, name: String) throws
    {
        let dialect = try #require(try Dialect.builtIn(name))
        let made = try run(script, ["make", "8583", "500", name])
        #expect(made.count == 500)
        for oracle in made {
            let isSame = try dialect.unpack(oracle.bytes) == oracle.message
            let isWritten = try dialect.pack(oracle.message) == oracle.bytes
            #expect(isSame && isWritten, "\(name) \(Hex.string(oracle.bytes))")
        }

        var random = SplitMix(seed: 1987)
        var sent: [Message] = []
        var lines = ""
        for _ in 0..<500 {
            var message = SampleMessages.random(in: dialect, &random, shortest: 1)
            if let text = message.text(44) { message.set(44, String(text.prefix(25))) }
            if let text = message.text(54) { message.set(54, String(text.prefix(120))) }
            sent.append(message)
            lines += "\(name) \(Hex.string(try dialect.pack(message)))\n"
        }
        let read = try run(script, ["read"], input: lines).map(\.message)
        #expect(read.count == sent.count)
        #expect(zip(read, sent).allSatisfy { $0 == $1 })
    }
}

extension LibraryDialectTests {
    /// jPOS's packagers in BCD, by a writer of its own.
    @Test(.needs(.oracles)) func jPOSBothWays() throws {
        let lines = try PythonOracle("jpos_messages.py").lines(["8583", "250"])
        var counts: [String: Int] = [:]
        for line in lines {
            let words = line.split(separator: " ")
            let dialect = try #require(try Dialect.builtIn(String(words[0])))
            let bytes = try #require(Hex.bytes(words[1]))
            var expected: [Int: [UInt8]] = [:]
            for word in words.dropFirst(2) {
                let pair = word.split(separator: "=", omittingEmptySubsequences: false)
                expected[try #require(Int(pair[0]))] = Hex.bytes(pair[1])
            }
            let message = try dialect.unpack(bytes)
            let isSame =
                message.fields == expected.keys.sorted()
                && expected.allSatisfy { message[$0.key].map { Array($0) } == $0.value }
            #expect(try isSame && dialect.pack(message) == bytes, "\(line)")
            counts[dialect.name, default: 0] += 1
        }
        #expect(counts == ["jpos-87b": 250, "jpos-93b": 250])
    }
}

@Suite struct BitmapAndSignTests {
    /// Bits that announce a third bitmap are named, whatever comes after them.
    @Test(arguments: [
        (
            "generic-ascii",
            "30323030" + "C000000000000000" + "8000000000000000" + "0000000000000000" + "3036", 65
        ),
        ("generic-bcd", "0200" + "C000000000000000" + "A000000000000000" + "06", 65),
        ("moov-87ascii", "30323030" + "4330" + String(repeating: "30", count: 30), 1),
    ]) func thirdBitmap(name: String, hex: String, bit: Int) throws {
        let dialect = try #require(try Dialect.builtIn(name))
        let bytes = try #require(Hex.bytes(hex))
        let expected = ISO8583Error.furtherBitmap(
            bit: bit, offset: bit == 1 ? 4 : dialect.typeEncoding == .bcd ? 10 : 12)
        #expect(throws: expected) { try dialect.unpack(bytes) }
        let (explanation, _) = dialect.explain(bytes)
        #expect(explanation.error?.contains("bit \(bit) of the bitmap names a further bitmap") == true)
        #expect(explanation.fields.isEmpty)
    }

    /// ISO 8583:1987, 4.1: "x" is C or D.
    @Test(arguments: ["generic-ascii", "generic-ebcdic", "generic-bcd", "jpos-87a", "jpos-93b"])
    func signs(name: String) throws {
        let dialect = try #require(try Dialect.builtIn(name))
        for (sign, isTaken) in [
            ("C", true), ("D", true), ("X", false), ("3", false), ("c", false), (" ", false),
        ] {
            var message = Message(0x0500)
            message.set(97, sign + "0000000000021400")
            if isTaken {
                #expect(try dialect.unpack(dialect.pack(message)) == message)
                continue
            }
            #expect(throws: ISO8583Error.badValue(field: 97, reason: "its sign is neither C nor D")) {
                try dialect.pack(message)
            }
            message.set(97, "C0000000000021400")
            var bytes = try dialect.pack(message)
            // The sign is the first byte of the last field.
            let count = dialect[97]?.encoding == .bcd ? 9 : 17
            let byte = try #require(sign.utf8.first)
            bytes[bytes.count - count] = dialect[97]?.signEncoding == .ebcdic ? byte ^ 0x03 : byte
            #expect {
                try dialect.unpack(bytes)
            } throws: {
                if case .badContent(97, _, let reason)? = $0 as? ISO8583Error {
                    reason.contains("sign")
                } else {
                    false
                }
            }
        }
    }

    /// Totals that happen to have a right check digit; the same digits in a private field stay hidden.
    @Test(arguments: ["generic-bcd", "jpos-93a"]) func totalsAreShown(name: String) throws {
        let dialect = try #require(try Dialect.builtIn(name))
        var message = Message(dialect.version == .v1993 ? 0x1500 : 0x0500)
        message.set(86, "0000000000125005")
        message.set(88, "4761739001010119")
        message.set(97, "C4761739001010119")
        message.set(63, "4761739001010119")
        let (explanation, _) = dialect.explain(try dialect.pack(message))
        #expect(
            explanation.fields.map(\.value) == [
                "476173******0119", "0000000000125005", "4761739001010119", "C4761739001010119",
            ])
        #expect(message.description(in: dialect).contains("0000000000125005"))
    }
}

@Suite struct ExtendingTests {
    static let file = """
        name: mine
        extends: jpos-87b
        fields:
          2: { padding: left-zero }
          48: { length: "LLL 200", layout: "tagged 2 3" }
          63: { name: "Terminal data", format: b, length: "LLL 99" }
          70: none
        """

    @Test func takesOver() throws {
        let base = try #require(try Dialect.builtIn("jpos-87b"))
        let own = try Dialect(text: Self.file, source: "mine.yaml")
        #expect(own.name == "mine")
        #expect(own.version == base.version && own.characters == base.characters)
        #expect(own.typeEncoding == .bcd && own.bitmapEncoding == .binary)
        for number in 2...128 where ![2, 48, 63, 70].contains(number) { #expect(own[number] == base[number]) }
        #expect(own[2]?.padding == .leftZero && own[2]?.sensitivity == .pan)
        #expect(own[48]?.most == 200 && own[48]?.layout == .tagged(tag: 2, length: 3))
        #expect(own[48]?.name == base[48]?.name)
        // Another format has the encoding of the defaults that were taken over.
        #expect(own[63]?.encoding == .binary && own[63]?.lengthEncoding == .bcd)
        #expect(own[70] == nil)
    }

    @Test(arguments: [
        ("extends: jpos-87b", "extends: jpos-87c", 2, "built in are"),
        ("extends: jpos-87b", "extends: other.yaml", 2, "no file that this text may name"),
        ("70: none", "71: nothing", 7, "or none for a field"),
        ("70: none", "65: none", 7, "or none for a field"),
        ("name: mine", "version: 1987", 1, "name"),
    ]) func errors(old: String, new: String, line: Int, says: String) throws {
        #expect {
            try Dialect(text: Self.file.replacing(old, with: new), source: "mine.yaml")
        } throws: { error in
            guard let error = error as? ProfileFileError else { return false }
            return error.line == line && error.description.contains(says)
        }
    }
}
