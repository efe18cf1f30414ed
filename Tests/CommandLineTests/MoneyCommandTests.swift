import Foundation
import TestSupport
import TestTools
import Testing

/// Commands that move money: nothing that can fail is left until after it, and what fails then changes neither result nor
/// exit status.
@Suite struct MoneyCommandTests {
    private func path(_ program: Program, _ name: String) -> String {
        program.state.appendingPathComponent(name).path
    }
    /// What the journal has, newest first.
    private func journal(_ program: Program) async throws -> [[String: Any]] {
        let list = try await program.run("journal", "list", "--json")
        return list.status == 4 ? [] : try Program.list(list.output)
    }
    private func id(_ result: Program.Result) throws -> String {
        try #require(try Program.object(result.output)["id"] as? String)
    }

    /// A trace that cannot be written is found out before anything is taken.
    @Test(arguments: ["missing/x.trace", "", "held.trace/x"]) func recordIsOpenedFirst(_ name: String)
        async throws
    {
        let program = try Program()
        defer { program.remove() }
        _ = FileManager.default.createFile(atPath: path(program, "held.trace"), contents: nil)
        let paid = try await program.run(
            "pay", "12.50", "--card", "visa-credit", "--record", path(program, name), "--json")
        #expect(paid.status == 65 && paid.output.isEmpty)
        #expect(paid.errors.contains("cannot be written") && paid.errors.contains("nothing was done"))
        #expect(try await journal(program).isEmpty)
        let cards = try Program.list(try await program.run("cards", "--json").output)
        let card = try #require(cards.first { $0["id"] as? String == "visa-credit" })
        #expect(card["transactionCounter"] as? Int ?? 0 == 0)
    }

    /// A file that was there is replaced by what was recorded; one that was made for a payment that was not begun is gone.
    @Test func recordsAreWritten() async throws {
        let program = try Program()
        defer { program.remove() }
        let trace = path(program, "x.trace")
        try Data(repeating: 0x78, count: 100_000).write(to: URL(fileURLWithPath: trace))
        let paid = try await program.run("pay", "12.50", "--card", "visa-credit", "--record", trace)
        #expect(paid.status == 0 && paid.errors.contains("trace written"))
        let text = try String(contentsOfFile: trace, encoding: .utf8)
        #expect(text.hasPrefix("tapbridge-trace 1") && !text.contains("xxxx"))
        #expect(try await program.run("replay", trace).status == 0)
        let other = path(program, "y.trace")
        let none = try await program.run("pay", "1", "--card", "no-such-card", "--record", other)
        #expect(none.status == 65 && !FileManager.default.fileExists(atPath: other))
    }

    /// What cannot be kept after the payment is a warning beside the result.
    @Test(arguments: ["trace", "host.json", "cards/visa-credit.json"]) func whatFailsAfterwards(
        _ what: String
    ) async throws {
        let program = try Program()
        defer { program.remove() }
        var words: [String] = []
        if what == "trace" {
            // Takes no byte, as a full disk.
            words = ["--record", "/dev/full"]
        } else {
            try FileManager.default.createDirectory(
                atPath: path(program, "tapbridge/\(what)"), withIntermediateDirectories: true)
        }
        for (trouble, status, word) in [("nth 9: lost", 0, "approved"), ("decline 05", 1, "declined")] {
            let (process, output, errors) = program.process(
                ["pay", "12.50", "--card", "visa-credit", "--trouble", trouble, "--json"] + words)
            try process.run()
            let out = try output.fileHandleForReading.readToEnd() ?? Data()
            let err = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
            process.waitUntilExit()
            #expect(process.terminationStatus == status, "\(err)")
            let report = try Program.object(String(decoding: out, as: UTF8.self))
            #expect(report["status"] as? String == word)
            #expect((report["warnings"] as? [String])?.count == 1, "\(report)")
            #expect(err.contains("warning:"))
        }
        // The same for what is done to it later.
        guard what == "host.json" else { return }
        let taken = try #require(try await journal(program).last?["id"] as? String)
        let voided = try await program.run("void", taken, "--json")
        #expect(voided.errors.contains("warning:"))
        #expect(try Program.object(voided.output)["id"] as? String == taken)
    }

