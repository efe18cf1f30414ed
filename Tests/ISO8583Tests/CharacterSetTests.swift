import ISO8583
import ISO8583Dialects
import Testing
import TestTools

@Suite struct CharacterSetTests {
    @Test(arguments: [
        (Dialect.CharacterSet.ascii, "Café Zürich", "Cafe Zurich", ""),
        (.ascii, "Straße, Łódź & Ærø – “8”", "Strasse, Lodz & AEro - \"8\"", ""),
        // The same letters, taken apart.
        (.ascii, "Cafe\u{301} Zu\u{308}rich", "Cafe Zurich", ""),
        (.ascii, "Кофе 北京", "???? ??", "Кофе北京"),
        (.ascii, "a\u{1}b\u{AD}", "a?b?", "\u{1}\u{AD}"),
        (.latin1, "Кофе", "????", "Кофе"), (.latin1, "Łódź", "L\u{F3}dz", ""),
        (.latin1, "Café Zürich ß", "Caf\u{E9} Z\u{FC}rich \u{DF}", ""),
        (.latin1, "Cafe\u{301} Zu\u{308}rich", "Caf\u{E9} Z\u{FC}rich", ""),
    ]) func spellings(set: Dialect.CharacterSet, text: String, bytes: String, lost: String) {
        let encoded = set.encoded(text)
        #expect(encoded.bytes == bytes.unicodeScalars.map { UInt8($0.value) })
        #expect(String(encoded.lost) == lost)
    }

    /// Against Unicode's own table, for all letters of Latin script that it takes apart.
    @Test(.needs(.oracles)) func letters() throws {
        let points = Array(UInt32(0xC0)...0x17F) + Array(0x1E00...0x1EFF)
        let input = points.map { String($0, radix: 16) + "\n" }.joined()
        let lines = try PythonOracle("spelling.py").lines(input: input)
        #expect(lines.count == points.count)
        var compared = 0
        for (point, line) in zip(points, lines) where !line.isEmpty {
            let scalar = try #require(Unicode.Scalar(point))
            let spelling = Dialect.CharacterSet.ascii.encoded(String(Character(scalar))).bytes
            #expect(spelling.map { String($0, radix: 16) }.joined() == line, "U+\(String(point, radix: 16))")
            compared += 1
        }
        #expect(compared > 380)
    }

    /// What came in letters beyond ASCII is shown as such where the dialect has them.
    @Test(arguments: [
        ("jpos-87b", "Café Zürich"), ("generic-ebcdic", "Café Zürich"), ("generic-bcd", "Caf. Z.rich"),
    ])
    func shown(name: String, text: String) throws {
        let dialect = try #require(try Dialect.builtIn(name))
        var message = Message(0x0200)
        message.set(43, Dialect.CharacterSet.latin1.encoded("Café Zürich").bytes)
        let packed = try dialect.pack(message)
        let (explanation, read) = dialect.explain(packed)
        #expect(explanation.fields.first?.pieces.first?.value == text + String(repeating: " ", count: 14))
        #expect(read.description(in: dialect).contains(text))
    }

    /// Latin-1 in code page 037: é is 51, ü DC.
    @Test func ebcdic() throws {
        let dialect = try #require(try Dialect.builtIn("generic-ebcdic"))
        #expect(dialect.characters == .latin1)
        var message = Message(0x0200)
        message.set(43, dialect.characters.encoded("éü").bytes)
        #expect(try dialect.pack(message).suffix(40).starts(with: [0x51, 0xDC, 0x40]))
        #expect(try #require(try Dialect.builtIn("jpos-87b")).characters == .latin1)
        #expect(try #require(try Dialect.builtIn("pyiso8583-default")).characters == .ascii)
    }
}
