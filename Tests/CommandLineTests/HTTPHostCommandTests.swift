import Foundation
import Testing

/// The host as a server of its own, and a terminal that calls it over HTTP.
@Suite struct HTTPHostCommandTests {
    @Test func servesATerminal() async throws {
        let program = try Program()
        defer { program.remove() }
        let (host, output, _) = program.process([
            "host", "--listen", "127.0.0.1:0", "--json", "--http", "127.0.0.1:0", "--http-key",
            "till-1=00112233445566778899AABBCCDDEEFF", "--trouble", "nth 2: decline 51",
        ])
        try host.run()
        defer { if host.isRunning { kill(host.processIdentifier, SIGKILL) } }
        // One of the first lines tells the port.
        let peer = try await withCheckedThrowingContinuation {
            (continuation: CheckedContinuation<String, any Error>) in
            Thread.detachNewThread {
                var line = Data()
                while let byte = try? output.fileHandleForReading.read(upToCount: 1), !byte.isEmpty {
                    guard byte.first == 0x0A else {
                        line += byte
                        continue
                    }
                    let entry = try? Program.object(String(decoding: line, as: UTF8.self))
                    if (entry?["reason"] as? String)?.contains("HTTP") == true {
                        return continuation.resume(returning: entry?["peer"] as? String ?? "")
                    }
                    line = Data()
                }
                continuation.resume(returning: "")
            }
        }
        let file = program.state.appendingPathComponent("acquirer.yaml").path
        func write(key: String) throws {
            try "http:\n  url: http://\(peer)\n  key-name: till-1\n  key: \(key)\n  tries: 1\n".write(
                toFile: file, atomically: true, encoding: .utf8)
        }
        func pay(_ amount: String, _ card: String) async throws -> (Int32, [String: Any]) {
            let paid = try await program.run("pay", amount, "--card", card, "--json", "--acquirer", file)
            return (paid.status, try Program.object(paid.output))
        }
        try write(key: "00112233445566778899AABBCCDDEEFF")
        // With an online PIN; then the trouble.
        let (status, paid) = try await pay("80.00", "visa-debit")
        #expect(status == 0 && paid["responseCode"] as? String == "00", "\(paid)")
        let (second, declined) = try await pay("12.50", "visa-credit")
        #expect(second == 1 && declined["responseCode"] as? String == "51", "\(declined)")
        let checked = try await program.run("iso", "acquirer", file)
        #expect(checked.output.contains("http://\(peer)/v1/messages, key till-1"))
        #expect(!checked.output.contains("0011223344"))

        try write(key: "FF112233445566778899AABBCCDDEEFF")
        let (third, refused) = try await pay("12.50", "visa-credit")
        #expect(third == 1)
        #expect((refused["reason"] as? String)?.contains("HTTP 401") == true, "\(refused)")
        #expect(refused["reversalOutstanding"] as? Bool == false)
    }

    @Test(
        arguments: [
            (["host", "--http", "127.0.0.1:0"], 64, "--http-key"),
            (
                ["host", "--http", "nowhere", "--http-key", "a=00112233445566778899AABBCCDDEEFF"], 64,
                "127.0.0.1:8080"
            ),
            (["iso", "acquirer", "--http"], 0, "key-name"),
        ] as [([String], Int32, String)])
    func usage(_ arguments: [String], _ status: Int32, _ says: String) async throws {
        let program = try Program()
        defer { program.remove() }
        let (process, output, errors) = program.process(arguments)
        try process.run()
        let out = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        let err = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == status)
        #expect((out + err).contains(says), "\(out)\(err)")
    }
}