    /// Nobody reads any more: the payment is carried to its end, and the exit status tells how it ended.
    @Test(arguments: [
        (["pay", "12.50", "--card", "visa-credit", "--json"], Int32(0), "approved"),
        (["pay", "12.50", "--card", "visa-credit", "--apdus"], 0, "approved"),
        (["pay", "5", "--card", "visa-poor", "--json"], 1, "declined"),
        (["pay", "5", "--card", "visa-poor", "--apdus"], 1, "declined"),
        (["refund", "5", "--card", "visa-credit", "--json"], 0, "approved"),
    ]) func nobodyReads(_ words: [String], _ status: Int32, _ state: String) async throws {
        let program = try Program()
        defer { program.remove() }
        let (process, output, errors) = program.process(words)
        try output.fileHandleForReading.close()
        try process.run()
        _ = try errors.fileHandleForReading.readToEnd()
        process.waitUntilExit()
        #expect(process.terminationReason == .exit && process.terminationStatus == status)
        #expect(try await journal(program).map { $0["state"] as? String } == [state])
    }

    @Test func nobodyReadsAVoid() async throws {
        let program = try Program()
        defer { program.remove() }
        let paid = try id(try await program.run("pay", "12.50", "--card", "visa-credit", "--json"))
        for (words, status) in [(["void", paid], 0), (["tip", paid, "1"], 1)] as [([String], Int32)] {
            let (process, output, errors) = program.process(words)
            try output.fileHandleForReading.close()
            try process.run()
            _ = try errors.fileHandleForReading.readToEnd()
            process.waitUntilExit()
            #expect(process.terminationStatus == status, "\(words)")
        }
        #expect(try await journal(program).map { $0["state"] as? String } == ["reversed"])
    }

    /// Back to whom? A refund names a payment or a card.
    @Test func refundsNameSomebody() async throws {
        let program = try Program()
        defer { program.remove() }
        for words in [["refund", "5.00"], ["pay", "5.00", "--type", "refund"]] {
            let (process, _, errors) = program.process(words)
            try process.run()
            let err = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
            process.waitUntilExit()
            #expect(
                process.terminationStatus == 64 && err.contains("--of") && err.contains("--card"), "\(err)")
        }
        #expect(try await journal(program).isEmpty)
    }

    /// What a payment does not allow is refused in words; what was done before is said.
    @Test func afterThePayment() async throws {
        let program = try Program()
        defer { program.remove() }
        let sale = try id(try await program.run("pay", "20", "--card", "visa-credit", "--json"))
        let given = try id(
            try await program.run("refund", "20", "--of", sale, "--card", "visa-credit", "--json"))
        let again = try await program.run("refund", "0.01", "--of", sale, "--card", "visa-credit")
        #expect(again.status == 1 && again.errors.contains("0.00 EUR are left"), "\(again.errors)")
        let early = try await program.run("void", sale)
        #expect(early.status == 1 && early.errors.contains("void those first"), "\(early.errors)")
        #expect(try await program.run("void", given).status == 0)
        let first = try await program.run("void", sale)
        #expect(first.status == 0 && !first.output.contains("before"))
        let second = try await program.run("void", sale)
        #expect(second.status == 0 && second.output.contains("done before"), "\(second.output)")
    }

    /// Without PC/SC no card is made up: it may be a real one's turn.
    @Test func withoutTheService() async throws {
        let program = try Program()
        defer { program.remove() }
        let paid = try await program.run("pay", "3")
        #expect(paid.status == 3 && paid.errors.contains("--card visa-credit"), "\(paid.errors)")
        #expect(try await journal(program).isEmpty)
    }
}

