import Foundation
import TestTools
import Testing

/// The program from outside: output, JSON and exit codes.
@Suite struct CommandTests {
    @Test(arguments: [
        "pay", "cards", "card", "readers", "doctor", "replay", "decode", "iso", "journal", "host", "profile",
        "bench",
        "demo",
    ]) func everyCommandHasHelp(_ command: String) async throws {
        let program = try Program()
        defer { program.remove() }
        let help = try await program.run("help", command)
        #expect(help.status == 0)
        #expect(help.output.contains("USAGE: tapbridge \(command)"))
        let main = try await program.run("--help")
        #expect(main.output.contains(command))
        #expect(main.output.contains("Exit codes"))
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var arguments: [String]
        var status: Int32
        var says: String
        var testDescription: String { arguments.joined(separator: " ") }
    }
    static let cases = [
        Case(arguments: ["pay", "12.50", "--card", "visa-credit"], status: 0, says: "approved online"),
        Case(arguments: ["pay", "9.90", "--card", "visa-debit"], status: 0, says: "approved offline"),
        Case(arguments: ["pay", "9.90", "--card", "visa-expired"], status: 1, says: "declined"),
        Case(arguments: ["pay", "64", "--card", "google-pay-visa", "--locked"], status: 1, says: "ended"),
        Case(arguments: ["pay", "5", "--card", "visa-poor"], status: 1, says: "code 51"),
        Case(
            arguments: ["pay", "5", "--card", "visa-credit", "--trouble", "decline 91"], status: 1, says: "91"
        ),
        Case(arguments: ["pay", "80", "--card", "visa-debit", "--pin", "1111"], status: 1, says: "55"),
        Case(arguments: ["pay", "80", "--card", "visa-debit"], status: 0, says: "approved online"),
        Case(arguments: ["pay", "12.505", "--card", "visa-credit"], status: 64, says: "not an amount"),
        Case(arguments: ["pay", "12", "--card", "no-such-card"], status: 65, says: "no-such-card"),
        Case(
            arguments: ["pay", "12", "--card", "visa-credit", "--trouble", "nonsense"], status: 64,
            says: "nonsense"),
        Case(arguments: ["pay", "12", "--reader", "ACS"], status: 3, says: "pcscd"),
        Case(arguments: ["readers"], status: 3, says: "pcscd"),
        Case(arguments: ["readers", "--capabilities"], status: 3, says: "pcscd"),
        Case(arguments: ["readers", "--capabilities", "--watch"], status: 64, says: "not both"),
        Case(arguments: ["readers", "control", "ACR", "led", "green"], status: 3, says: "pcscd"),
        Case(arguments: ["readers", "control", "ACR", "glow", "green"], status: 64, says: "card-beep"),
        Case(arguments: ["bench", "reader", "ACR"], status: 3, says: "pcscd"),
        Case(arguments: ["bench", "reader", "--echo", "--sizes", "1,x"], status: 64, says: "sizes"),
        Case(arguments: ["pay", "12", "--profile", "/no/such.yaml"], status: 65, says: "/no/such.yaml"),
        Case(arguments: ["replay", "/no/such.trace"], status: 65, says: "/no/such.trace"),
        Case(arguments: ["journal", "--journal", "/no/such.sqlite"], status: 4, says: "/no/such.sqlite"),
        Case(arguments: ["decode", "9F66043600C000"], status: 0, says: "Terminal Transaction Qualifiers"),
        Case(arguments: ["decode", "9F66043600"], status: 65, says: "9F66"),
        Case(arguments: ["decode", "XYZ"], status: 65, says: "X"),
        Case(
            arguments: ["iso", "decode", "0800822000000000000004000000000000001120223015000123", "0301"],
            status: 0, says: "echo test"),
        Case(
            arguments: [
                "iso", "decode",
                "3030353530383030383232303030303030303030303030303034303030303030303030303030"
                    + "303031313230323233303135303030313233333031",
            ], status: 0, says: "dialect jpos-87a, framing ascii-4"),
        Case(
            arguments: ["iso", "decode", "--dialect", "generic-bcd", "010040000000000000001647617390"],
            status: 65, says: "needs 8 bytes, 4 are left"),
        Case(
            arguments: [
                "iso", "decode", "--dialect", "generic-bcd", "01004000000000000000164761739001010119",
            ],
            status: 0, says: "476173******0119"),
        Case(arguments: ["iso", "decode", "--dialect", "nonsense", "0100"], status: 65, says: "generic-bcd"),
        Case(arguments: ["iso", "decode", "--framing", "3-byte", "0100"], status: 64, says: "2-byte"),
        Case(arguments: ["iso", "decode", "XYZ"], status: 65, says: "hexadecimal"),
        Case(arguments: ["iso", "dialects"], status: 0, says: "pyiso8583-default"),
        Case(arguments: ["iso", "dialects", "jpos-93b"], status: 0, says: "Function code"),
        Case(arguments: ["cards"], status: 0, says: "visa-credit"),
        Case(arguments: ["profile", "show"], status: 0, says: "combinations"),
        Case(arguments: ["card", "show", "visa-credit"], status: 0, says: "visa-credit"),
        Case(arguments: ["--version"], status: 0, says: "."),
        Case(arguments: ["nonsense"], status: 64, says: "nonsense"),
    ]

