import CardReaders
import Cards
import EMV
import Foundation
import Kernels
import RemoteReaders
import SmartCard
import Terminal

extension BenchCommand {
    /// A server and a terminal in this process, over TLS on loopback.
    struct RemoteSetup {
        let server: ReaderServer
        let line: FaultyLine?
        let address: RemoteReaderAddress
        private let folder: String
        private let credentials: TLSCredentials

        /// - Parameter breaks: whether a line that can be broken lies between the two.
        init(_ reader: any CardReader, breaks: Bool = false) async throws {
            folder = FileManager.default.temporaryDirectory.path + "/tapbridge-bench-\(UUID().uuidString)"
            let certificates = CertificateDirectory(path: folder)
            try certificates.makeAuthority()
            try certificates.issue("server", role: .server, hosts: ["127.0.0.1"])
            try certificates.issue("terminal", role: .terminal)
            server = ReaderServer(credentials: try TLSCredentials(directory: folder, role: .server))
            try server.offer(.init(reader))
            let port = try await server.start(port: 0)
            line = breaks ? FaultyLine(to: port) : nil
            address = RemoteReaderAddress(host: "127.0.0.1", port: try await line?.start() ?? port)
            credentials = try TLSCredentials(directory: folder, role: .terminal)
        }

        func terminal() -> RemoteReader {
            var options = RemoteReader.Options()
            options.retryAfter = .milliseconds(1)
            return RemoteReader(address: address, credentials: credentials, options: options)
        }

        func stop() async {
            await line?.stop()
            await server.stop()
            try? FileManager.default.removeItem(atPath: folder)
        }
    }

    /// What the line adds to one APDU: the same emulated reader over TLS on loopback and in this process, in
    /// alternating rounds; each APDU is measured by itself.
    static func remote(_ rounds: Int) async throws -> Row {
        let field = EmulatedReader(name: "bench")
        field.present(EchoCard())
        let setup = try await RemoteSetup(field)
        let terminal = setup.terminal()
        let command: [UInt8] = [0x00, 0xA4, 0x04, 0x00, 0x0E] + Array("2PAY.SYS.DDF01".utf8) + [0x00]
        let count = 2000
        func round(_ reader: any CardReader) async throws -> Double {
            let channel = try await reader.activateCard(deadline: .now + .seconds(10))
            var times: [Double] = []
            times.reserveCapacity(count)
            for _ in 0..<count {
                let start = ContinuousClock.now
                _ = try await channel.transmit(command, timeout: .seconds(5))
                times.append(microseconds(start.duration(to: .now)))
            }
            return median(times)
        }
        var over: [Double] = []
        var local: [Double] = []
        for _ in 0..<max(3, rounds) {
            over.append(try await round(terminal))
            local.append(try await round(field))
        }
        await terminal.close()
        await setup.stop()
        return Row(
            name: "remote",
            what: "what TLS over loopback adds to one APDU, median / the same in process",
            value: median(zip(over, local).map { $0 - $1 }), unit: "us", reference: median(local), ratio: nil,
            goal: "<= 150 us")
    }

    // MARK: - Endurance

    /// What the process holds.
    struct Holdings: Encodable {
        var kilobytes: Int
        var descriptors: Int
        var threads: Int

        static func now() -> Holdings {
            let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
            func number(_ key: String) -> Int {
                let line = status.split(separator: "\n").first { $0.hasPrefix(key + ":") } ?? ""
                return Int(line.filter(\.isNumber)) ?? 0
            }
            let descriptors =
                (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd"))?.count ?? 0
            return Holdings(
                kilobytes: number("VmRSS"), descriptors: descriptors, threads: number("Threads"))
        }
    }

