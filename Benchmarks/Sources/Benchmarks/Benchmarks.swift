import ArgumentParser
import CardReaders
import Cards
import EMV
import EMVCryptography
import Foundation
import Kernels
import SmartCard
import Terminal
import Traces

/// Benchmarks against references that are measured in the same run.
@main
struct Benchmarks: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "benchmarks", abstract: "Benchmarks of Tapbridge, each beside its reference.",
        discussion: """
            Machines are shared and noisy: look at the ratios. Each figure is the median of alternating rounds \
            of ours and the reference. `paired` compares two programs, an older and a newer one, in turns.

            Examples:
              benchmarks run tlv qvsdc-fdda --json
              benchmarks paired --old "old/benchmarks run" --new "new/benchmarks run" mchip-cda payments
            """,
        subcommands: [Run.self, Paired.self], defaultSubcommand: Run.self)

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Measure, against a reference in the same run.")
        @Argument(
            help:
                "Which benchmarks: \(Benchmark.allCases.map(\.rawValue).joined(separator: ", ")); by default all but the endurance ones."
        )
        var names: [Benchmark] = []
        @Option(help: "Rounds of each.") var rounds = 9
        @Option(help: "Payments of an endurance benchmark.") var payments = 1000
        @Flag(help: "Print JSON for programs.") var json = false

        func run() async throws {
            signal(SIGPIPE, SIG_IGN)
            try await Benchmarks.measure(names, rounds: rounds, payments: payments, json: json)
        }
    }

    enum Benchmark: String, CaseIterable, ExpressibleByArgument {
        case tlv
        case fdda = "qvsdc-fdda"
        case noODA = "qvsdc-no-oda"
        case mChipCDA = "mchip-cda"
        case mChipNoODA = "mchip-no-oda"
        case iso8583
        case payments
        case journal
        case pcsc
        case libnfc
        case libnfcEndurance = "libnfc-endurance"
        case remote
        case daemon
        case daemonLoad = "daemon-load"

        /// Takes minutes: only when asked for.
        var isEndurance: Bool {
            self == .libnfcEndurance || self == .daemonLoad
        }
    }

    struct Row: Encodable {
        var name: String
        var what: String
        var value: Double
        var unit: String
        var reference: Double?
        var ratio: Double?
        var goal: String
    }

    static func measure(_ names: [Benchmark], rounds: Int, payments: Int, json: Bool) async throws {
        var rows: [Row] = []
        for name in names.isEmpty ? Benchmark.allCases.filter({ !$0.isEndurance }) : names {
            if !json { note("measuring \(name.rawValue) ...") }
            switch name {
            case .tlv: rows.append(try Self.tlv(rounds))
            case .fdda:
                rows.append(
                    try await Self.authenticated(
                        name.rawValue, "terminal side of one payment with fDDA / bare libcrypto",
                        card: "visa-debit", rid: [0xA0, 0, 0, 0, 3], rounds))
            case .mChipCDA:
                rows.append(
                    try await Self.authenticated(
                        name.rawValue, "terminal side of one M/Chip payment with CDA / bare libcrypto",
                        card: "mc-debit", rid: [0xA0, 0, 0, 0, 4], rounds))
            case .noODA:
                rows.append(try await Self.whole(name.rawValue, card: "visa-no-oda", goal: 20000, rounds))
            case .mChipNoODA:
                rows.append(try await Self.whole(name.rawValue, card: "mc-no-oda", goal: 15000, rounds))
            case .iso8583: rows += try Self.iso8583(rounds)
            case .payments: rows.append(try await Self.payments(rounds))
            case .journal: rows += try await Self.journal(rounds)
            case .pcsc: if let row = try await Self.pcsc(rounds) { rows.append(row) }
            case .libnfc: rows += try await Self.libnfc(rounds)
            case .libnfcEndurance: rows.append(try await Self.libnfcEndurance(max(10, payments)))
            case .remote: rows.append(try await Self.remote(rounds))
            case .daemon: rows += try await Self.daemon(rounds)
            case .daemonLoad: rows += try await Self.daemonLoad(max(10, payments))
            }
        }
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            return print(String(decoding: try encoder.encode(rows), as: UTF8.self))
        }
        func number(_ value: Double) -> String {
            String(format: value >= 1000 ? "%.0f" : value >= 100 ? "%.1f" : "%.2f", value)
        }
        print(
            table(
                [["BENCHMARK", "OURS", "REFERENCE", "RATIO", "GOAL", "WHAT"]]
                    + rows.map {
                        [
                            $0.name, "\(number($0.value)) \($0.unit)",
                            $0.reference.map { number($0) } ?? "-",
                            $0.ratio.map { String(format: "%.2f", $0) } ?? "-", $0.goal, $0.what,
                        ]
                    }))
    }

    static func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        return sorted.isEmpty ? .nan : sorted[sorted.count / 2]
    }

    static func microseconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) * 1e6 + Double(duration.components.attoseconds) / 1e12
    }

    // MARK: - A payment of card and terminal, recorded once

    struct Recording {
        var configuration: EntryPointConfiguration
        var inputs: TransactionInputs
        var responses: [ResponseAPDU]
        var card: CardInformation
        var unpredictableNumber: UInt32
        var final: FinalOutcome
    }

    static func inputs(_ amount: UInt64) throws -> TransactionInputs {
        guard let currency = NumericCode(978), let date = EMVDate(year: 2026, month: 11, day: 20) else {
            throw BenchmarkError("no such date")
        }
        return TransactionInputs(
            amount: Amount(clamping: amount), currency: currency, date: date, hhmmss: 120000,
            sequenceCounter: 1)
    }

    static func record(_ id: String, amount: UInt64) async throws -> Recording {
        let profile = try TerminalProfile.builtIn()
        let card = try card(id)
        let field = EmulatedReader()
        field.present(card)
        let recorder = TraceRecorder()
        let driver = TransactionDriver(
            reader: RecordingReader(field, recorder: recorder), unpredictableNumber: { 0x1A2B_3C4D },
            sleep: { _ in })
        var entryPoint = EntryPoint(configuration: profile.configuration, kernels: .all)
        let inputs = try inputs(amount)
        guard case .outcome(let final) = await driver.run(&entryPoint, from: entryPoint.start(inputs)) else {
            throw BenchmarkError("the emulated card gave no outcome")
        }
        var responses: [ResponseAPDU] = []
        for case .response(let bytes, _) in recorder.recorded.entries.map(\.content) {
            responses.append(try ResponseAPDU(bytes: bytes))
        }
        return Recording(
            configuration: profile.configuration, inputs: inputs, responses: responses,
            card: CardInformation(answerToReset: card.answerToReset, activation: nil),
            unpredictableNumber: 0x1A2B_3C4D, final: final)
    }

    /// Answers what was recorded, whatever it is asked: what remains is the terminal's own work.
    struct CannedReader: CardReader, CardChannel {
        final class Position: @unchecked Sendable {  // one task uses it
            var next = 0
        }
        let responses: [ResponseAPDU]
        let card: CardInformation
        let position = Position()
        var information: ReaderInformation { ReaderInformation(kind: .replay, name: "recorded answers") }
        func activateCard(
            deadline: ContinuousClock.Instant?
        ) async throws(ReaderError) -> any CardChannel {
            position.next = 0
            return self
        }
        func awaitRemoval(deadline: ContinuousClock.Instant?) async throws(ReaderError) -> Bool { true }
        func fieldOff() async {}
        func close() async {}
        nonisolated(nonsending) func transmit(
            _ command: [UInt8], timeout: Duration?
        ) async throws(ReaderError) -> CardAnswer {
            guard position.next < responses.count else { throw .cardRemoved }
            defer { position.next += 1 }
            return CardAnswer(bytes: responses[position.next].bytes, microseconds: 0)
        }
    }

    // MARK: - Benchmarks

    /// Terminal-side work of one payment with data authentication, against the bare recoveries and hashes.
    static func authenticated(
        _ name: String, _ what: String, card: String, rid: [UInt8], _ rounds: Int
    ) async throws -> Row {
        let recording = try await record(card, amount: 990)
        guard recording.final.outcome.status == .approved else {
            throw BenchmarkError("\(card) did not approve offline: \(recording.final.outcome.status)")
        }
        let reference = try BareDataAuthentication(recording, rid: rid)
        let reader = CannedReader(responses: recording.responses, card: recording.card)
        let driver = TransactionDriver(
            reader: reader, unpredictableNumber: { recording.unpredictableNumber }, sleep: { _ in })
        let clock = ContinuousClock()
        let count = 2000
        var ours: [Double] = []
        var bare: [Double] = []
        for _ in 0..<max(3, rounds) {
            let start = clock.now
            for _ in 0..<count {
                var entryPoint = EntryPoint(configuration: recording.configuration, kernels: .all)
                guard
                    case .outcome(let final) = await driver.run(
                        &entryPoint, from: entryPoint.start(recording.inputs)),
                    final.outcome.status == .approved
                else { throw BenchmarkError("a benchmarked payment was not approved") }
            }
            ours.append(microseconds(start.duration(to: clock.now)) / Double(count))
            let second = clock.now
            for _ in 0..<count { try reference.run() }
            bare.append(microseconds(second.duration(to: clock.now)) / Double(count))
        }
        return Row(
            name: name, what: what, value: median(ours),
            unit: "us", reference: median(bare), ratio: median(zip(ours, bare).map { $0 / $1 }),
            goal: "<= 1.5")
    }

    /// Whole payments with an in-process card, no data authentication.
    static func whole(_ name: String, card id: String, goal: Int, _ rounds: Int) async throws -> Row {
        let profile = try TerminalProfile.builtIn()
        let clock = ContinuousClock()
        let count = 2000
        var rates: [Double] = []
        let inputs = try inputs(1250)
        for _ in 0..<max(3, rounds) {
            let card = try card(id)
            let field = EmulatedReader()
            field.present(card)
            let driver = TransactionDriver(
                reader: field, unpredictableNumber: { 0x1A2B_3C4D }, sleep: { _ in })
            let start = clock.now
            for _ in 0..<count {
                var entryPoint = EntryPoint(configuration: profile.configuration, kernels: .all)
                guard
                    case .outcome(let final) = await driver.run(&entryPoint, from: entryPoint.start(inputs)),
                    final.outcome.status == .onlineRequest
                else { throw BenchmarkError("a benchmarked payment did not go online") }
                await field.fieldOff()
            }
            rates.append(Double(count) / microseconds(start.duration(to: clock.now)) * 1e6)
        }
        return Row(
            name: name, what: "whole payments, in-process card, no ODA, one core", value: median(rates),
            unit: "/s", goal: ">= \(goal)/s")
    }
}

