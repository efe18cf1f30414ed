import AcquirerHost
import AcquirerSimulator
import ArgumentParser
import CommandSupport
import EMV
import EMVCryptography
import Foundation
import HTTPBackend
import ISO8583
import ISO8583Backend
import ISO8583Dialects
import Issuing
import ProfileFile

extension HostCommand {
    struct Serve: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Run the simulated acquirer, network, token service and issuer as a server.",
            discussion: """
                Terminals connect over ISO 8583, and with --http over HTTP. Every message is shown as it comes; card numbers are masked. \
                Accounts and tokens come from a world file. What is booked is on the disk before it is answered, in the books \
                and in a log beside them (.log): it outlives the server, however that ends.

                A trouble is "[MESSAGE] WHEN: TROUBLE [xN]". MESSAGE is authorization (which may be left out), \
                reversal, advice, adjustment, reconciliation or upload. WHEN is always, nth N, every N, amount N, \
                card NUMBER, N% or during 10s-20s. TROUBLE is decline CC, approve, silence, lost, garbage, late 45s, \
                overtaken 45s, duplicate, unreachable, cut, cut before, wrong-arpc, wrong-script or wrong-mac.

                "always: approve" approves what comes without asking an issuer: for clients that have no chip data yet, \
                or cards that the world does not know.

                Examples:
                  tapbridge host
                  tapbridge host --dialect jpos-87b --framing "2-byte tpdu" --verbose
                  tapbridge host --trouble "amount 1051: decline 51" --trouble "always: approve"
                  tapbridge host --listen 0.0.0.0:8583 --insecure --dump messages.pcap
                  tapbridge host --trouble "nth 3: silence" --trouble "card 4761739001010119: decline 05"
                  tapbridge host --http 127.0.0.1:8080 --http-key till-1=00112233445566778899AABBCCDDEEFF
                  tapbridge host --tls-certificate host.pem --tls-key host-key.pem --tls-trust terminals.pem
                """)

        @Option(help: ArgumentHelp("Address and port.", valueName: "host:port")) var listen = "127.0.0.1:8583"
        @Option(
            help: ArgumentHelp(
                "Take dialect, framing and fields from an acquirer file, as terminals do.", valueName: "file"),
            completion: .file())
        var acquirer: String?
        @Option(help: ArgumentHelp("A built-in dialect or a dialect file.", valueName: "name"))
        var dialect: String?
        @Option(help: ArgumentHelp("Such as \"2-byte tpdu\" or ascii-4.", valueName: "framing"))
        var framing: String?
        @Option(
            help: ArgumentHelp(
                "Serve the JSON protocol over HTTP as well (`Sources/Adapters/HTTPBackend/openapi.yaml`).",
                valueName: "host:port"))
        var http: String?
        @Option(
            help: ArgumentHelp(
                "A terminal's name and key for HTTP, 16 to 64 bytes in hexadecimal; may be repeated.",
                valueName: "name=hex"))
        var httpKey: [String] = []
        @Option(
            help: ArgumentHelp("Certificate chain (PEM): serve over TLS.", valueName: "file"),
            completion: .file())
        var tlsCertificate: String?
        @Option(help: ArgumentHelp("Its private key (PEM).", valueName: "file"), completion: .file())
        var tlsKey: String?
        @Option(
            help: ArgumentHelp(
                "Take terminals with a certificate of these authorities only.", valueName: "file"),
            completion: .file())
        var tlsTrust: String?
        @Option(
            help: ArgumentHelp("Issuers, cards, tokens and accounts.", valueName: "file"), completion: .file()
        )
        var world: String?
        @Option(
            help: ArgumentHelp(
                "Where books are kept, by one host at a time; in the user's state directory by default.",
                valueName: "file"))
        var books: String?
        @Flag(help: "Begin new books: opening balances, no counter used.") var newBooks = false
        @Option(help: ArgumentHelp("What goes wrong, and when; may be repeated.", valueName: "rule"))
        var trouble: [String] = []
        @Flag(help: "Listen beyond this machine without TLS.") var insecure = false
        @Flag(help: "Show every field of every message, and the data objects of field 55; masked.")
        var verbose = false
        @Option(
            help: ArgumentHelp(
                "Write every message to a file, card numbers in clear: hexadecimal lines, or packets for Wireshark where the name ends in .pcap.",
                valueName: "file"), completion: .file())
        var dump: String?
        @Flag(help: "Amounts of 90.00 to 90.99 cause troubles by their last two digits.") var amountTable =
            false
        @OptionGroup var output: OutputOptions

        func run() async throws {
            guard let endpoint = Endpoint(listen) else {
                throw CommandFailure(.usage, "\"\(listen)\" is no address and port such as 127.0.0.1:8583")
            }
            let interface = try interface()
            let security = try security()
            var script = try SimulatedHost.script(trouble)
            if amountTable { script.rules += TroubleScript.amountTable.rules }
            let (ledger, simulator) = try simulator()
            let json = output.json
            let service = HostService(acquirer: simulator, troubles: script, ledger: ledger) {
                Self.show($0, json: json)
            }
            guard endpoint.isLoopback || security != nil || insecure else {
                throw CommandFailure(
                    .usage,
                    "\(endpoint) is beyond this machine, and card numbers would cross the network in clear: give --tls-certificate and --tls-key, or --insecure"
                )
            }
            let dumpFile = try dump.map { try TrafficFile($0, interface) }
            defer { dumpFile?.close() }
            let listener = listener(
                service, on: endpoint, speaking: interface, security: security, dumpingTo: dumpFile)

            let http = try await httpHost(service)
            defer { if let http { Task { await http.stop() } } }
            do {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { [listener] in try await listener.run() }
                    group.addTask { await EndSignals.wait() }
                    group.addTask {
                        if let error = await ledger.failure() { throw CommandFailure(.journal, "\(error)") }
                    }
                    try await group.next()
                    group.cancelAll()
                }
            } catch let failure as CommandFailure {
                throw failure
            } catch {
                throw CommandFailure(.badInput, "cannot serve on \(endpoint): \(error)")
            }
            do { try await ledger.close(await simulator.allBooks) } catch {
                throw CommandFailure(.journal, "\(error)")
            }
        }

        private func listener(
            _ service: HostService, on endpoint: Endpoint, speaking interface: HostInterface,
            security: TransportSecurity?, dumpingTo file: TrafficFile?
        ) -> ISO8583Listener {
            var listener = ISO8583Listener(
                service: service, interface: interface, endpoint: endpoint, security: security)
            if verbose || file != nil {
                let verbose = verbose
                listener.observer = { traffic in
                    file?.write(traffic)
                    if verbose { Console.print(Console.standard.shown(traffic.text(interface))) }
                }
            }
            return listener
        }

        private func interface() throws -> HostInterface {
            do {
                var interface =
                    try acquirer.map { (path) throws(ProfileFileError) in
                        try AcquirerFile(path: path).interface
                    } ?? HostInterface(dialect: try Dialect.named(dialect ?? "generic-bcd"))
                if acquirer != nil, let dialect { interface.dialect = try Dialect.named(dialect) }
                if let framing {
                    guard let framing = Framing(framing) else {
                        throw CommandFailure(
                            .usage,
                            "\"\(framing)\" is no framing: write \(Framing.syntax)")
                    }
                    guard framing.isDelimited else {
                        throw CommandFailure(
                            .usage, "\"\(framing)\": a length or a trailer is needed on a connection")
                    }
                    interface.framing = framing
                    if interface.header.count != framing.header.count {
                        interface.header = HostInterface(dialect: interface.dialect, framing: framing).header
                    }
                }
                return interface
            } catch let error as ProfileFileError {
                throw CommandFailure(.badInput, "\(error)")
            }
        }

        /// The HTTP side, with the same books and the same script; nil where none is wanted.
        private func httpHost(_ service: HostService) async throws -> HTTPHost? {
            guard let http else {
                guard httpKey.isEmpty else { throw CommandFailure(.usage, "--http-key goes with --http") }
                return nil
            }
            guard let endpoint = Endpoint(http) else {
                throw CommandFailure(.usage, "\"\(http)\" is no address and port such as 127.0.0.1:8080")
            }
            guard endpoint.isLoopback || tlsCertificate != nil || insecure else {
                throw CommandFailure(
                    .usage,
                    "\(endpoint) is beyond this machine: give --tls-certificate and --tls-key, or --insecure")
            }
            var keys: [String: SecretKey] = [:]
            for text in httpKey {
                let parts = text.split(separator: "=", maxSplits: 1)
                guard parts.count == 2, let key = SecretKey(hex: parts[1]) else {
                    throw CommandFailure(.usage, "--http-key: write a name, =, and the key in hexadecimal")
                }
                keys[String(parts[0])] = key
            }
            guard !keys.isEmpty else { throw CommandFailure(.usage, "--http needs --http-key") }
            var configuration = HTTPHost.Configuration(
                address: endpoint.host, port: endpoint.port, keys: keys)
            if let tlsCertificate, let tlsKey {
                configuration.certificate = (tlsCertificate, tlsKey)
                configuration.clientAuthority = tlsTrust
            }
            do {
                let host = try await HTTPHost.start(ScriptedBackend(service, peer: "http"), configuration)
                await service.note(
                    HostLogEntry(
                        .listening, peer: "\(Endpoint(host: endpoint.host, port: host.port))",
                        reason: "HTTP \(configuration.path)"))
                return host
            } catch {
                throw CommandFailure(.badInput, "\(error)")
            }
        }

        private func security() throws -> TransportSecurity? {
            guard tlsCertificate != nil || tlsKey != nil || tlsTrust != nil else { return nil }
            guard let tlsCertificate, let tlsKey else {
                throw CommandFailure(.usage, "TLS needs --tls-certificate and --tls-key")
            }
            let security = TransportSecurity(trust: tlsTrust, certificate: tlsCertificate, key: tlsKey)
            do {
                _ = try security.serverContext()
            } catch {
                throw CommandFailure(.badInput, "\(error)")
            }
            return security
        }

        /// The books that were named, else the first in the state directory that no other host has open.
        private func openLedger() throws -> (ledger: HostLedgerFile, books: HostBooks) {
            if let books { return try HostLedgerFile.open(books, isNew: newBooks) }
            let start = try StateDirectory.make() + "/host-server"
            for number in 1...100 {
                do throws(HostLedgerError) {
                    return try HostLedgerFile.open(
                        start + (number == 1 ? "" : "-\(number)") + ".json", isNew: newBooks)
                } catch {
                    guard case .locked = error else { throw error }
                }
            }
            throw HostLedgerError.locked(path: start + ".json")
        }

        /// The books, and the host that keeps them there.
        private func simulator() throws -> (HostLedgerFile, SimulatedAcquirer) {
            do {
                let world =
                    try world.map { (path) throws(ProfileFileError) in
                        try IssuingWorld(ProfileFile(path: path))
                    } ?? .test
                let (ledger, kept) = try openLedger()
                if ledger.droppedBytes > 0 {
                    Console.printError(
                        "the last change in \(HostLedgerFile.logPath(ledger.path)) was cut short, and nobody was told of it: it is left out"
                    )
                }
                let simulator = SimulatedAcquirer(
                    issuer: try IssuerSimulator(
                        world: world, state: kept.issuer, pinVerifier: TestPIN.verifier),
                    books: kept.acquirer, ledger: ledger)
                return (ledger, simulator)
            } catch let error as HostLedgerError {
                throw CommandFailure(error.isOfContent ? .badInput : .journal, "\(error)")
            } catch {
                throw CommandFailure(.badInput, "\(error)")
            }
        }

        private static func show(_ entry: HostLogEntry, json: Bool) {
            let now = Date()
            if json {
                struct Line: Encodable {
                    var time: Date
                    var entry: HostLogEntry
                    func encode(to encoder: any Encoder) throws {
                        try entry.encode(to: encoder)
                        enum Keys: String, CodingKey { case time }
                        var container = encoder.container(keyedBy: Keys.self)
                        try container.encode(time, forKey: .time)
                    }
                }
                let encoder = JSONEncoder()
                encoder.dateEncodingStrategy = .iso8601
                encoder.outputFormatting = [.sortedKeys]
                if let data = try? encoder.encode(Line(time: now, entry: entry)) {
                    Console.print(PlainText.escaped(json: String(decoding: data, as: UTF8.self)))
                }
                return
            }
            let console = Console.standard
            let time = Self.time(now)
            let style: Console.Style =
                switch entry.kind {
                case .unreadable, .wrongMAC: .red
                case .message:
                    entry.trouble != nil
                        ? .yellow : entry.isApproved ? .green : .red
                default: .dim
                }
            Console.print("\(console.styled(time, .dim)) \(console.styled(entry.text, style))")
        }

        /// HH:MM:SS, local.
        private static func time(_ date: Date) -> String {
            let parts = Calendar.current.dateComponents([.hour, .minute, .second], from: date)
            return [parts.hour, parts.minute, parts.second].map { String(format: "%02d", $0 ?? 0) }
                .joined(separator: ":")
        }
    }
}
