import Foundation
import Synchronization
import Testing

/// The daemon, its host and its journal as processes and files of their own, while the disk fails, another program holds the
/// journal, or the daemon is killed: afterwards the client's, the journal's and the host's ledgers are compared.
@Suite(.serialized, .timeLimit(.minutes(5))) struct JournalFaultTests {
    /// Terminals with a payment at the host when the fault begins.
    static let terminals = 6

    @Test(
        "locked by another program until the journal says so: all are approved, or reversed, without a restart"
    )
    func lock() async throws {
        let shop = try await Shop(faults: false)
        defer { shop.remove() }
        try await shop.begin(Self.terminals)
        let holder = try Holder(shop.journal)
        try await shop.untilReady(false)
        holder.release()
        try await shop.compareWhenAllIsSettled()
        try await shop.end()
    }

    @Test("full disk until the journal says so: all are approved, or reversed, without a restart")
    func fullDisk() async throws {
        let shop = try await Shop(faults: true)
        defer { shop.remove() }
        try await shop.begin(Self.terminals)
        try shop.setFault("enospc")
        try await shop.untilReady(false)
        try shop.setFault("")
        try await shop.compareWhenAllIsSettled()
        try await shop.end()
    }

    @Test(
        "one sync fails: the journal is opened anew, and nothing is lost or told wrongly, without a restart")
    func oneSync() async throws {
        let shop = try await Shop(faults: true)
        defer { shop.remove() }
        try await shop.begin(Self.terminals)
        try shop.setFault("eio-once")
        try await shop.compareWhenAllIsSettled()
        #expect(shop.log.contains("\"the journal takes writes again\""), "the fault hit nothing")
        try await shop.end()
    }

    /// With `doubt` the commits are in the log though they failed, and the next start finds them.
    @Test(
        "syncs fail for good: the daemon ends by itself, and its next start resolves what was told to have failed",
        arguments: ["eio-sync", "doubt"])
    func noSync(_ fault: String) async throws {
        let shop = try await Shop(faults: true)
        defer { shop.remove() }
        try await shop.begin(Self.terminals)
        try shop.setFault(fault)
        shop.waitUntilDaemonEnded()
        #expect(shop.exitStatus == 4)
        try shop.setFault("")
        try await shop.startDaemon()
        try await shop.compareWhenAllIsSettled()
        try await shop.end()
    }

    @Test(
        "killed with a payment at a terminal that a client added: reversed by the next start, without that terminal"
    )
    func addedTerminal() async throws {
        let shop = try await Shop(faults: false)
        defer { shop.remove() }
        try await shop.makeTerminal("CLIENT01")
        try await shop.begin(1, prefix: "CLIENT")
        shop.killDaemon()
        try await shop.startDaemon()
        try await shop.compareWhenAllIsSettled()
        #expect(try await shop.states() == ["reversed": 1])
        try await shop.end()
    }
}

/// Holds a journal with a write transaction, as another program would.
private final class Holder {
    private let process = Process()
    private let input = Pipe()

    init(_ path: String) throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "python3", "-c",
            """
            import sqlite3, sys
            journal = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
            journal.execute("BEGIN IMMEDIATE")
            print("held", flush=True)
            sys.stdin.readline()
            journal.execute("ROLLBACK")
            """, path,
        ]
        let output = Pipe()
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        let said = output.fileHandleForReading.readData(ofLength: 5)
        try #require(String(decoding: said, as: UTF8.self) == "held\n", "python3 with sqlite3 is needed")
    }

    func release() {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }
}

/// A host that answers after a second, a daemon that asks it, and what its client was told.
private final class Shop {
    private let program: Program
    private let host: Process
    private let hostLines: Lines
    private let acquirer: URL
    private let library: URL?
    private let control: URL
    private var daemon = Process()
    private var daemonLines: [Lines] = []
    private var url = ""
    private var payments: [String] = []
    /// Clients that wait for their payments' ends, and what each is told; nil where the daemon goes before.
    private var clients: [String: Task<String?, Never>] = [:]
    var journal: String { program.state.appendingPathComponent("tapbridge/journal.sqlite").path }
    var exitStatus: Int32 { daemon.terminationStatus }
    /// All that the daemons wrote, in JSON.
    var log: String { daemonLines.map(\.all).joined(separator: "\n") }

