import Foundation
import Testing

/// What people paste, and what they get for it.
@Suite struct PastedInputTests {
    static let fields = "2020000000800000" + "000000" + "000042" + "5445524D30303031"

    @Test(arguments: [
        // A text message of digits alone and with letters, a TPDU and a literal header without a length, a log's words.
        (
            "0800" + "2020060000000000" + "000000" + "000042" + "071" + "001", "jpos-87a", "none", "text", 22,
            "071"
        ),
        (
            "0800" + "2020000000800000" + "000000" + "000042" + "TERM0001", "jpos-87a", "none", "text", 41,
            "TERM0001"
        ),
        (
            "ISO026000070" + "0800" + "2020000000800000" + "000000" + "000042" + "TERM0001", "jpos-87a",
            "none header 12",
            "text", 41, "TERM0001"
        ),
        ("6000030000 0800 " + fields, "generic-bcd", "none tpdu", "hexadecimal digits", 41, "TERM0001"),
        ("00180800" + fields, "generic-bcd", "2-byte", "hexadecimal digits", 41, "TERM0001"),
        (
            "[21:04:11] TX >> 0800 " + fields, "generic-bcd", "none",
            "hexadecimal digits (the digits after \"[21:04:11] TX >>\")", 41, "TERM0001"
        ),
    ]) func messages(
        text: String, dialect: String, framing: String, reading: String, field: Int, value: String
    ) async throws {
        let program = try Program()
        defer { program.remove() }
        let result = try await program.run("iso", "decode", "--json", text)
        #expect(result.status == 0, "\(result.output)")
        let row = try Program.object(result.output)
        let message = try #require(row["message"] as? [String: Any])
        #expect(message["dialect"] as? String == dialect)
        #expect(row["framing"] as? String == framing)
        #expect(row["reading"] as? String == reading)
        let fields = try #require(message["fields"] as? [[String: Any]])
        #expect(fields.first { $0["number"] as? Int == field }?["value"] as? String == value)
    }

    @Test func encodes() async throws {
        let program = try Program()
        defer { program.remove() }
        let json = #"{"type": "0800", "fields": {"3": "000000", "11": "42", "41": "TERM0001"}}"#
        let encoded = try await program.run("iso", "encode", "--dialect", "generic-bcd", input: json)
        #expect(encoded.output == "0800" + Self.fields + "\n")
        let framed = try await program.run(
            "iso", "encode", "--dialect", "generic-bcd", "--framing", "2-byte trailer 03", input: json)
        #expect(framed.output == "0019" + "0800" + Self.fields + "03\n")
        // What was decoded is encoded alike.
        let decoded = try await program.run(
            "iso", "decode", "--json", "--dialect", "generic-bcd", "0800" + Self.fields)
        let again = try await program.run("iso", "encode", "--dialect", "generic-bcd", input: decoded.output)
        #expect(again.output == encoded.output)
        for (input, says) in [
            (#"{"fields": {}}"#, "type"), (#"{"type": "0800", "fields": {"65": "1"}}"#, "field 65"),
            ("nothing", "JSON"),
        ] {
            let wrong = try await program.run("iso", "encode", "--dialect", "generic-bcd", input: input)
            #expect(wrong.status == 65 && wrong.errors.contains(says), "\(wrong.errors)")
        }
    }

    @Test(arguments: [
        (["decode", "[+] <<<< 6A82"], 0, "file or application not found"),
        (["decode", "0010 9A03261130 5F2A020978"], 0, "behind a length of 10 bytes"),
        (["host", "--listen", "0.0.0.0:0"], 64, "--insecure"),
        (["iso", "dialects"], 0, "cannot settle: no fields 74, 76, 86, 88"),
        (
            ["pay", "12.50", "--card", "visa-credit", "--apdus", "--fresh-card"], 0,
            "9F37 Unpredictable Number"
        ),
    ]) func commands(arguments: [String], status: Int32, says: String) async throws {
        let program = try Program()
        defer { program.remove() }
        let result = try await program.finish(program.process(arguments), nil)
        #expect(result.status == status, "\(result.errors)")
        #expect((result.output + result.errors).contains(says), "\(result.output) \(result.errors)")
    }

    /// Letters that a host's messages have no place for are found before the till opens.
    @Test(arguments: [
        ("Tapbridge Demo Store", 0, "terminal"), ("Café Zürich", 0, "terminal"),
        ("Кофе", 65, "cannot be written"),
        (String(repeating: "ü", count: 40), 0, "takes 25"),
    ]) func profiles(name: String, status: Int32, says: String) async throws {
        let program = try Program()
        defer { program.remove() }
        let file = program.state.appending(path: "it.yaml")
        try """
        extends: built-in
        merchant: { id: M1, name: "\(name)", location: Berlin, category-code: "5812" }
        """.write(to: file, atomically: true, encoding: .utf8)
        let result = try await program.run("profile", "check", file.path)
        #expect(result.status == status, "\(result.errors)")
        #expect((result.output + result.errors).contains(says), "\(result.output) \(result.errors)")
    }
}
