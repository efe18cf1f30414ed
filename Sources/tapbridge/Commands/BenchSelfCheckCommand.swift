import ArgumentParser
import CardReaders
import Cards
import CommandSupport
import EMV
import Foundation
import Journal
import Kernels
import Terminal

/// What this machine can do: whole payments of each kernel, and durable commits of a journal on its disk.
struct BenchSelfCheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "self-check",
        abstract:
            "Measure what this machine can do: payments of each kernel, and durable commits on its disk.",
        discussion: """
            Every payment must end as it has to, with its signatures verified: exit status 2 where one does not. The \
            journal is a temporary one in the folder of the journal that is named. The development benchmarks, with \
            references beside each figure, are in the source's Benchmarks folder.

            Examples:
              tapbridge bench self-check
              tapbridge bench self-check --journal /var/lib/tapbridge/journal.sqlite --json
            """)

    @Option(help: "Payments of each card.") var payments = 500
    @Option(
        help: ArgumentHelp(
            "Measure the disk that this journal lies on; that of the state directory by default.",
            valueName: "file"), completion: .file())
    var journal: String?
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard 1...1_000_000 ~= payments else { throw ValidationError("--payments takes 1 to 1000000") }
    }

    struct Row: Encodable {
        var name: String
        var what: String
        var perSecond: Double
        /// Microseconds of one.
        var median: Double
        var p99: Double
    }

    /// Cards of both kernels, with and without a signature to be verified, and how their payments end.
    private static let cards: [(id: String, amount: UInt64, status: Outcome.Status, what: String)] = [
        ("visa-debit", 990, .approved, "Kernel 3, fast DDA, approved offline"),
        ("visa-no-oda", 1250, .onlineRequest, "Kernel 3, no offline data authentication"),
        ("mc-debit", 990, .approved, "Kernel 2, CDA, approved offline"),
        ("mc-no-oda", 1250, .onlineRequest, "Kernel 2, no offline data authentication"),
    ]

    func run() async throws {
        var rows: [Row] = []
        for card in Self.cards {
            if !output.json { Console.printError("measuring \(card.id) ...") }
            let times = try await measure(card.id, amount: card.amount, expecting: card.status)
            rows.append(Self.row(card.id, card.what, times))
        }
        if !output.json { Console.printError("measuring the journal ...") }
        rows.append(
            Self.row("journal", "durable commits, one after the other", try await commits(200)))
        if output.json { return try Console.printJSON(rows) }
        func number(_ value: Double) -> String { String(format: value >= 1000 ? "%.0f" : "%.1f", value) }
        Console.print(
            Console.standard.table(
                [["CHECK", "PER SECOND", "MEDIAN US", "P99 US", "WHAT"]]
                    + rows.map {
                        [$0.name, number($0.perSecond), number($0.median), number($0.p99), $0.what]
                    }))
    }

    private static func row(_ name: String, _ what: String, _ times: [Double]) -> Row {
        Row(
            name: name, what: what, perSecond: Double(times.count) / times.reduce(0, +) * 1e6,
            median: Measurement.median(times), p99: Measurement.percentile(0.99, of: times.sorted()))
    }

    /// - Returns: microseconds of each payment, from the card in the field to the outcome.
    private func measure(
        _ id: String, amount: UInt64, expecting status: Outcome.Status
    ) async throws -> [Double] {
        let profile = try TerminalProfile.load(nil)
        let field = EmulatedReader()
        let driver = TransactionDriver(
            reader: field, unpredictableNumber: { UInt32.random(in: 0 ... .max) }, sleep: { _ in })
        let now = LocalTime.now()
        var times: [Double] = []
        for number in 1...payments {
            let inputs = TransactionInputs(
                amount: Amount(clamping: amount), currency: profile.currency, date: now.date,
                hhmmss: now.hhmmss, sequenceCounter: UInt32(truncatingIfNeeded: number))
            // A card of its own for each: what one may spend offline is soon used up.
            field.remove()
            field.present(try CardStore.take(id, fresh: true))
            var entryPoint = EntryPoint(configuration: profile.configuration, kernels: .all)
            let start = ContinuousClock.now
            let end = await driver.run(&entryPoint, from: entryPoint.start(inputs))
            times.append(Measurement.microseconds(start.duration(to: .now)))
            guard case .outcome(let final) = end else {
                throw CommandFailure(.different, "payment \(number) of \(id) came to no outcome")
            }
            guard final.outcome.status == status else {
                throw CommandFailure(
                    .different,
                    "payment \(number) of \(id) ended \(final.outcome.status.rawValue) in place of \(status.rawValue)"
                )
            }
            await field.fieldOff()
        }
        return times
    }

    /// - Returns: microseconds of each commit.
    private func commits(_ count: Int) async throws -> [Double] {
        let path = journal ?? Journal.defaultPath
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent()
            .appending(path: "tapbridge-self-check-\(UUID().uuidString)")
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        } catch {
            throw CommandFailure(.journal, "\(folder.path) cannot be made: \(error.localizedDescription)")
        }
        defer { try? FileManager.default.removeItem(at: folder) }
        let profile = try TerminalProfile.load(nil)
        let journal = try await Journal.opened(at: folder.appending(path: "journal.sqlite").path)
        var times: [Double] = []
        do {
            for _ in 0..<count {
                let start = ContinuousClock.now
                _ = try await journal.begin(
                    TransactionIntent(
                        terminalID: "SELFTEST", merchantID: profile.merchant.id,
                        amount: Amount(clamping: 100),
                        currency: profile.currency, currencyExponent: profile.currencyExponent,
                        transactionType: 0))
                times.append(Measurement.microseconds(start.duration(to: .now)))
            }
            try await journal.close()
        } catch {
            throw CommandFailure(.journal, "\(error)")
        }
        return times
    }
}

struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure this machine, or a reader.",
        discussion: """
            Examples:
              tapbridge bench
              tapbridge bench reader ACR1252
            """,
        subcommands: [BenchSelfCheckCommand.self, BenchReaderCommand.self],
        defaultSubcommand: BenchSelfCheckCommand.self)
}