    /// Payments over a line that is cut, and with a card that leaves, at random places.
    static func remoteEndurance(_ count: Int) async throws -> [Row] {
        struct Dice: RandomNumberGenerator {
            var state: UInt64
            mutating func next() -> UInt64 {
                state &+= 0x9E37_79B9_7F4A_7C15
                var mixed = state
                mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
                mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
                return mixed ^ (mixed >> 31)
            }
        }
        final class Removals: @unchecked Sendable {  // the lock guards it
            private let lock = NSLock()
            private var next = EmulatedReader.Removal.never
            func plan(_ removal: EmulatedReader.Removal) { lock.withLock { next = removal } }
            func take() -> EmulatedReader.Removal {
                lock.withLock {
                    defer { next = .never }
                    return next
                }
            }
        }
        let profile = try TerminalProfile.load(nil)
        let card = try CardStore.take("visa-no-oda", fresh: true)
        let removals = Removals()
        let setup = try await RemoteSetup(
            TappingReader(card, name: "endurance", removal: { removals.take() }), breaks: true)
        guard let line = setup.line else { throw CommandFailure(.different, "no line") }
        let terminal = setup.terminal()
        let driver = TransactionDriver(
            reader: terminal, unpredictableNumber: { 0x1A2B_3C4D }, sleep: { _ in })
        var dice = Dice(state: 0x7461_7062)
        var ends: [String: Int] = [:]
        let inputs = try inputs(1250)
        var before = Holdings.now()
        let warmUp = max(1, count / 5)
        for index in 0..<(warmUp + count) {
            if index == warmUp {
                before = try await settled(setup, terminal)
                ends = [:]
            }
            switch Int.random(in: 0..<4, using: &dice) {
            case 0:
                line.plan(
                    .cut(
                        Bool.random(using: &dice) ? .toServer : .toTerminal,
                        after: Int.random(in: 0..<300, using: &dice)))
            case 1: removals.plan(.afterCommands(Int.random(in: 0..<6, using: &dice)))
            case 2: removals.plan(.duringCommand(Int.random(in: 0..<6, using: &dice)))
            default: break
            }
            var entryPoint = EntryPoint(configuration: profile.configuration, kernels: .all)
            switch await driver.run(&entryPoint, from: entryPoint.start(inputs)) {
            case .outcome(let final): ends["\(final.outcome.status)", default: 0] += 1
            case .readerFailed(.readerUnavailable): ends["lineLost", default: 0] += 1
            case let other: ends["\(other)", default: 0] += 1
            }
            await terminal.fieldOff()
            line.plan(nil)
        }
        let after = try await settled(setup, terminal)
        let lines = line.lines
        await terminal.close()
        await setup.stop()
        guard ends.values.reduce(0, +) == count else {
            throw CommandFailure(.different, "\(count) payments, ends: \(ends)")
        }
        let words = ends.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
        func row(_ name: String, _ what: String, _ from: Int, _ to: Int, _ unit: String, _ goal: String)
            -> Row
        {
            Row(
                name: "remote-\(name)", what: what, value: Double(to - from), unit: unit,
                reference: Double(from), ratio: nil, goal: goal)
        }
        return [
            Row(
                name: "remote-endurance", what: "payments: \(words); over \(lines) lines",
                value: Double(count),
                unit: "", reference: nil, ratio: nil, goal: "all end"),
            row(
                "memory", "resident memory gained / before", before.kilobytes, after.kilobytes, "kB",
                "no growth"),
            row("handles", "descriptors gained / before", before.descriptors, after.descriptors, "", "0"),
            row("threads", "threads gained / before", before.threads, after.threads, "", "0"),
        ]
    }

    /// Connections that end are given time: one remains, the terminal's own.
    private static func settled(_ setup: RemoteSetup, _ terminal: RemoteReader) async throws -> Holdings {
        try await terminal.connect()
        let deadline = ContinuousClock.now + .seconds(10)
        while setup.server.connectionCount > 1, ContinuousClock.now < deadline {
            try? await Task.sleep(for: .milliseconds(10))
        }
        // Sockets that close at their own pace.
        try? await Task.sleep(for: .milliseconds(1500))
        return Holdings.now()
    }
}
