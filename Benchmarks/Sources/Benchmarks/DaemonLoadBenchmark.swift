import AsyncHTTPClient
import Foundation
import Histogram
import NIOCore
import Synchronization

extension Benchmarks {
    /// A daemon with a thousand terminals, all with a payment under way: cards are tapped at a steady rate, and each payment
    /// tells what the daemon itself took for it. Then how long an event is on its way, from the request that causes it.
    static func daemonLoad(_ count: Int) async throws -> [Row] {
        let load = try await DaemonLoad(terminals: count)
        do {
            let rows = try await load.measure()
            await load.end()
            return rows
        } catch {
            await load.end()
            throw error
        }
    }
}

private struct DaemonLoad {
    private let process = Process()
    private let folder: URL
    private let client: HTTPClient
    private let url: String
    private let count: Int
    /// Payments begun, then taps, a second: below what two cores can do, so that waiting for others is not counted as work.
    private let rate = 100.0

    init(terminals: Int) async throws {
        count = terminals
        folder = FileManager.default.temporaryDirectory.appending(
            path: "tapbridge-bench-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        process.executableURL = try Benchmarks.program()
        process.arguments = [
            "serve", "--port", "0", "--terminals", "\(terminals)", "--log-level", "error",
            "--set", "limits.requests-per-second=0", "--set", "limits.connections=5000",
        ]
        var environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("TAPBRIDGE_") }
        environment["XDG_STATE_HOME"] = folder.path
        environment["XDG_CONFIG_HOME"] = folder.path
        process.environment = environment
        let output = Pipe()
        process.standardOutput = output
        process.standardInput = FileHandle.nullDevice
        try process.run()
        var line = Data()
        while let byte = try output.fileHandleForReading.read(upToCount: 1), !byte.isEmpty, byte.first != 0x0A
        {
            line += byte
        }
        guard
            let address = String(decoding: line, as: UTF8.self).split(separator: " ").last(where: {
                $0.hasPrefix("http")
            })
        else { throw BenchmarkError("the daemon did not begin") }
        url = String(address)
        var configuration = HTTPClient.Configuration()
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 64
        client = HTTPClient(configuration: configuration)
    }

    func end() async {
        try? await client.shutdown()
        if process.isRunning { process.terminate() }
        process.waitUntilExit()
        try? FileManager.default.removeItem(at: folder)
    }

    @discardableResult
    private func call(_ method: String, _ path: String, _ body: String? = nil, key: String? = nil)
        async throws -> Data
    {
        var request = HTTPClientRequest(url: url + path)
        request.method = .init(rawValue: method)
        if let body {
            request.headers.add(name: "Content-Type", value: "application/json")
            request.body = .bytes(ByteBuffer(string: body))
        }
        if let key { request.headers.add(name: "Idempotency-Key", value: key) }
        let response = try await client.execute(request, timeout: .seconds(60))
        let data = Data(try await response.body.collect(upTo: 8 << 20).readableBytesView)
        guard response.status.code < 300 else {
            throw BenchmarkError("\(method) \(path): \(String(decoding: data.prefix(300), as: UTF8.self))")
        }
        return data
    }

    private struct Payment: Decodable {
        struct Result: Decodable {
            struct Timings: Decodable {
                var total, waiting, card, host, terminal: UInt64
            }
            var status: String
            var timings: Timings?
        }
        var id: String
        var result: Result?
    }
    private struct Terminals: Decodable {
        struct Item: Decodable { var id: String }
        var items: [Item]
        var next: String?
    }