/// The recoveries and hashes of fast DDA or CDA with libcrypto's RSA interface and nothing around them; the CA's key
/// is made once, as a terminal does.
struct BareDataAuthentication {
    let authority: RSABaseline
    let issuerCertificate: [UInt8]
    let issuerModulus: [UInt8]
    let cardCertificate: [UInt8]
    let cardModulus: [UInt8]
    let signature: [UInt8]
    let hashed: [[UInt8]]

    init(_ recording: Benchmarks.Recording, rid: [UInt8]) throws {
        var data: [UInt32: [UInt8]] = [:]
        for response in recording.responses {
            for node in (try? TLVNodes.leaves(Array(response.data))) ?? [] { data[node.0] = node.1 }
        }
        guard let index = data[0x8F]?.first,
            let rid = RegisteredApplicationProviderIdentifier(rid),
            let authority = recording.configuration.terminal.certificationAuthorityKeys[rid, index],
            let issuer = data[0x90], let card = data[0x9F46], let signature = data[0x9F4B]
        else { throw BenchmarkError("the recording has no certificates") }
        self.authority = try RSABaseline(modulus: authority.key.modulus, exponent: authority.key.exponent)
        issuerCertificate = issuer
        cardCertificate = card
        self.signature = signature
        let recovered = try authority.key.recover(issuer)
        let issuerLength = Int(recovered[13])
        let inside = recovered[15..<(recovered.count - 21)]
        issuerModulus = Array((Array(inside) + (data[0x92] ?? [])).prefix(issuerLength))
        let issuerKey = try RSAPublicKey(modulus: issuerModulus, exponent: [3])
        let own = try issuerKey.recover(card)
        let cardLength = Int(own[19])
        cardModulus = Array((Array(own[21..<(own.count - 21)]) + (data[0x9F48] ?? [])).prefix(cardLength))
        // As many bytes as each hash covers: certificate body, remainder and exponent; static data; dynamic data.
        hashed = [
            [UInt8](repeating: 0x5A, count: recovered.count - 22 + (data[0x92]?.count ?? 0) + 1),
            [UInt8](repeating: 0x5A, count: own.count - 22 + (data[0x9F48]?.count ?? 0) + 1 + 60),
            [UInt8](repeating: 0x5A, count: cardLength - 22 + 20),
        ]
    }

    func run() throws {
        _ = try authority.recover(issuerCertificate)
        _ = SHA1.hash(hashed[0])
        _ = try RSABaseline(modulus: issuerModulus, exponent: [3]).recover(cardCertificate)
        _ = SHA1.hash(hashed[1])
        _ = try RSABaseline(modulus: cardModulus, exponent: [3]).recover(signature)
        _ = SHA1.hash(hashed[2])
    }
}
