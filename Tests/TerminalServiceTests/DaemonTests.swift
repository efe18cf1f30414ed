import EMVCryptography
import AcquirerSimulator
import Cards
import Foundation
import FoundationNetworking
import Glibc
import Issuing
import Journal
import Logging
import CardReaders
import RemoteReaders
import Synchronization
import Terminal
import TestTools
import Testing

@testable import TerminalService

/// A daemon on a free port with everything around it.
final class TestDaemon: Sendable {
    let daemon: Daemon
    let hall: TerminalHall
    let journal: Journal
    let metrics: ServiceMetrics
    let folder: URL
    private let lines: Lines
    private let task: Mutex<Task<Void, any Error>?>
    let port: Int

    final class Lines: Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }
        func take(_ line: String) { lines.withLock { $0.append(line) } }
    }

    /// - Parameters:
    ///   - settings: more of the configuration file, which listens on a free port.
    ///   - troubles: what goes wrong at the built-in host.
    static func with<T>(
        _ settings: String = "terminals: [{id: TERM0001}, {id: TERM0002}]", troubles: [String] = [],
        environment: [String: String] = [:], address: String = "127.0.0.1",
        files: (URL) throws -> Void = { _ in }, _ body: (TestDaemon) async throws -> T
    ) async throws -> T {
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "tapbridge-daemon-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try files(folder)
        let daemon = try await TestDaemon(folder, settings, troubles, environment)
        do {
            let result = try await body(daemon)
            try await daemon.stop()
            return result
        } catch {
            try? await daemon.stop()
            throw error
        }
    }

    private init(
        _ folder: URL, _ settings: String, _ troubles: [String], _ environment: [String: String]
    ) async throws {
        self.folder = folder
        let lines = Lines()
        self.lines = lines
        let file = folder.appending(path: "tapbridge.yaml")
        try Self.write(settings, to: file)
        let sources = ConfigurationSources(file: file.path)
        let configuration = try DaemonConfiguration(sources)
        let journal = try await Journal.open(at: folder.appending(path: "journal.sqlite").path)
        self.journal = journal
        let metrics = ServiceMetrics()
        self.metrics = metrics
        let log = LogOutput(
            format: configuration.log.format, level: configuration.log.level, sink: { lines.take($0) },
            count: { metrics.noteLog($0.rawValue) })
        let backend = SimulatedAcquirer(
            issuer: try IssuerSimulator(world: .test, pinVerifier: TestPIN.verifier),
            troubles: TroubleScript(rules: try troubles.map { try TroubleRule($0) }),
            answerTimeout: .seconds(2))
        let watch = PaymentWatch(metrics, log, backend: backend.name)
        var profile = try TerminalProfile.builtIn()
        profile.timing.authorization = .seconds(2)
        hall = TerminalHall(
            .init(profile: profile, journal: journal, backend: backend, observer: { watch.observe($0) }))
        let (urls, continuation) = AsyncStream.makeStream(of: String.self)
        let daemon = try Daemon(
            .init(
                configuration: configuration, sources: sources, hall: hall, watch: watch, metrics: metrics,
                log: log,
                openReader: { name in
                    throw ReaderError.readerUnavailable(reader: "\(name)", reason: "not plugged in")
                },
                end: { try await journal.close() }, environment: environment,
                ready: { continuation.yield($0) }))
        self.daemon = daemon
        let task = Task {
            defer { continuation.finish() }
            try await daemon.run(signals: false)
        }
        self.task = Mutex(task)
        var found: Int?
        for await url in urls {
            found = url.split(separator: ":").last.flatMap { Int($0) }
            break
        }
        port = try #require(found, "the daemon did not begin")
    }
    static func write(_ settings: String, to file: URL) throws {
        let listen = settings.contains("listen:") ? "" : "listen: {port: 0}\n"
        try (listen + settings + "\n").write(to: file, atomically: true, encoding: .utf8)
    }

    func rewrite(_ settings: String) throws {
        try Self.write(settings, to: folder.appending(path: "tapbridge.yaml"))
    }

    var log: [String] { lines.all }
    func wait() async throws { try await task.withLock { $0 }?.value }
    func stop() async throws {
        await daemon.stop()
        try await wait()
    }

    struct Answer {
        var status: Int
        var headers: [String: String]
        var body: Data
        var object: [String: Any] { (try? JSONSerialization.jsonObject(with: body) as? [String: Any]) ?? [:] }
        var text: String { String(decoding: body, as: UTF8.self) }
    }

    func ask(
        _ method: String, _ path: String, _ object: [String: Any]? = nil, headers: [String: String] = [:]
    ) async throws -> Answer {
        var request = URLRequest(url: URL(string: "http://127.0.0.1:\(port)\(path)")!)
        request.httpMethod = method
        request.timeoutInterval = 30
        // Each request has the cookies that it is given: the store of the process knows no ports.
        request.httpShouldHandleCookies = false
        if let object {
            request.httpBody = try JSONSerialization.data(withJSONObject: object)
            request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        }
        for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
        let (data, response) = try await URLSession.shared.data(for: request)
        let http = try #require(response as? HTTPURLResponse)
        var fields: [String: String] = [:]
        for (name, value) in http.allHeaderFields { fields["\(name)".lowercased()] = "\(value)" }
        return Answer(status: http.statusCode, headers: fields, body: data)
    }

    /// - Returns: the payment's id.
    func pay(_ terminal: String, _ card: String? = nil, amount: Int = 1250, key: String = UUID().uuidString)
        async throws -> String
    {
        var body: [String: Any] = ["terminal": terminal, "amount": amount]
        if let card { body["tap"] = ["card": card] }
        let answer = try await ask("POST", "/v1/payments", body, headers: ["Idempotency-Key": key])
        #expect(answer.status == 201, "\(answer.text)")
        return try #require(answer.object["id"] as? String)
    }

    func finished(_ id: String) async throws -> [String: Any] {
        let answer = try await ask("GET", "/v1/payments/\(id)?wait=30")
        return answer.object["result"] as? [String: Any] ?? [:]
    }
}