    func measure() async throws -> [Benchmarks.Row] {
        var terminals: [String] = []
        var cursor: String?
        repeat {
            let page = try JSONDecoder().decode(
                Terminals.self,
                from: try await call(
                    "GET", "/v1/terminals?limit=200" + (cursor.map { "&cursor=\($0)" } ?? "")))
            terminals += page.items.map(\.id)
            cursor = page.next
        } while cursor != nil

        let latency = try await eventLatency(terminals[0], name: "daemon-event-latency", rounds: 300)

        // A card for each terminal, and all payments under way.
        let profiles = ["visa-credit", "mc-credit"]
        try await each(terminals, at: nil) { index, _ in
            try await call("POST", "/v1/cards", #"{"profile":"\#(profiles[index % 2])","id":"c\#(index)"}"#)
        }
        let ids = Mutex<[String: String]>([:])
        // At the same rate as the taps: the payment's beginning is the daemon's work as well.
        try await each(terminals, at: rate) { index, terminal in
            let data = try await call(
                "POST", "/v1/payments", #"{"terminal":"\#(terminal)","amount":1250,"deadlineSeconds":300}"#,
                key: "load-\(index)")
            let id = try JSONDecoder().decode(Payment.self, from: data).id
            ids.withLock { $0[terminal] = id }
        }
        let memory = try residentMegabytes()
        // Each is asked for at once, as the daemon keeps the timings of the latest ones only.
        let times = Mutex<[UInt64]>([])
        try await each(terminals, at: rate) { index, terminal in
            try await call("POST", "/v1/terminals/\(terminal)/taps", #"{"card":"c\#(index)"}"#)
            let id = ids.withLock { $0[terminal] } ?? ""
            let payment = try JSONDecoder().decode(
                Payment.self, from: try await call("GET", "/v1/payments/\(id)?wait=60"))
            if let timings = payment.result?.timings { times.withLock { $0.append(timings.terminal) } }
        }
        var work = Histogram<UInt64>(
            highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: .three)
        let measured = times.withLock { $0 }
        for time in measured { work.record(max(1, time)) }
        let answered = measured.count
        guard answered == terminals.count else {
            throw BenchmarkError("\(terminals.count - answered) payments have no end")
        }
        return [
            latency,
            .init(
                name: "daemon-work-p50",
                what: "the daemon's own time of a payment, \(answered) under way, median",
                value: Double(work.valueAtPercentile(50)) / 1000, unit: "ms", goal: "-"),
            .init(
                name: "daemon-work-p99",
                what: "the same, 99th percentile; cards tapped at \(Int(rate)) a second",
                value: Double(work.valueAtPercentile(99)) / 1000, unit: "ms", goal: "< 50 ms"),
            .init(
                name: "daemon-memory-busy", what: "resident memory with \(answered) payments under way",
                value: memory, unit: "MB", goal: "< 200 MB"),
        ]
    }

    /// Runs `body` for each terminal, many at once; at a steady rate where one is given.
    private func each(
        _ terminals: [String], at rate: Double?,
        _ body: @escaping @Sendable (Int, String) async throws -> Void
    ) async throws {
        let start = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, terminal) in terminals.enumerated() {
                if let rate {
                    try await Task.sleep(until: start + .seconds(Double(index) / rate), clock: .continuous)
                } else if index >= 64 {
                    try await group.next()
                }
                group.addTask { try await body(index, terminal) }
            }
            try await group.waitForAll()
        }
    }

    /// From sending a request to having the event that it causes: the request's own way is in it.
    private func eventLatency(_ terminal: String, name: String, rounds: Int) async throws -> Benchmarks.Row {
        let response = try await client.execute(
            HTTPClientRequest(url: url + "/v1/events?terminal=\(terminal)"), timeout: .hours(1))
        var chunks = response.body.makeAsyncIterator()
        var times: [Double] = []
        var buffered = ""
        for _ in 0..<rounds {
            let start = ContinuousClock.now
            async let sent: Data = call("POST", "/v1/terminals/\(terminal)/taps", #"{"card":"visa-credit"}"#)
            while !buffered.contains("event: tap"), let chunk = try await chunks.next() {
                buffered += String(buffer: chunk)
            }
            times.append(Benchmarks.microseconds(ContinuousClock.now - start) / 1000)
            _ = try await sent
            try await call("DELETE", "/v1/terminals/\(terminal)/taps")
            while !buffered.contains("event: removed"), let chunk = try await chunks.next() {
                buffered += String(buffer: chunk)
            }
            buffered = ""
        }
        return .init(
            name: name, what: "from a request to the event that it causes, at a listening client, median",
            value: Benchmarks.median(times), unit: "ms", goal: "< 5 ms")
    }

    private func residentMegabytes() throws -> Double {
        let status = try String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)
        for line in status.split(separator: "\n") where line.hasPrefix("VmRSS:") {
            if let number = line.split(whereSeparator: { !$0.isNumber }).first.flatMap({ Double($0) }) {
                return number * 1024 / 1e6
            }
        }
        return .nan
    }
}
