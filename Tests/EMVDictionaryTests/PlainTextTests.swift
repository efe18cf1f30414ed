import EMV
import Testing

/// What a terminal obeys, hides or turns round, from whomever it comes.
@Suite struct PlainTextTests {
    static let hostile: [Unicode.Scalar] = [
        "\u{0}", "\u{7}", "\u{8}", "\u{B}", "\u{C}", "\r", "\u{E}", "\u{1B}", "\u{1F}", "\u{7F}", "\u{80}",
        "\u{84}", "\u{85}",
        "\u{8D}", "\u{90}", "\u{9B}", "\u{9C}", "\u{9D}", "\u{9F}", "\u{61C}", "\u{200B}", "\u{200E}",
        "\u{200F}", "\u{2028}",
        "\u{2029}", "\u{202A}", "\u{202D}", "\u{202E}", "\u{2060}", "\u{2066}", "\u{2069}", "\u{FEFF}",
        "\u{FFF9}", "\u{E0001}",
        "\u{E0041}",
    ]
    static let harmless = "Zürich ВИЗА 中国 ١٢ नी €ß✓ 💳👩‍🚀 a\u{AD}b می\u{200C}خواهم \u{FFFD}"

    @Test(arguments: hostile) func isTakenOut(_ scalar: Unicode.Scalar) {
        #expect(PlainText.isControl(scalar))
        let text = "a\(scalar)[2Jb"
        #expect(PlainText.clean(text) == "a\u{FFFD}[2Jb")
        #expect(PlainText.forTerminal(text) == "a\u{FFFD}[2Jb")
        #expect(PlainText.forTerminal(text, styles: ["0", "1", "31"]) == "a\u{FFFD}[2Jb")
        let quoted = JSONText.quoted(text)
        #expect(!quoted.unicodeScalars.contains(where: PlainText.isControl), "\(quoted)")
        // Escaped in JSON of an encoder it means what it meant.
        #expect(
            PlainText.escaped(json: "{\n  \"a\": \"\(scalar)\"\n}")
                == "{\n  \"a\": \"\(JSONText.quoted(String(scalar)).dropFirst().dropLast())\"\n}".replacing(
                    "\\r", with: "\\u000d"))
    }

    @Test func theRestStays() {
        #expect(PlainText.clean(Self.harmless) == Self.harmless)
        #expect(PlainText.forTerminal("a\tb\n" + Self.harmless) == "a\tb\n" + Self.harmless)
        #expect(PlainText.escaped(json: "\"\(Self.harmless)\"") == "\"\(Self.harmless)\"")
        #expect(PlainText.clean("a\tb\nc", keeping: ["\t", "\n"]) == "a\tb\nc")
        #expect(PlainText.clean("a\tb\nc", replacement: " ") == "a b c")
    }

    /// Of sequences only those that the program itself writes.
    @Test(arguments: [
        ("\u{1B}[31mred\u{1B}[0m", true), ("\u{1B}[1;31mred\u{1B}[0m", true), ("\u{1B}[5mblink", false),
        ("\u{1B}[m", false), ("\u{1B}[1;5mx", false), ("\u{1B}[31", false), ("\u{1B}", false),
        ("\u{1B}]0;title\u{7}", false),
        ("\u{1B}[31 m", false), ("\u{1B}[1;1;1;1;1;1;1;1;1m", false), ("\u{1B}[2J", false),
        ("\u{1B}[1A", false),
        ("\u{1B}c", false), ("\u{1B}[\u{1B}[31m", false),
    ]) func ownColours(_ text: String, _ isKept: Bool) {
        let shown = PlainText.forTerminal(text, styles: ["0", "1", "2", "31"])
        #expect((shown == text) == isKept, "\(shown.debugDescription)")
        // Where nothing is coloured, none of them.
        #expect(!PlainText.forTerminal(text).unicodeScalars.contains("\u{1B}"))
    }
}