    @Test(arguments: cases) func exitCodes(_ expected: Case) async throws {
        let program = try Program()
        defer { program.remove() }
        let (process, output, errors) = program.process(expected.arguments)
        try process.run()
        let out = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        let err = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationReason == .exit)
        #expect(process.terminationStatus == expected.status, "\(out)\(err)")
        #expect((out + err).contains(expected.says), "\(out)\(err)")
        // Plain in a pipe.
        #expect(!out.contains("\u{1B}["))
    }

    @Test func paymentAsJSON() async throws {
        let program = try Program()
        defer { program.remove() }
        let paid = try await program.run("pay", "20.00", "--card", "alipay-wallet", "--json")
        let report = try Program.object(paid.output)
        #expect(report["status"] as? String == "approved")
        #expect(report["amount"] as? Int == 2000)
        #expect(report["card"] as? String == "489539******0013")
        #expect(report["tokenRequestor"] as? String == "40010099901")
        let charge = try #require(report["accountCharge"] as? [String: Any])
        #expect(charge["amount"] as? Int == 15600 || (charge["amount"] as? [String: Any]) != nil)
        #expect(!paid.output.contains("4895390000000013"))
    }

    /// Counters and books go on from run to run.
    @Test func cardsAndBooksAreKept() async throws {
        let program = try Program()
        defer { program.remove() }
        for _ in 0..<3 {
            let paid = try await program.run("pay", "10", "--card", "visa-credit", "--json")
            #expect(paid.status == 0, "\(paid.errors)")
        }
        let cards = try Program.list(try await program.run("cards", "--json").output)
        let credit = try #require(cards.first { $0["id"] as? String == "visa-credit" })
        #expect(credit["transactionCounter"] as? Int == 3)
        let accounts = try Program.list(try await program.run("host", "accounts", "--json").output)
        let account = try #require(accounts.first { $0["account"] as? String == "account-0119" })
        #expect(account["balance"] as? Int == -3000)
        // A card that forgot its counter repeats it: the issuer refuses.
        _ = try await program.run("card", "reset", "visa-credit")
        #expect(try await program.run("pay", "10", "--card", "visa-credit").status == 1)
    }

    @Test func journalListsShowsAndExportsMasked() async throws {
        let program = try Program()
        defer { program.remove() }
        _ = try await program.run("pay", "12.50", "--card", "visa-credit")
        let list = try Program.list(try await program.run("journal", "--json").output)
        #expect(list.count == 1)
        let id = try #require(list.first?["id"] as? String)
        let shown = try await program.run("journal", "show", id)
        #expect(shown.output.contains("authorizing") && shown.output.contains("approved"))
        let csv = try await program.run("journal", "export", "--format", "csv")
        #expect(csv.output.split(whereSeparator: \.isNewline).count == 2)
        let json = try await program.run("journal", "export", "--format", "json")
        for text in [shown.output, csv.output, json.output] {
            #expect(text.contains("476173******0119"))
            #expect(!text.contains("4761739001010119"))
        }
        #expect(try await program.run("journal", "verify").status == 0)
    }

    /// What other programs get from a pipe that closes early is no error.
    @Test func closedPipe() async throws {
        let program = try Program()
        defer { program.remove() }
        let (process, output, _) = program.process(["cards"])
        try output.fileHandleForReading.close()
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationReason == .exit)
        #expect(process.terminationStatus == 0)
    }

    @Test func decodeReadsLines() async throws {
        let program = try Program()
        defer { program.remove() }
        let decoded = try await program.run("decode", input: "# a comment\n8202 2000\n\n9F36020001\n")
        #expect(decoded.status == 0)
        #expect(decoded.output.contains("Application Interchange Profile"))
        #expect(decoded.output.contains("Application Transaction Counter"))
        let json = try await program.run("decode", "--json", input: "82022000\n9F36020001\n")
        #expect(try Program.list(json.output).count == 2)
    }

    @Test func profileTypoIsNamedWithItsLine() async throws {
        let program = try Program()
        defer { program.remove() }
        let text = try await program.run("profile", "show").output
        let broken = text.replacingOccurrences(of: "  currency-exponent: 2", with: "  curency-exponent: 2")
        #expect(broken != text)
        let line =
            try #require(
                broken.split(separator: "\n", omittingEmptySubsequences: false)
                    .firstIndex { $0.contains("curency") }) + 1
        let path = program.state.appendingPathComponent("broken.yaml").path
        try broken.write(toFile: path, atomically: true, encoding: .utf8)
        let checked = try await program.run("profile", "check", path)
        #expect(checked.status == 65)
        #expect(checked.errors.contains("broken.yaml:\(line)"), "\(checked.errors)")
        #expect(checked.errors.contains("currency-exponent"), "\(checked.errors)")
    }

    /// Ten are ten of the terminal's currency.
    @Test(arguments: [(392, "10 JPY", "10"), (414, "10.000 KWD", "10000"), (978, "10.00 EUR", "1000")])
    func tenOfTheCurrency(_ currency: Int, _ shown: String, _ units: String) async throws {
        let program = try Program()
        defer { program.remove() }
        let path = program.state.appendingPathComponent("it.yaml").path
        let builtIn = try await program.run("profile", "show").output
        let begin = try #require(builtIn.range(of: "\nterminal:"))
        let end = try #require(builtIn.range(of: "\nmerchant:"))
        let terminal = builtIn[begin.lowerBound..<end.lowerBound]
            .replacing("currency: 978", with: "currency: \(currency)")
            .split(separator: "\n").filter { !$0.contains("currency-exponent") }.joined(separator: "\n")
        try "extends: built-in\n\(terminal)\n".write(toFile: path, atomically: true, encoding: .utf8)
        let checked = try await program.run("profile", "check", path)
        #expect(checked.status == 0, "\(checked)")
        #expect(checked.output.contains("amounts in \(shown.suffix(3)) with"), "\(checked.output)")
        #expect(
            checked.output.contains("taken as \(shown.suffix(3))") == (currency != 978), "\(checked.output)")
        let journal = program.state.appendingPathComponent("journal.sqlite").path
        let paid = try await program.run(
            "pay", "10", "--card", "visa-credit", "--profile", path, "--journal", journal)
        #expect(paid.output.contains("Purchase") && paid.output.contains(shown), "\(paid)")
        let exported = try await program.run("journal", "export", "--format", "csv", "--journal", journal)
        let rows = exported.output.split(whereSeparator: \.isNewline).map {
            $0.split(separator: ",", omittingEmptySubsequences: false)
        }
        try #require(rows.count == 2)
        let column = try #require(rows[0].firstIndex(of: "amount"))
        #expect(rows[1][column] == units)
    }

    @Test func damagedJournal() async throws {
        let program = try Program()
        defer { program.remove() }
        let path = program.state.appendingPathComponent("journal.sqlite").path
        try Data(repeating: 0x42, count: 8192).write(to: URL(fileURLWithPath: path))
        let paid = try await program.run("pay", "12.50", "--card", "visa-credit", "--journal", path)
        #expect(paid.status == 4)
        #expect(paid.errors.contains("journal.sqlite"))
        // It is left as it was found.
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data(repeating: 0x42, count: 8192))
    }

    @Test func recordedAndReplayed() async throws {
        let program = try Program()
        defer { program.remove() }
        let path = program.state.appendingPathComponent("tap.trace").path
        _ = try await program.run("pay", "12.50", "--card", "visa-credit", "--record", path)
        let same = try await program.run("replay", path)
        #expect(same.status == 0 && same.output.hasPrefix("same"), "\(same.output)")
        let text = try String(contentsOfFile: path, encoding: .utf8)
        try text.replacingOccurrences(of: "amount: 1250", with: "amount: 1251").write(
            toFile: path, atomically: true, encoding: .utf8)
        let other = try await program.run("replay", path)
        #expect(other.status == 2)
        #expect(other.output.contains("GET PROCESSING OPTIONS differs"), "\(other.output)")
        try String(text.prefix(text.count / 2)).write(toFile: path, atomically: true, encoding: .utf8)
        let cut = try await program.run("replay", path)
        #expect(cut.status == 65 || cut.status == 2)
    }

    @Test(.timeLimit(.minutes(2))) func demonstration() async throws {
        let program = try Program()
        defer { program.remove() }
        let demo = try await program.run("demo", "--all", "--json")
        #expect(demo.status == 0, "\(demo.errors)")
        let reports = try Program.list(demo.output)
        #expect(reports.count >= 20)
        for report in reports { #expect(report["asExpected"] as? Bool == true, "\(report)") }
    }
}

