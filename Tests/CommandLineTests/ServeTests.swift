import Foundation
import FoundationNetworking
import Testing

/// The daemon and the commands around it, as a user runs them.
@Suite struct ServeTests {
    /// Reads a first line of standard output.
    static func firstLine(_ output: Pipe) async throws -> String {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<String, any Error>) in
            Thread.detachNewThread {
                var line = Data()
                while let byte = try? output.fileHandleForReading.read(upToCount: 1), byte.first != 0x0A {
                    if byte.isEmpty { break }
                    line += byte
                }
                continuation.resume(returning: String(decoding: line, as: UTF8.self))
            }
        }
    }

    static func ask(
        _ method: String, _ url: String, _ object: [String: Any]? = nil, headers: [String: String] = [:]
    ) async throws -> (Int, [String: Any]) {
        var request = URLRequest(url: try #require(URL(string: url)))
        request.httpMethod = method
        if let object {
            request.httpBody = try JSONSerialization.data(withJSONObject: object)
            request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        }
        for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
        let (data, response) = try await URLSession.shared.data(for: request)
        let status = try #require(response as? HTTPURLResponse).statusCode
        return (status, (try? JSONSerialization.jsonObject(with: data) as? [String: Any]) ?? [:])
    }

    @Test("serves payments, reads its configuration again at SIGHUP, and ends at SIGTERM")
    func life() async throws {
        let program = try Program()
        defer { program.remove() }
        let file = program.state.appendingPathComponent("tapbridge.yaml")
        try Data("listen: {port: 1}\nterminals: [{id: TILL, count: 2}]\nlog: {format: json}\n".utf8).write(
            to: file)
        let (daemon, output, errors) = program.process(["serve", "--config", file.path, "--port", "0"])
        try daemon.run()
        defer { if daemon.isRunning { daemon.terminate() } }
        let first = try await Self.firstLine(output)
        let url = try #require(first.split(separator: " ").last.map(String.init))
        #expect(first.hasPrefix("listening on http://127.0.0.1:"))

        let (created, payment) = try await Self.ask(
            "POST", url + "/v1/payments",
            ["terminal": "TILL0002", "amount": 1250, "tap": ["card": "visa-credit"]],
            headers: ["Idempotency-Key": "one"])
        #expect(created == 201)
        let id = try #require(payment["id"] as? String)
        let (_, finished) = try await Self.ask("GET", url + "/v1/payments/\(id)?wait=30")
        #expect((finished["result"] as? [String: Any])?["status"] as? String == "approved")

        try Data("listen: {port: 1}\nterminals: [{id: TILL, count: 3}]\nlog: {format: json}\n".utf8).write(
            to: file)
        kill(daemon.processIdentifier, SIGHUP)
        var terminals = 0
        let deadline = ContinuousClock.now + .seconds(20)
        while terminals != 3, ContinuousClock.now < deadline {
            terminals = try await Self.ask("GET", url + "/v1/status").1["terminals"] as? Int ?? 0
        }
        #expect(terminals == 3)

        daemon.terminate()
        daemon.waitUntilExit()
        #expect(daemon.terminationStatus == 0)
        let log = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        let lines = try log.split(separator: "\n").map { try Program.object(String($0)) }
        let messages = lines.compactMap { $0["message"] as? String }
        for message in ["payment begins", "payment approved", "configuration read again", "stopping"] {
            #expect(messages.contains(message), "\(messages)")
        }
        #expect(lines.first { $0["message"] as? String == "payment approved" }?["payment"] as? String == id)
        let listed = try await program.run("journal", "--json")
        #expect(listed.output.contains(id))
    }

    @Test("does not listen beyond this machine without a certificate and a token, nor with a mistake")
    func refusals() async throws {
        let program = try Program()
        defer { program.remove() }
        let open = try await program.run("serve", "--address", "0.0.0.0", "--port", "0")
        #expect(open.status == 65)
        #expect(open.errors.contains("listen.tls") && open.errors.contains("at least one token"))
        let wrong = try await program.run("serve", "--set", "listen.prot=1")
        #expect(wrong.status == 65)
        #expect(wrong.errors.contains("did you mean \"listen.port\"?"))
        let reader = try await program.run("serve", "--reader", "usb")
        #expect(reader.status == 65)
        #expect(reader.errors.contains("pcsc:NAME"))
        let missing = try await program.run("serve", "--config", "/no/such.yaml")
        #expect(missing.status == 65)
        #expect(missing.errors.contains("no such file"))
    }

    @Test("config check tells every mistake with its line, and takes what config show prints")
    func config() async throws {
        let program = try Program()
        defer { program.remove() }
        let file = program.state.appendingPathComponent("tapbridge.yaml")
        let shown = try await program.run("config", "show")
        try Data(shown.output.utf8).write(to: file)
        let good = try await program.run("config", "check", file.path)
        #expect(good.status == 0)
        #expect(good.output == "\(file.path): no mistakes\n")
        try Data("listen:\n  port: many\nlogs: {}\n".utf8).write(to: file)
        let bad = try await program.run("config", "check", file.path, "--json")
        #expect(bad.status == 65)
        let mistakes = try Program.list(bad.output)
        #expect(mistakes.map { $0["line"] as? Int } == [2, 3])
        #expect(mistakes.map { $0["setting"] as? String } == ["listen.port", ""])
        let text = try await program.run("config", "check", file.path)
        #expect(
            text.output.contains(
                "\(file.path):2:9: listen.port: expected a whole number of 0...65535, found \"many\""))
        #expect(text.errors.contains("2 mistakes"))
        let schema = try await program.run("config", "schema")
        #expect(try Program.object(schema.output)["properties"] != nil)
    }

    /// sha256sum as the oracle.
    @Test func token() async throws {
        let program = try Program()
        defer { program.remove() }
        let made = try Program.object(
            try await program.run("config", "token", "till", "--role", "observer", "--json").output)
        let token = try #require(made["token"] as? String)
        #expect(made["role"] as? String == "observer")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/sha256sum")
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        input.fileHandleForWriting.write(Data(token.utf8))
        try input.fileHandleForWriting.close()
        let sum = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(sum.hasPrefix(try #require(made["sha256"] as? String)))
        #expect(try await program.run("config", "token", "a b").status == 64)
    }
}
