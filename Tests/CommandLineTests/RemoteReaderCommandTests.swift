import Foundation
import TestTools
import Testing

/// Two processes: one offers an emulated card's reader, the other one takes payments from it.
struct RemoteReaderCommandTests {
    /// A `reader share` that runs, and the port it listens on.
    final class Share {
        let process: Process
        let port: Int
        private let output: Pipe

        init(_ program: Program, _ arguments: String..., environment: [String: String] = [:]) throws {
            let (process, output, _) = program.process(["reader", "share", "--port", "0"] + arguments)
            process.environment?.merge(environment) { $1 }
            process.standardError = output
            try process.run()
            self.process = process
            self.output = output
            var text = ""
            while true {
                let data = output.fileHandleForReading.availableData
                guard !data.isEmpty else { break }
                text += String(decoding: data, as: UTF8.self)
                if let line = text.split(separator: "\n").first(where: { $0.hasPrefix("listening on ") }),
                    text.hasSuffix("\n")
                {
                    let address = line.dropFirst("listening on ".count).prefix { $0 != "," }
                    port = try #require(Int(address.split(separator: ":").last ?? ""))
                    return
                }
            }
            process.waitUntilExit()
            throw Failure(text: text, status: process.terminationStatus)
        }

        struct Failure: Error {
            var text: String
            var status: Int32
        }

        /// Ends it as Ctrl-C does.
        /// - Returns: what it still said.
        func stop() throws -> String {
            process.interrupt()
            let rest = try output.fileHandleForReading.readToEnd() ?? Data()
            process.waitUntilExit()
            return String(decoding: rest, as: UTF8.self)
        }
    }