@Suite struct SelfCheckTests {
    /// More payments than a card may take offline, each with its signature verified.
    @Test(.timeLimit(.minutes(5))) func selfCheck() async throws {
        let program = try Program()
        defer { program.remove() }
        let result = try await program.run("bench", "--payments", "20", "--json")
        #expect(result.status == 0, "\(result.errors)")
        let rows = try Program.list(result.output)
        #expect(
            rows.compactMap { $0["name"] as? String } == [
                "visa-debit", "visa-no-oda", "mc-debit", "mc-no-oda", "journal",
            ])
        for row in rows { #expect(row["perSecond"] as? Double ?? 0 > 0, "\(row)") }
        // The journal that is measured is a temporary one.
        #expect(try await program.run("journal").status == 4)
    }
}

/// Killed at any instant, the program loses and doubles nothing.
@Suite struct CrashTests {
    /// Killed while the host decides: the next run reverses.
    @Test(.timeLimit(.minutes(2))) func killedWhileTheHostDecides() async throws {
        let program = try Program()
        defer { program.remove() }
        let (process, _, _) = program.process(["pay", "42", "--card", "visa-credit", "--trouble", "silence"])
        try process.run()
        try await eventually("the host is asked") {
            try #require(process.isRunning)
            let list = try await program.run("journal", "--json")
            guard list.status == 0 else { return false }
            return try Program.list(list.output).first?["state"] as? String == "authorizing"
        }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        let next = try await program.run("pay", "5", "--card", "visa-debit")
        #expect(next.status == 0)
        #expect(next.errors.contains("reversed"), "\(next.errors)")
        let states = try Program.list(try await program.run("journal", "--json").output)
            .compactMap { $0["state"] as? String }
        #expect(Set(states) == ["reversed", "forwarded"])
        #expect(try await program.run("journal", "verify").status == 0)
    }

    /// Killed at random instants of many payments: every transaction is found and ends in a final state.
    @Test(.timeLimit(.minutes(5))) func killedAtRandom() async throws {
        let program = try Program()
        defer { program.remove() }
        let whole = try await ContinuousClock().measure {
            let paid = try await program.run("pay", "5", "--card", "visa-credit")
            #expect(paid.status == 0, "\(paid.errors)")
        }
        for round in 0..<12 {
            let (process, _, _) = program.process(["pay", "5", "--card", "visa-credit"])
            try process.run()
            await pass(round, of: 12, of: whole)
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
        _ = try await program.run("pay", "5", "--card", "visa-no-oda")
        let journal = try await program.run("journal", "--json")
        #expect(journal.status == 0)
        let final: Set = [
            "approved", "declined", "reversed", "cancelled", "failed", "forwarded", "declined-offline",
        ]
        for record in try Program.list(journal.output) {
            let state = try #require(record["state"] as? String)
            #expect(final.contains(state), "\(record)")
        }
        #expect(try await program.run("journal", "verify").status == 0)
    }
}