/// A connection that says what it is told to.
final class RawClient {
    let descriptor: Int32

    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port)).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(result == 0)
    }
    deinit { close(descriptor) }

    @discardableResult
    func send(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        return Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
    }

    /// Waits until the other side has closed; what it said before.
    func readToEnd(atMost: Duration = .seconds(120)) async -> String? {
        let descriptor = descriptor
        return await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                let deadline = ContinuousClock.now + atMost
                var all: [UInt8] = []
                var buffer = [UInt8](repeating: 0, count: 65536)
                while ContinuousClock.now < deadline {
                    var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                    guard poll(&wanted, 1, 1000) > 0 else { continue }
                    let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
                    if count > 0 {
                        all += buffer.prefix(count)
                    } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
                        return continuation.resume(returning: String(decoding: all, as: UTF8.self))
                    }
                }
                continuation.resume(returning: nil)
            }
        }
    }
}

@Suite("Daemon", .serialized)
struct DaemonTests {
    @Test("ready, measured, stopped: a payment that waits for a card is cancelled, and event streams end")
    func life() async throws {
        try await TestDaemon.with { daemon in
            #expect(try await daemon.ask("GET", "/healthz").status == 200)
            #expect(try await daemon.ask("GET", "/readyz").object["status"] as? String == "ready")
            let paid = try await daemon.pay("TERM0001", "visa-credit")
            #expect(try await daemon.finished(paid)["status"] as? String == "approved")
            let text = try await daemon.ask("GET", "/metrics").text
            #expect(
                text.contains(
                    "tapbridge_payments_total{kernel=\"3\",outcome=\"approved\",backend=\"simulator\"} 1"))
            #expect(text.contains("tapbridge_terminals{state=\"idle\"} 2"))
            let waiting = try await daemon.pay("TERM0002")
            #expect(try await daemon.ask("GET", "/metrics").text.contains("tapbridge_payments_under_way 1"))
            let events = try RawClient(port: daemon.port)
            events.send("GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(try await eventually { daemon.hall.figures.eventClients > 0 })
            try await daemon.stop()
            let told = try #require(await events.readToEnd())
            #expect(told.hasPrefix("HTTP/1.1 200"))
            #expect(told.contains("event: finished"))
            let journal = try Journal.openReadOnly(at: daemon.folder.appending(path: "journal.sqlite").path)
            #expect(try await journal.show(waiting)?.state == .cancelled)
            #expect(try await journal.show(paid)?.state == .approved)
        }
    }