    @Test(.timeLimit(.minutes(15))) func paymentsOverTLS() async throws {
        let program = try Program()
        defer { program.remove() }
        let made = try await program.run("certs", "--json")
        #expect(made.status == 0, "\(made.errors)")
        #expect(try Program.object(made.output)["made"] as? [String] == ["ca", "server", "terminal"])
        let again = try await program.run("certs", "--terminal", "till-2", "--json")
        #expect(try Program.object(again.output)["made"] as? [String] == ["till-2"])

        let share = try Share(program, "--card", "visa-debit", "--card", "mc-debit", "--allow", "terminal")
        defer { share.process.terminate() }
        let listed = try await program.run("reader", "list", "localhost:\(share.port)", "--json")
        #expect(
            try Program.list(listed.output).map { $0["name"] as? String } == [
                "Emulated visa-debit", "Emulated mc-debit",
            ])
        for name in ["visa", "mc"] {
            let paid = try await program.run(
                "pay", "9.90", "--reader", "remote:localhost:\(share.port)/\(name)", "--json")
            #expect(paid.status == 0, "\(paid.errors)")
            #expect(try Program.object(paid.output)["status"] as? String == "approved")
        }
        // A terminal that is not on the list, one without certificates, a reader that is not there.
        let other = try await program.run(
            "pay", "9.90", "--reader", "remote:localhost:\(share.port)/visa", "--identity", "till-2")
        #expect(other.status == 3)
        #expect(other.errors.contains("not allowed"), "\(other.errors)")
        let plain = try await program.run(
            "pay", "9.90", "--reader", "remote:localhost:\(share.port)/visa", "--no-tls")
        #expect(plain.status == 3)
        let absent = try await program.run("pay", "9.90", "--reader", "remote:localhost:\(share.port)/absent")
        #expect(absent.status == 3)
        #expect(absent.errors.contains("Emulated visa-debit"), "\(absent.errors)")
        let said = try share.stop()
        #expect(share.process.terminationStatus == 0)
        #expect(said.contains("terminal has Emulated visa-debit"), "\(said)")
        // The cards' counters were kept.
        let cards = try Program.list(try await program.run("cards", "--json").output)
        let debit = try #require(cards.first { $0["id"] as? String == "visa-debit" })
        #expect(debit["transactionCounter"] as? Int == 1)
    }

    /// The service manager hears that it is ready, that it lives, and that it ends.
    @Test(.timeLimit(.minutes(15))) func tellsTheServiceManager() async throws {
        let program = try Program()
        defer { program.remove() }
        let manager = try NotifySocket(program.state.appendingPathComponent("notify").path)
        let share = try Share(
            program, "--card", "visa-debit", "--fresh-card", "--no-tls",
            environment: ["NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "200000"])
        defer { share.process.terminate() }
        #expect(manager.next()?.hasPrefix("READY=1\nSTATUS=listening on 127.0.0.1:\(share.port)") == true)
        for _ in 0..<3 {
            #expect(manager.next() == "WATCHDOG=1\nSTATUS=1 readers offered, 0 in use, 0 connections")
        }
        share.process.terminate()
        var last = manager.next()
        while let text = last, text.hasPrefix("WATCHDOG") { last = manager.next() }
        #expect(last == "STOPPING=1")
        share.process.waitUntilExit()
        #expect(share.process.terminationStatus == 0)
    }

    /// What a service manager listens on.
    final class NotifySocket {
        let path: String
        private let descriptor: Int32
        struct Failure: Error {}

        init(_ path: String) throws {
            self.path = path
            descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else { throw Failure() }
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
            let bound = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            guard bound == 0 else { throw Failure() }
        }
        deinit { close(descriptor) }

        /// The next message; nil after a minute.
        func next() -> String? {
            var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard Foundation.poll(&poll, 1, 60_000) == 1 else { return nil }
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = recv(descriptor, &buffer, buffer.count, 0)
            return count > 0 ? String(decoding: buffer.prefix(count), as: UTF8.self) : nil
        }
    }

    @Test(.timeLimit(.minutes(15))) func withoutCertificatesOverLoopbackOnly() async throws {
        let program = try Program()
        defer { program.remove() }
        let share = try Share(program, "--card", "visa-debit", "--fresh-card")
        defer { share.process.terminate() }
        let paid = try await program.run(
            "pay", "9.90", "--reader", "remote:127.0.0.1:\(share.port)", "--json")
        #expect(paid.status == 0, "\(paid.errors)")
        _ = try share.stop()
        let beyond = try await program.run("reader", "share", "--card", "visa-debit", "--host", "0.0.0.0")
        #expect(beyond.status == 3)
        #expect(beyond.errors.contains("tapbridge certs"), "\(beyond.errors)")
        for usage in ["remote:", "remote:host:0"] {
            #expect(try await program.run("pay", "1.00", "--reader", usage).status == 64)
        }
    }

    /// The server's process is killed, at different times of a payment: the terminal ends with a clear error or with
    /// the payment done, and its journal is sound.
    @Test(.timeLimit(.minutes(15)), arguments: 0..<8)
    func theServerIsKilled(eighth: Int) async throws {
        let program = try Program()
        defer { program.remove() }
        let share = try Share(program, "--card", "visa-credit", "--fresh-card")
        let whole = try await ContinuousClock().measure {
            let paid = try await program.run("pay", "9.90", "--reader", "remote:127.0.0.1:\(share.port)")
            #expect(paid.status == 0, "\(paid.errors)")
        }
        let kill = Task {
            await pass(eighth, of: 8, of: whole)
            Foundation.kill(share.process.processIdentifier, SIGKILL)
        }
        let paid = try await program.run(
            "pay", "12.50", "--reader", "remote:127.0.0.1:\(share.port)", "--json")
        await kill.value
        share.process.waitUntilExit()
        #expect([0, 3].contains(paid.status), "\(paid.errors)")
        if paid.status == 3, !paid.output.isEmpty {
            let report = try Program.object(paid.output)
            #expect(report["status"] as? String == "failed")
            #expect(report["reversalOutstanding"] as? Bool == false)
            #expect((report["reason"] as? String)?.contains("remote:127.0.0.1:\(share.port)") == true)
        }
        #expect(try await program.run("journal", "verify").status == 0)
    }
}
