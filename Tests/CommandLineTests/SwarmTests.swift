import Foundation
import Testing

/// Many terminals at once, and the books afterwards.
@Suite struct SwarmTests {
    private func report(_ result: Program.Result) throws -> [String: Any] {
        try #require(try? Program.object(result.output), "\(result.errors)")
    }

    @Test(
        "the books agree, whatever cards and hosts do",
        arguments: [
            [], ["--tear", "30"], ["--trouble", "20%: silence", "--answer-timeout", "0.3"],
            ["--trouble", "20%: lost", "--trouble", "reversal 30%: unreachable", "--answer-timeout", "0.3"],
            ["--rate", "200"],
        ])
    func agree(_ more: [String]) async throws {
        let program = try Program()
        defer { program.remove() }
        let (process, output, errors) = program.process(
            ["swarm", "--terminals", "10", "--count", "100", "--json"] + more)
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(text)")
        let report = try #require(try? Program.object(text), "\(errors)")
        #expect(report["payments"] as? Int == 100)
        #expect(report["fewestPerTerminal"] as? Int == 10)
        #expect(report["mostPerTerminal"] as? Int == 10)
        let books = try #require(report["books"] as? [String: Any])
        let (journal, host) = (books["journal"] as? [String: Int], books["host"] as? [String: Int])
        #expect(journal?["approved"] == host?["approved"])
        #expect(journal?["approvedAmount"] == host?["approvedAmount"])
        #expect((journal?["approved"] ?? 0) > 40)
        #expect(books["batches"] as? Int == books["batchesBalanced"] as? Int)
        let outcomes = try #require(report["outcomes"] as? [String: Int])
        #expect(outcomes.values.reduce(0, +) == 100)
        #expect(outcomes["approved"] == journal?["approved"])
    }

    @Test("the same seed brings the same cards and amounts")
    func reproducible() async throws {
        let program = try Program()
        defer { program.remove() }
        var seen: [String] = []
        for seed in ["7", "7", "8"] {
            let result = try await program.run(
                "swarm", "--terminals", "5", "--count", "50", "--seed", seed, "--json", "--mix",
                "visa-no-oda,mc-no-oda=2")
            let books = try #require(try report(result)["books"] as? [String: Any])
            seen.append("\((books["journal"] as? [String: Int])?["approvedAmount"] ?? -1)")
        }
        #expect(seen[0] == seen[1])
        #expect(seen[0] != seen[2])
    }

    @Test("reversals that the host never acknowledges are books that do not agree")
    func disagree() async throws {
        let program = try Program()
        defer { program.remove() }
        let result = try await program.run(
            "swarm", "--terminals", "4", "--count", "12", "--answer-timeout", "0.2", "--patience", "1",
            "--trouble",
            "always: lost", "--trouble", "reversal always: silence", "--json")
        #expect(result.status == 2)
        let report = try report(result)
        #expect(report["agree"] as? Bool == false)
        #expect(((report["books"] as? [String: Any])?["owed"] as? Int ?? 0) > 0)
    }

    @Test("against a host of its own over ISO 8583: every batch balances, and cards go on counting")
    func outside() async throws {
        let program = try Program()
        defer { program.remove() }
        let (host, output, _) = program.process(["host", "--listen", "127.0.0.1:0", "--json"])
        try host.run()
        defer { if host.isRunning { host.terminate() } }
        let listening = try Program.object(try await ServeTests.firstLine(output))
        Thread.detachNewThread { _ = try? output.fileHandleForReading.readToEnd() }
        let peer = try #require(listening["peer"] as? String)
        let file = program.state.appendingPathComponent("acquirer.yaml")
        try Data("hosts: [\"\(peer)\"]\nmessages: { dialect: generic-bcd }\n".utf8).write(to: file)
        for round in 1...2 {
            let result = try await program.run(
                "swarm", "--acquirer", file.path, "--terminals", "6", "--count", "60", "--json", "--mix",
                "visa-credit=2,mc-credit=2,apple-pay-visa,visa-expired", "--amounts", "1.00-5.00")
            #expect(result.status == 0, "round \(round): \(result.output) \(result.errors)")
            let report = try report(result)
            let books = try #require(report["books"] as? [String: Any])
            #expect(books["batches"] as? Int == 6)
            #expect(books["batchesBalanced"] as? Int == 6)
            #expect(books["host"] == nil)
            #expect(((report["outcomes"] as? [String: Int])?["approved"] ?? 0) > 30, "round \(round)")
        }
    }

    @Test(
        "what is no swarm is refused",
        arguments: [
            (["--mix", "visa-credit=x"], 64), (["--mix", "no-such-card"], 65), (["--amounts", "5-1"], 64),
            (["--terminals", "0"], 64), (["--acquirer", "/no/such.yaml"], 65),
            (["--acquirer", "x", "--trouble", "always: silence"], 64), (["--trouble", "sometimes"], 64),
        ] as [([String], Int)])
    func refused(_ arguments: [String], _ status: Int) async throws {
        let program = try Program()
        defer { program.remove() }
        let (process, _, errors) = program.process(["swarm", "--count", "1"] + arguments)
        try process.run()
        let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == Int32(status), "\(text)")
    }
}