    /// The host says nothing; SIGTERM comes while the terminal waits for it.
    @Test("what has left for the host is carried to its end before the daemon ends: answered or reversed")
    func stopsWhileAuthorizing() async throws {
        try await TestDaemon.with(troubles: ["always: silence"]) { daemon in
            let id = try await daemon.pay("TERM0001", "visa-credit")
            try await TestTools.eventually("the host is asked") {
                try await daemon.journal.show(id)?.state == .authorizing
            }
            try await daemon.stop()
            let journal = try Journal.openReadOnly(at: daemon.folder.appending(path: "journal.sqlite").path)
            #expect(try await journal.show(id)?.state == .reversed)
            #expect(daemon.log.contains { $0.contains("reversal delivered") && $0.contains(id) })
        }
    }

    @Test("no payment is taken while the daemon ends")
    func refusesWhileEnding() async throws {
        try await TestDaemon.with(troubles: ["always: silence"]) { daemon in
            let id = try await daemon.pay("TERM0001", "visa-credit")
            try await TestTools.eventually("the host is asked") {
                try await daemon.journal.show(id)?.state == .authorizing
            }
            async let stopped: Void = daemon.stop()
            #expect(try await eventually { daemon.hall.figures.isStopping })
            let refused = try await daemon.ask(
                "POST", "/v1/payments", ["terminal": "TERM0002", "amount": 100],
                headers: ["Idempotency-Key": "late"])
            #expect(refused.status == 503)
            #expect(refused.object["code"] as? String == "stopping")
            let ready = try await daemon.ask("GET", "/readyz")
            #expect(ready.status == 503)
            #expect((ready.object["reasons"] as? [String])?.contains("stopping") == true)
            try await stopped
        }
    }

