import Foundation
import Testing

/// Escape sequences in texts of hosts, cards, readers, files and callers reach no terminal.
@Suite struct HostileTextTests {
    /// Clears a screen, sets a title with C1, turns text round, goes back a letter.
    static let hostile = "A\u{1B}[2J\u{9B}2J\u{9D}0;x\u{9C}\u{202E}B\u{7F}\u{8}C"
    static let hostileHex = "411B5B324AC29B324AE280AE427F0843"

    static func isHarmless(_ text: String) -> Bool {
        !text.unicodeScalars.contains { scalar in
            scalar.value < 0x20 && scalar != "\n" && scalar != "\t" || (0x7F...0x9F).contains(scalar.value)
                || scalar.value == 0x202E
        }
    }

    /// With the exit status; nil where the text may as well count as damaged.
    static let commands: [([String], Int32?)] = [
        // An application label, and a cardholder's name.
        (["decode", "5010" + hostileHex], nil), (["decode", "--json", "5F2010" + hostileHex], nil),
        // Fields 43 and 44 of a host.
        (["iso", "decode", "--dialect", "generic-bcd", "0210000000000010000016" + hostileHex], 0),
        (["iso", "decode", "--json", "--dialect", "generic-bcd", "0210000000000010000016" + hostileHex], 0),
        // Names in arguments and of files.
        (["iso", "decode", "--dialect", hostile], 65), (["pay", "1", "--card", hostile], 65),
        (["profile", "check", "/no/\(hostile)"], 65), (["pay", "1", "--\(hostile)"], 64),
        (["journal", "show", hostile, "--journal", "/no/\(hostile)"], 4),
    ]

    @Test(arguments: commands) func arguments(_ arguments: [String], _ status: Int32?) async throws {
        let program = try Program()
        defer { program.remove() }
        let (process, output, errors) = program.process(arguments)
        let result = try await program.finish((process, output, errors), nil)
        if let status { #expect(result.status == status, "\(result)") }
        #expect(!(result.output + result.errors).isEmpty)
        #expect(
            Self.isHarmless(result.output) && Self.isHarmless(result.errors),
            "\(result.output.debugDescription) \(result.errors.debugDescription)")
    }

    /// Files of others: profiles, cards, worlds, configurations, traces.
    static let texts: [([String], String, Int32)] = [
        (["profile", "check"], "terminal: { \"\\e[2J\\x9b\\u202e\": x }\n", 65),
        (
            ["profile", "check"],
            "extends: built-in\nmerchant: { id: \"a\\e[2J\", name: x, category-code: \"5812\" }\n", 65
        ),
        (
            ["profile", "check"],
            "extends: built-in\nmerchant: { id: a, name: \"a\\x9b2J\\u202e\", category-code: \"5812\" }\n", 65
        ),
        (["card", "check"], "id: \"\\e[2J\\u202e\"\n", 65),
        (["config", "check"], "log: { level: \"\\e[2J\\x9b\" }\n", 65),
        (["config", "check", "--json"], "log: { level: \"\\e[2J\\x9b\" }\n", 65),
        (["iso", "acquirer"], "name: \"\\e[2J\"\nhosts: [\"\\e[2J\"]\n", 65),
        (["replay"], "tapbridge-trace 1\ntitle: \u{1B}[2J\u{9B}\n\n> \u{1B}[2J\n", 65),
    ]

    @Test(arguments: texts) func files(_ arguments: [String], _ text: String, _ status: Int32) async throws {
        let program = try Program()
        defer { program.remove() }
        let path = program.state.appendingPathComponent("file.yaml").path
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        let (process, output, errors) = program.process(arguments + [path])
        let result = try await program.finish((process, output, errors), nil)
        #expect(result.status == status, "\(result)")
        #expect(
            Self.isHarmless(result.output) && Self.isHarmless(result.errors),
            "\(result.output.debugDescription) \(result.errors.debugDescription)")
    }

    /// What is in the journal, by whatever way: list, show, receipt, export.
    @Test func journal() async throws {
        let program = try Program()
        defer { program.remove() }
        let path = program.state.appendingPathComponent("journal.sqlite").path
        let profile = program.state.appendingPathComponent("till.yaml").path
        try "extends: built-in\ntiming: { authorization: 1 }\n".write(
            toFile: profile, atomically: true, encoding: .utf8)
        let paid = try await program.run(
            "pay", "20", "--card", "visa-credit", "--journal", path, "--profile", profile,
            "--trouble", "always: silence", "--trouble", "reversal always: silence")
        let id = try #require(
            try await program.run("journal", "export", "--format", "csv", "--journal", path).output
                .split(whereSeparator: \.isNewline).dropFirst().first?.split(separator: ",").first.map(
                    String.init),
            "\(paid)")
        _ = try await program.run(
            "journal", "park", id, "--reason", Self.hostile, "--journal", path)
        for arguments in [
            ["journal", "list"], ["journal", "show", id], ["journal", "show", id, "--json"],
            ["journal", "receipt", id],
            ["journal", "export", "--format", "csv"], ["journal", "export", "--format", "json"],
        ] {
            let (process, output, errors) = program.process(arguments + ["--journal", path])
            let result = try await program.finish((process, output, errors), nil)
            #expect(
                Self.isHarmless(result.output.replacing("\r\n", with: "\n")),
                "\(arguments) \(result.output.debugDescription)")
            #expect(Self.isHarmless(result.errors))
            // It is in there: the reason stands in the history.
            if arguments == ["journal", "show", id] {
                #expect(result.output.contains("parked: A\u{FFFD}[2J"), "\(paid) \(result.output)")
            }
        }
    }
}