    init(faults: Bool) async throws {
        program = try Program()
        control = program.state.appendingPathComponent("fault")
        library = faults ? try Self.build(program.state) : nil
        let (host, output, _) = program.process([
            "host", "--listen", "127.0.0.1:0", "--json", "--trouble", "authorization always: slow 1s",
        ])
        self.host = host
        try host.run()
        hostLines = Lines(output)
        let first = try await hostLines.next { $0["kind"] as? String == "listening" }
        let peer = try #require(first["peer"] as? String)
        acquirer = program.state.appendingPathComponent("acquirer.yaml")
        try Data("hosts: [\"\(peer)\"]\nmessages: { dialect: generic-bcd }\n".utf8).write(to: acquirer)
        try await startDaemon()
    }

    /// `cc` builds the library that lets calls on the journal's files fail.
    private static func build(_ folder: URL) throws -> URL {
        let library = folder.appendingPathComponent("journal_faults.so")
        let compiler = Process()
        compiler.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        compiler.arguments = [
            "cc", "-shared", "-fPIC", "-o", library.path,
            Program.folder.appendingPathComponent("Tests/Oracles/journal_faults.c").path, "-ldl",
        ]
        try compiler.run()
        compiler.waitUntilExit()
        try #require(compiler.terminationStatus == 0, "a C compiler (cc) is needed")
        return library
    }

    func remove() {
        for process in [daemon, host] where process.isRunning { kill(process.processIdentifier, SIGKILL) }
        program.remove()
    }

    func startDaemon() async throws {
        let (daemon, output, errors) = program.process([
            "serve", "--port", "0", "--terminals", "\(JournalFaultTests.terminals)", "--acquirer",
            acquirer.path,
            "--log-format", "json",
        ])
        if let library {
            daemon.environment?["LD_PRELOAD"] = library.path
            daemon.environment?["JOURNAL_FAULT_CONTROL"] = control.path
        }
        self.daemon = daemon
        try daemon.run()
        let lines = Lines(errors)
        daemonLines.append(lines)
        let first = try await ServeTests.firstLine(output)
        url = try #require(first.split(separator: " ").last.map(String.init), "\(lines.all)")
    }

    func setFault(_ name: String) throws { try Data(name.utf8).write(to: control, options: .atomic) }

    func killDaemon() {
        kill(daemon.processIdentifier, SIGKILL)
        daemon.waitUntilExit()
    }
    func waitUntilDaemonEnded() { daemon.waitUntilExit() }

    func makeTerminal(_ id: String) async throws {
        let (status, _) = try await ServeTests.ask("POST", url + "/v1/terminals", ["id": id])
        #expect(status == 201)
    }

    /// Begins a payment at each terminal, and returns when all are at the host.
    func begin(_ count: Int, prefix: String = "TERM00") async throws {
        for number in 1...count {
            let terminal = prefix + String(format: "%0\(8 - prefix.count)d", number)
            let (_, card) = try await ServeTests.ask(
                "POST", url + "/v1/cards", ["profile": "visa-credit"])
            let (status, payment) = try await ServeTests.ask(
                "POST", url + "/v1/payments",
                ["terminal": terminal, "amount": 1000 + number, "tap": ["card": card["id"] ?? ""]],
                headers: ["Idempotency-Key": "key-\(number)"])
            #expect(status == 201, "\(payment)")
            let id = try #require(payment["id"] as? String)
            payments.append(id)
            let address = url + "/v1/payments/\(id)?wait=60"
            clients[id] = Task {
                let view = try? await ServeTests.ask("GET", address).1
                return (view?["result"] as? [String: Any])?["status"] as? String
            }
        }
        for _ in 1...count {
            _ = try await hostLines.next { ["0100", "0200"].contains($0["type"] as? String ?? "") }
        }
    }

