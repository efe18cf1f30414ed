import Foundation
import Testing

/// The host as a server of its own, and a terminal that calls it.
@Suite struct HostTests {
    @Test func servesATerminal() async throws {
        let program = try Program()
        defer { program.remove() }
        let (host, output, _) = program.process([
            "host", "--listen", "127.0.0.1:0", "--json", "--framing", "2-byte tpdu", "--trouble",
            "nth 2: decline 51",
        ])
        try host.run()
        defer { if host.isRunning { host.terminate() } }
        // The first line tells the port.
        let first = try await withCheckedThrowingContinuation {
            (continuation: CheckedContinuation<String, any Error>) in
            Thread.detachNewThread {
                var line = Data()
                while let byte = try? output.fileHandleForReading.read(upToCount: 1), byte.first != 0x0A {
                    line += byte
                    if byte.isEmpty { break }
                }
                continuation.resume(returning: String(decoding: line, as: UTF8.self))
            }
        }
        let listening = try Program.object(first)
        #expect(listening["kind"] as? String == "listening")
        let peer = try #require(listening["peer"] as? String)
        let file = program.state.appendingPathComponent("acquirer.yaml")
        try Data(
            "hosts: [\"\(peer)\"]\nmessages: { dialect: generic-bcd, framing: 2-byte tpdu }\n".utf8
        ).write(to: file)

        let paid = try await program.run(
            "pay", "12.50", "--card", "visa-credit", "--json", "--acquirer", file.path)
        #expect(paid.status == 0, "\(paid.errors)")
        let declined = try await program.run(
            "pay", "13", "--card", "visa-credit", "--json", "--acquirer", file.path)
        #expect(declined.status == 1)
        #expect(try Program.object(declined.output)["responseCode"] as? String == "51", "\(declined.output)")
        let checked = try await program.run("iso", "acquirer", file.path)
        #expect(checked.output.contains("generic-bcd, 2-byte tpdu"))
        let twice = try await program.run(
            "pay", "1", "--card", "visa-credit", "--trouble", "silence", "--acquirer", file.path)
        #expect(twice.status == 64)

        // Asked to end, it keeps its books: the counter is known when it begins again.
        host.terminate()
        host.waitUntilExit()
        #expect(host.terminationStatus == 0)
        let rest = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        let lines = try rest.split(separator: "\n").map { try Program.object(String($0)) }
        let messages = lines.filter { $0["type"] as? String == "0200" }
        #expect(messages.count == 2)
        #expect(messages.first?["card"] as? String == "476173******0119")
        #expect(messages.last?["trouble"] as? String == "decline 51")
        #expect(!rest.contains("4761739001010119"))
        let books = try Data(contentsOf: program.state.appendingPathComponent("tapbridge/host-server.json"))
        #expect(String(decoding: books, as: UTF8.self).contains("TERM0001"))
    }

    @Test(arguments: [
        (["host", "--listen", "nowhere"], 64, "127.0.0.1:8583"),
        (["host", "--dialect", "nope"], 65, "generic-bcd"),
        (["host", "--framing", "3-byte"], 64, "2-byte"),
        (["host", "--tls-certificate", "a.pem"], 64, "--tls-key"),
        (["host", "--tls-certificate", "/no/a.pem", "--tls-key", "/no/b.pem"], 65, "/no/a.pem"),
        (["host", "--world", "/no/world.yaml"], 65, "/no/world.yaml"),
        (["host", "--trouble", "maybe: silence"], 64, "nth"),
        (["host", "--acquirer", "/no/acquirer.yaml"], 65, "/no/acquirer.yaml"),
        (["host", "--listen", "192.0.2.1:8583", "--insecure"], 65, "192.0.2.1"),
        (["pay", "1", "--acquirer", "/no/acquirer.yaml"], 65, "/no/acquirer.yaml"),
        (["iso", "acquirer", "/no/acquirer.yaml"], 65, "/no/acquirer.yaml"),
        (["iso", "acquirer"], 0, "server-name"),
    ]) func mistakes(arguments: [String], status: Int32, says: String) async throws {
        let program = try Program()
        defer { program.remove() }
        let (process, output, errors) = program.process(arguments)
        try process.run()
        let text =
            try (output.fileHandleForReading.readToEnd() ?? Data())
            + (errors.fileHandleForReading.readToEnd() ?? Data())
        process.waitUntilExit()
        #expect(process.terminationStatus == status)
        #expect(String(decoding: text, as: UTF8.self).contains(says))
    }
}