/// The same with cards in readers, which the real pcscd has.
@Suite(.serialized, .needs(.virtualPCSC))
struct CardOnTheReaderTests {
    private static func start(
        _ program: Program, _ pcsc: VirtualPCSC, _ arguments: [String]
    ) throws -> (Process, Pipe, Pipe) {
        let made = program.process(arguments)
        made.0.environment?["PCSCLITE_CSOCK_NAME"] = pcsc.environment["PCSCLITE_CSOCK_NAME"]
        try made.0.run()
        return made
    }
    private static func run(
        _ program: Program, _ pcsc: VirtualPCSC, _ arguments: String...
    ) throws -> Program.Result {
        let (process, output, errors) = try start(program, pcsc, arguments)
        let out = try output.fileHandleForReading.readToEnd() ?? Data()
        let err = try errors.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return Program.Result(
            status: process.terminationStatus, output: String(decoding: out, as: UTF8.self),
            errors: String(decoding: err, as: UTF8.self))
    }
    /// A card in the first reader, when pcscd has seen it: as soon as `readers --watch` tells.
    private static func attach(_ program: Program, _ pcsc: VirtualPCSC) throws -> Process {
        let (watching, told, _) = try start(program, pcsc, ["readers", "--watch"])
        defer { watching.terminate() }
        let (attached, _, _) = try start(
            program, pcsc, ["card", "attach", "visa-credit", "--port", "\(pcsc.ports[0])"])
        try wait(for: "3B8", in: told)
        return attached
    }
    private static func wait(for text: String, in pipe: Pipe) throws {
        var seen = ""
        while !seen.contains(text) {
            let more = pipe.fileHandleForReading.availableData
            try #require(!more.isEmpty, "\(text) did not come: \(seen)")
            seen += String(decoding: more, as: UTF8.self)
        }
    }

    /// No reader whose name tells: an emulated card is used, and said, as long as no card lies there.
    @Test(.timeLimit(.minutes(2))) func readersThatDoNotTell() async throws {
        let program = try Program()
        defer { program.remove() }
        try await VirtualPCSC.run { pcsc in
            let empty = try Self.run(program, pcsc, "pay", "3")
            #expect(empty.status == 0)
            #expect(
                empty.errors.contains("visa-credit") && empty.errors.contains("Virtual PCD 00 00"),
                "\(empty.errors)")
            let attached = try Self.attach(program, pcsc)
            defer { attached.terminate() }
            let paid = try Self.run(program, pcsc, "pay", "3", "--json")
            #expect(paid.status == 3 && paid.output.isEmpty)
            #expect(
                paid.errors.contains("Virtual PCD 00 00") && paid.errors.contains("--reader"),
                "\(paid.errors)")
        }
    }

    /// A card that stays is charged once: the next payment asks to take it away, and takes the next card.
    @Test(.timeLimit(.minutes(3))) func aCardThatStays() async throws {
        let program = try Program()
        defer { program.remove() }
        try await VirtualPCSC.run { pcsc in
            let reader = "Virtual PCD 00 00"
            let first = try Self.attach(program, pcsc)
            #expect(try Self.run(program, pcsc, "pay", "3", "--reader", reader).status == 0)
            let (paying, output, _) = try Self.start(program, pcsc, ["pay", "4", "--reader", reader])
            try Self.wait(for: "Please remove card", in: output)
            first.interrupt()
            first.waitUntilExit()
            let second = try Self.attach(program, pcsc)
            let rest = try output.fileHandleForReading.readToEnd() ?? Data()
            paying.waitUntilExit()
            #expect(paying.terminationStatus == 0, "\(String(decoding: rest, as: UTF8.self))")
            second.interrupt()
            second.waitUntilExit()
            // Taken away before the end: the next one may lie there already.
            let cards = try Program.list(try await program.run("cards", "--json").output)
            let card = try #require(cards.first { $0["id"] as? String == "visa-credit" })
            #expect(card["transactionCounter"] as? Int == 2)
        }
    }
}