    /// Asks again and again, as a load balancer does.
    func untilReady(_ isReady: Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while ContinuousClock.now < deadline {
            let (status, answer) = try await ServeTests.ask("GET", url + "/readyz")
            if (status == 200) == isReady {
                if !isReady {
                    #expect(answer["code"] as? String == "not_ready")
                    #expect((answer["detail"] as? String)?.contains("journal") == true)
                }
                return
            }
        }
        Issue.record("/readyz did not become \(isReady ? 200 : 503)")
    }

    private func state(_ payment: String) async throws -> String {
        let (_, entry) = try await ServeTests.ask("GET", url + "/v1/journal/\(payment)")
        return (entry["record"] as? [String: Any])?["state"] as? String ?? "\(entry)"
    }

    func states() async throws -> [String: Int] {
        var counts: [String: Int] = [:]
        for payment in payments { counts[try await state(payment), default: 0] += 1 }
        return counts
    }

    /// Waits until nothing is unfinished, and compares what the client was told, the journal and the host's ledger.
    func compareWhenAllIsSettled() async throws {
        let deadline = ContinuousClock.now + .seconds(90)
        var states: [String: String] = [:]
        let settled = ["approved", "declined", "reversed", "cancelled", "failed"]
        repeat {
            for payment in payments { states[payment] = try await state(payment) }
        } while !states.values.allSatisfy(settled.contains) && ContinuousClock.now < deadline
        #expect(states.values.allSatisfy(settled.contains), "\(states)")
        for payment in payments {
            guard let told = await clients[payment]?.value else { continue }
            #expect(
                (told == "approved") == (states[payment] == "approved"),
                "told \(told), the journal has \(states[payment] ?? "nothing")")
        }
        let (_, verification) = try await ServeTests.ask("GET", url + "/v1/journal/verification")
        #expect((verification["problems"] as? [String]) == [], "\(verification)")
    }

    /// Ends both and compares with the host's ledger.
    func end() async throws {
        var approved: Set<String> = []
        for payment in payments where try await state(payment) == "approved" { approved.insert(payment) }
        daemon.terminate()
        daemon.waitUntilExit()
        #expect(daemon.terminationStatus == 0)
        host.terminate()
        host.waitUntilExit()
        let listed = try await program.run("journal", "list", "--json")
        let mine = try Program.list(listed.output).filter { $0["state"] as? String == "approved" }
        #expect(mine.count == approved.count)
        let books = try Data(contentsOf: program.state.appendingPathComponent("tapbridge/host-server.json"))
        let text = String(decoding: books, as: UTF8.self)
        let object = try Program.object(text)
        let terminals =
            (object["acquirer"] as? [String: Any])?["terminals"] as? [String: [String: Any]] ?? [:]
        let open = terminals.values.reduce(0) { $0 + (($1["open"] as? [String: Any])?.count ?? 0) }
        #expect(open == mine.count, "the host has \(open), the journal \(mine.count): \(text)")
    }
}

/// The lines of a process's stream, as they come.
private final class Lines: Sendable {
    private let stream: AsyncStream<String>
    private let handle: FileHandle
    private let kept = Kept()
    private final class Kept: Sendable { let lines = Mutex<[String]>([]) }

    init(_ pipe: Pipe) {
        let (stream, continuation) = AsyncStream.makeStream(of: String.self)
        self.stream = stream
        handle = pipe.fileHandleForReading
        Thread.detachNewThread { [handle, kept] in
            var rest = Data()
            while true {
                let data = handle.availableData
                if data.isEmpty { break }
                rest += data
                while let end = rest.firstIndex(of: 0x0A) {
                    let line = String(decoding: rest[rest.startIndex..<end], as: UTF8.self)
                    rest = Data(rest[rest.index(after: end)...])
                    kept.lines.withLock { $0.append(line) }
                    continuation.yield(line)
                }
            }
            continuation.finish()
        }
    }

    var all: String { kept.lines.withLock { $0.joined(separator: "\n") } }

    /// The next line that is meant.
    func next(_ isMeant: ([String: Any]) -> Bool) async throws -> [String: Any] {
        for await line in stream {
            if let object = try? Program.object(line), isMeant(object) { return object }
        }
        struct Ended: Error {}
        throw Ended()
    }
}