    @Test("the configuration is read again: what may change does, what may not is told, and payments go on")
    func reload() async throws {
        let token = AccessToken.make()
        let hash = AccessToken(name: "a", role: .operator, hash: AccessToken.hash(of: token)).hashText
        try await TestDaemon.with { daemon in
            let waiting = try await daemon.pay("TERM0002")
            try daemon.rewrite(
                """
                listen: {port: 1}
                terminals: [{id: TERM0001}, {id: N, count: 2}]
                tokens: [{name: a, role: operator, sha256: \(hash)}]
                limits: {body: 2 KiB}
                log: {format: json, level: debug}
                """)
            let report = try await daemon.ask("POST", "/v1/configuration/reload")
            #expect(report.status == 200)
            #expect(
                Set(report.object["changed"] as? [String] ?? []) == ["tokens", "limits", "log", "terminals"])
            let refused = (report.object["refused"] as? [String] ?? []).joined(separator: "\n")
            #expect(refused.contains("listen.port: takes a restart"))
            #expect(refused.contains("TERM0002: takes a payment now"))

            #expect(try await daemon.ask("GET", "/v1/status").status == 401)
            let bearer = ["Authorization": "Bearer \(token)"]
            let page = try await daemon.ask("GET", "/v1/terminals", headers: bearer)
            let names = (page.object["items"] as? [[String: Any]])?.compactMap { $0["id"] as? String }
            #expect(Set(names ?? []) == ["TERM0001", "TERM0002", "N0000001", "N0000002"])
            #expect(daemon.log.last?.hasPrefix("{") == true)

            // The payment never noticed; when it is over the terminal goes.
            let state = try await daemon.ask("GET", "/v1/payments/\(waiting)", headers: bearer)
            #expect(state.object["state"] as? String == "waitingForCard")
            _ = try await daemon.ask("POST", "/v1/payments/\(waiting)/cancel", headers: bearer)
            _ = try await daemon.ask("GET", "/v1/payments/\(waiting)?wait=30", headers: bearer)
            let again = try await daemon.ask("POST", "/v1/configuration/reload", headers: bearer)
            #expect(again.object["changed"] as? [String] == ["terminals"])
            #expect(Set(daemon.hall.terminals.map(\.id)) == ["TERM0001", "N0000001", "N0000002"])
        }
    }

    @Test("a configuration with a mistake changes nothing")
    func reloadWithMistake() async throws {
        try await TestDaemon.with { daemon in
            try daemon.rewrite("terminals: []\nlog: {level: loud}")
            let report = try await daemon.ask("POST", "/v1/configuration/reload")
            #expect(report.status == 409)
            #expect((report.object["detail"] as? String)?.contains("tapbridge.yaml:3:14: log.level") == true)
            #expect(daemon.hall.terminals.count == 2)
            #expect(
                try await daemon.ask("GET", "/metrics").text.contains(
                    "tapbridge_configuration_reloads_total{result=\"refused\"} 1"))
        }
    }

    @Test("a reader that is not there keeps the daemon from being ready, not from serving")
    func missingReader() async throws {
        try await TestDaemon.with("terminals: [{id: TERM0001}, {id: TERM0002, reader: \"pcsc:ACR\"}]") {
            daemon in
            let ready = try await daemon.ask("GET", "/readyz")
            #expect(ready.status == 503)
            #expect((ready.object["reasons"] as? [String])?.first?.hasPrefix("reader pcsc:ACR: ") == true)
            #expect(
                try await daemon.ask("GET", "/metrics").text.contains(
                    "tapbridge_readers{kind=\"pcsc\",state=\"offline\"} 1"))
            let paid = try await daemon.pay("TERM0001", "mc-credit")
            #expect(try await daemon.finished(paid)["status"] as? String == "approved")
        }
    }

    @Test("a session's cookie opens event streams; a wrong token opens none")
    func session() async throws {
        let token = AccessToken.make()
        let hash = AccessToken(name: "a", role: .observer, hash: AccessToken.hash(of: token)).hashText
        try await TestDaemon.with("tokens: [{name: a, role: observer, sha256: \(hash)}]") { daemon in
            let wrong = try await daemon.ask("POST", "/v1/session", ["token": "nonsense"])
            #expect(wrong.status == 401)
            #expect(wrong.headers["set-cookie"] == nil)
            let right = try await daemon.ask("POST", "/v1/session", ["token": token])
            #expect(right.object["role"] as? String == "observer")
            let cookie = try #require(right.headers["set-cookie"])
            #expect(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"))
            let client = try RawClient(port: daemon.port)
            client.send(
                "GET /v1/events HTTP/1.1\r\nHost: localhost\r\nCookie: \(cookie.prefix { $0 != ";" })\r\n\r\n"
            )
            #expect(try await eventually { daemon.hall.figures.eventClients > 0 })
            #expect(try await daemon.ask("POST", "/v1/session", ["tokn": token]).status == 400)
        }
    }

    @Test("clients that are slow, hold on or never read are closed and counted; others are served meanwhile")
    func slowClients() async throws {
        try await TestDaemon.with(
            "limits: {header-timeout: 300 ms, body-timeout: 300 ms, write-timeout: 300 ms, event-streams-per-client: 2}"
        ) { daemon in
            // Nothing at all, half a head, half a body.
            let silent = try RawClient(port: daemon.port)
            let head = try RawClient(port: daemon.port)
            head.send("GET /healthz HTTP/1.1\r\nHost: loc")
            let body = try RawClient(port: daemon.port)
            body.send(
                "POST /v1/decode HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
            )
            // Two requests later it is as idle as one that never said anything.
            let idle = try RawClient(port: daemon.port)
            idle.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(try await daemon.ask("GET", "/healthz").status == 200)
            #expect(await silent.readToEnd() == "")
            #expect(await head.readToEnd() != nil)
            #expect(await body.readToEnd() != nil)
            #expect(await idle.readToEnd()?.hasPrefix("HTTP/1.1 200") == true)
            let garbage = try RawClient(port: daemon.port)
            garbage.send("\u{16}\u{3}\u{1} what is this\r\n\r\n")
            #expect(await garbage.readToEnd()?.hasPrefix("HTTP/1.1 400") == true)

            // Two event streams are enough for one client.
            let streams = try (0..<3).map { _ in try RawClient(port: daemon.port) }
            for stream in streams { stream.send("GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n") }
            #expect(try await eventually { daemon.metrics.rejected.value("streams") > 0 })
            #expect(daemon.hall.figures.eventClients == 2)
            let metrics = daemon.metrics
            #expect(metrics.rejected.value("slow_header") >= 2)
            #expect(metrics.rejected.value("slow_body") == 1)
            #expect(metrics.rejected.value("malformed") == 1)
        }
    }

    @Test("an event client that never reads is closed")
    func neverReads() async throws {
        try await TestDaemon.with("limits: {write-timeout: 300 ms}\nterminals: [{id: TERM0001}]") { daemon in
            let client = try RawClient(port: daemon.port)
            var small: Int32 = 2048
            setsockopt(client.descriptor, SOL_SOCKET, SO_RCVBUF, &small, socklen_t(MemoryLayout<Int32>.size))
            client.send("GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(try await eventually { daemon.hall.figures.eventClients > 0 })
            var payments = 0
            while daemon.metrics.rejected.value("slow_reader") == 0, payments < 400 {
                let id = try await daemon.pay("TERM0001", "mc-credit", amount: 100)
                _ = try await daemon.finished(id)
                payments += 1
            }
            #expect(daemon.metrics.rejected.value("slow_reader") >= 1, "after \(payments) payments")
            #expect(try await daemon.ask("GET", "/healthz").status == 200)
        }
    }

    @Test("connections beyond the limit close the longest idle one, not the newest")
    func connections() async throws {
        try await TestDaemon.with("limits: {connections: 20}") { daemon in
            let idle = try (0..<60).map { _ in try RawClient(port: daemon.port) }
            for number in 0..<5 {
                #expect(try await daemon.ask("GET", "/healthz").status == 200, "\(number)")
            }
            #expect(await idle[0].readToEnd() == "")
            #expect(daemon.daemon.keeper.count <= 20)
            #expect(daemon.metrics.rejected.value("connections") >= 40)
        }
    }

    /// Every built-in card on the most talkative level: none of their numbers is in the log, in any spelling.
    @Test("no card number is logged at any level", arguments: ["text", "json"])
    func noCardNumbers(_ format: String) async throws {
        try await TestDaemon.with("terminals: [{id: TERM0001}]\nlog: {level: trace, format: \(format)}") {
            daemon in
            // Long enough to be no time or count by chance.
            let pin = "739182465017"
            var numbers: Set<String> = []
            for card in try CardLibrary.profiles() {
                for application in card.applications {
                    numbers.insert(application.primaryAccountNumber.clearDigits)
                }
                let id = try await daemon.pay("TERM0001", card.id, amount: 6000)
                let live = try #require(daemon.hall.livePayment(id))
                #expect(
                    try await eventually {
                        // A phone that is locked is waited for again.
                        live.phase == .enteringPIN || live.phase == .finished
                            || live.events.contains { $0.type == "outcome" }
                            || live.phase == .waitingForCard && live.events.contains { $0.type == "card" }
                    })
                _ = try await daemon.ask("POST", "/v1/terminals/TERM0001/pin", ["pin": pin])
                _ = try await daemon.ask("POST", "/v1/payments/\(id)/cancel")
                _ = try await daemon.finished(id)
                _ = try await daemon.ask("DELETE", "/v1/terminals/TERM0001/taps")
            }
            #expect(numbers.count > 10)
            let log = daemon.log.joined()
            #expect(log.contains("payment begins") && log.contains("command"))
            for number in numbers {
                #expect(!log.contains(number))
                #expect(!log.contains(number.dropFirst(6).dropLast(1)))
            }
            #expect(!log.contains(pin))
        }
    }

    @Test("the service manager hears when the daemon is ready, reads again, lives and ends")
    func notifications() async throws {
        let path = FileManager.default.temporaryDirectory.appending(
            path: "tb-\(UInt32.random(in: 0 ... .max)).sock"
        ).path
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        defer {
            close(descriptor)
            unlink(path)
        }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0)
        var told: [String] = []
        func read() {
            var buffer = [UInt8](repeating: 0, count: 4096)
            while true {
                let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
                if count <= 0 { break }
                told.append(String(decoding: buffer.prefix(count), as: UTF8.self))
            }
        }
        try await TestDaemon.with(
            environment: ["NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000", "WATCHDOG_PID": "\(getpid())"]
        ) { daemon in
            _ = try await daemon.ask("POST", "/v1/configuration/reload")
            try await TestTools.eventually("it says twice that it lives") {
                read()
                return told.count { $0 == "WATCHDOG=1" } >= 2
            }
        }
        read()
        #expect(told.contains { $0.hasPrefix("READY=1\nSTATUS=listening on http://127.0.0.1:") })
        #expect(told.contains { $0.hasPrefix("RELOADING=1\nMONOTONIC_USEC=") })
        #expect(told.filter { $0 == "WATCHDOG=1" }.count >= 2)
        #expect(told.contains { $0.hasPrefix("STOPPING=1\nSTATUS=ending 0 payments") })
    }

    @Test("certificates are replaced while the daemon serves")
    func certificates() async throws {
        func make(_ folder: URL, _ name: String) throws {
            let directory = CertificateDirectory(path: folder.path)
            if !directory.hasAuthority { try directory.makeAuthority() }
            try directory.issue(name, role: .server, hosts: ["localhost", "127.0.0.1"], replaces: true)
        }
        try await TestDaemon.with(
            "listen: {port: 0, tls: {certificate: certs/server.pem, key: certs/server.key}}",
            files: { try make($0.appending(path: "certs"), "server") }
        ) { daemon in
            let certs = daemon.folder.appending(path: "certs")
            func peer() throws -> String {
                let process = Process()
                process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
                process.arguments = [
                    "s_client", "-connect", "127.0.0.1:\(daemon.port)", "-CAfile",
                    certs.appending(path: "ca.pem").path,
                    "-verify_return_error", "-servername", "localhost",
                ]
                let output = Pipe()
                process.standardInput = FileHandle(forReadingAtPath: "/dev/null")
                process.standardOutput = output
                process.standardError = FileHandle.nullDevice
                try process.run()
                let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
                process.waitUntilExit()
                #expect(text.contains("Verify return code: 0"))
                let rest = text.split(separator: "-----BEGIN CERTIFICATE-----").dropFirst().first ?? ""
                return String(rest.split(separator: "-----END").first ?? "")
            }
            let before = try peer()
            #expect(try peer() == before)
            try make(certs, "server")
            let report = await daemon.daemon.reload()
            #expect(report.changed == ["listen.tls"])
            #expect(try peer() != before)
            // Nonsense in its place leaves the good one.
            try "nonsense".write(to: certs.appending(path: "server.pem"), atomically: true, encoding: .utf8)
            #expect(await daemon.daemon.reload().isRead == false)
            #expect(try peer() != before)
        }
    }
}
