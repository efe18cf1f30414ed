import AcquirerSimulator
import ArgumentParser
import Cards
import CommandSupport
import EMVCryptography
import Foundation
import Issuing
import Journal
import Terminal
import TerminalService

struct SwarmCommand: MoneyCommand {
    static let configuration = CommandConfiguration(
        commandName: "swarm",
        abstract: "Drive many terminals with a mix of cards against a host, and compare the books.",
        discussion: """
            Each terminal is a whole one: kernels, journal, reversals, settlement. With the built-in host there are \
            copies of each card and its books are compared transaction by transaction; with --acquirer each card is \
            there once, and the totals of every terminal's batch are compared. Payment n is due at n/rate: a queue \
            counts as response time. Exit status 2 where the books do not agree.

            Examples:
              tapbridge swarm --terminals 1000 --rate 500 --duration 30
              tapbridge swarm --count 5000 --mix visa-credit=3,mc-credit=1 --trouble "5%: silence" --tear 5
              tapbridge swarm --acquirer acquirer.yaml --terminals 20 --rate 50 --json
            """)

    @Option(help: ArgumentHelp("How many.", valueName: "number")) var terminals = 100
    @Option(
        help: ArgumentHelp(
            "Payments a second of all terminals; 0 is as fast as they can.", valueName: "number"))
    var rate = 0.0
    @Option(help: ArgumentHelp("For so many seconds; 10 where no count is given.", valueName: "seconds"))
    var duration: Double?
    @Option(help: ArgumentHelp("So many payments.", valueName: "number")) var count: Int?
    @Option(
        help: ArgumentHelp(
            "Cards and their shares; most of the built-in ones by default.", valueName: "card=share,..."))
    var mix: String?
    @Option(help: ArgumentHelp("Amounts, evenly spread.", valueName: "from-to")) var amounts = "1.00-80.00"
    @Option(
        help: ArgumentHelp("Percent of first taps in which the card leaves too early.", valueName: "percent"))
    var tear = 0
    @Option(help: ArgumentHelp("Copies of each card, with the built-in host.", valueName: "number"))
    var copies = 16
    @Option(help: ArgumentHelp("Where the mix of cards and amounts begins.", valueName: "number")) var seed:
        UInt64 = 1
    @Option(help: ArgumentHelp("Terminal profile (YAML).", valueName: "file"), completion: .file())
    var profile: String?
    @Option(
        help: ArgumentHelp(
            "Acquirer file (YAML): a host over ISO 8583 or HTTP in place of the built-in one.",
            valueName: "file"),
        completion: .file())
    var acquirer: String?
    @Option(help: ArgumentHelp("Journal file; a temporary one by default.", valueName: "file")) var journal:
        String?
    @Option(help: ArgumentHelp("What goes wrong at the built-in host; may be repeated.", valueName: "rule"))
    var trouble: [String] = []
    @Option(help: ArgumentHelp("Seconds to wait for an answer of the host.", valueName: "seconds"))
    var answerTimeout = 5.0
    @Option(
        help: ArgumentHelp(
            "Seconds for what is owed to the host when the payments are over.", valueName: "seconds"))
    var patience = 30.0
    @Flag(help: "Do not settle the terminals at the end.") var noSettlement = false
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (1...9999).contains(terminals) else { throw ValidationError("--terminals is 1 to 9999") }
        guard rate >= 0, rate <= 1_000_000 else { throw ValidationError("--rate is 0 to 1000000") }
        guard (0...100).contains(tear) else { throw ValidationError("--tear is 0 to 100") }
        guard (1...1000).contains(copies) else { throw ValidationError("--copies is 1 to 1000") }
        guard duration.map({ $0 > 0 && $0 <= 86400 }) ?? true else {
            throw ValidationError("--duration is up to 86400")
        }
        guard count.map({ $0 > 0 }) ?? true else { throw ValidationError("--count is above 0") }
        guard answerTimeout > 0, answerTimeout <= 600 else {
            throw ValidationError("--answer-timeout is up to 600")
        }
        guard patience >= 0, patience <= 86400 else { throw ValidationError("--patience is 0 to 86400") }
        guard acquirer == nil || trouble.isEmpty else {
            throw ValidationError("--trouble is for the built-in host: give it to `tapbridge host` instead")
        }
    }

    func run() async throws {
        ProcessFigures.raiseDescriptorLimit()
        var base = try TerminalProfile.load(profile)
        base.timing.authorization = .milliseconds(Int64(answerTimeout * 1000))
        let mix = try SwarmMix(mix ?? SwarmMix.standard)
        let amounts = try Self.amounts(amounts, base)

        // The host, and cards that it knows.
        let host: Host
        let cards: [String: [SwarmCard]]
        if acquirer == nil {
            let world = try SwarmWorld(mix, copies: min(copies, terminals))
            host = Host(
                SimulatedAcquirer(
                    issuer: try IssuerSimulator(world: world.world, pinVerifier: TestPIN.verifier),
                    troubles: try SimulatedHost.script(trouble), answerTimeout: base.timing.authorization),
                keepsBooks: false)
            cards = world.cards
        } else {
            host = try Host.open(file: acquirer, profile: base, keepsBooks: false) { [json = output.json] in
                if !json { Console.printError($0) }
            }
            // As they were left: the host remembers their counters.
            cards = Dictionary(
                try mix.shares.map { ($0.id, [SwarmCard(try CardStore.take($0.id))]) },
                uniquingKeysWith: { a, _ in a })
        }

        let folder = FileManager.default.temporaryDirectory.appending(
            path: "tapbridge-swarm-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let books = try await Journal.opened(at: journal ?? folder.appending(path: "journal.sqlite").path)
        let testKeys = try PINKeys.test()
        var sessions: [TerminalSession] = []
        var readers: [SwarmReader] = []
        // A host remembers the batches of a terminal: a new journal is of new terminals.
        let run = acquirer == nil || journal != nil ? "SW" : "S" + Self.letters(3)
        for number in 0..<terminals {
            var own = base
            own.terminalID = run + String(format: "%0\(8 - run.count)d", number + 1)
            let reader = SwarmReader(name: "Swarm \(number + 1)")
            readers.append(reader)
            sessions.append(
                try TerminalAssembly(
                    profile: own, reader: reader, backend: host.backend, journal: books,
                    // Customers here need no time to read or to unlock their phones.
                    environment: TerminalEnvironment(sleep: { _ in await Task.yield() }),
                    pinEntry: .software(keys: testKeys, counter: MemoryKeyCounter()) { _ in
                        PIN(TestPIN.pin)
                    }
                ).terminal())
        }
        let tally = SwarmTally(terminals: terminals)
        let swarm = SwarmRun(
            sessions: sessions, readers: readers, pool: SwarmPool(cards), mix: mix, amounts: amounts,
            rate: rate,
            duration: duration.map { .milliseconds(Int64($0 * 1000)) } ?? (count == nil ? .seconds(10) : nil),
            count: count, tear: tear, seed: seed, tally: tally)
        let signals = EndSignals { swarm.isStopping.set() }
        let (start, startedAt) = (ContinuousClock.now, Date())
        let progress = Task { [isQuiet = output.json] in
            await Self.progress(tally, from: start, isQuiet: isQuiet)
        }
        await swarm.run()
        let elapsed = start.duration(to: .now)
        progress.cancel()
        await progress.value
        signals.cancel()

        var comparison = SwarmBooks()
        var afterwards = Afterwards()
        await afterwards.attempt {
            try await SwarmBooks.deliver(sessions, books, patience: .milliseconds(Int64(patience * 1000)))
            let ids = Set(sessions.map(\.profile.terminalID))
            // A journal that is kept may hold earlier swarms.
            let records = try await books.list(JournalFilter(since: startedAt), order: .oldestFirst).filter {
                ids.contains($0.terminalID)
            }
            await comparison.compare(records, with: host.simulator)
        }
        let isCompared = afterwards.warnings.isEmpty
        if !noSettlement { await comparison.settle(sessions) }
        if acquirer != nil {
            for (id, own) in await swarm.pool.all {
                for card in own { await afterwards.attempt { try CardStore.keep(card.card.state, of: id) } }
            }
        }
        await afterwards.attempt { try await host.close() }
        await afterwards.attempt { try await books.close() }

        var report = Report(
            tally.now, comparison, elapsed: elapsed, terminals: terminals, backend: host.backend.name)
        report.agree = report.agree && isCompared
        report.errors += afterwards.warnings
        if output.json { try Console.printJSON(report) } else { report.print() }
        if !report.agree { throw ExitWithStatus(status: .different) }
    }

    private static func letters(_ count: Int) -> String {
        String((0..<count).map { _ in "ABCDEFGHIJKLMNOPQRSTUVWXYZ".randomElement() ?? "A" })
    }

    static func amounts(_ text: String, _ profile: TerminalProfile) throws -> ClosedRange<UInt64> {
        let parts = text.split(separator: "-").map(String.init)
        let ends = try parts.map { try Desk.amount($0, profile).minorUnits }
        guard let first = ends.first, let last = ends.last, ends.count <= 2, first <= last, first > 0 else {
            throw CommandFailure(.usage, "\"\(text)\" are no amounts: write them as 1.00-80.00, or 5.00")
        }
        return first...last
    }

    /// A line that is written over on a terminal; every five seconds a new one elsewhere.
    private static func progress(_ tally: SwarmTally, from start: ContinuousClock.Instant, isQuiet: Bool)
        async
    {
        let isTerminal = isatty(STDERR_FILENO) == 1
        guard !isQuiet || isTerminal else { return }
        var last = (at: start, finished: 0)
        while !Task.isCancelled {
            try? await Task.sleep(for: isTerminal ? .milliseconds(500) : .seconds(5))
            if Task.isCancelled { break }
            let counts = tally.counts
            let now = ContinuousClock.now
            let seconds = Measurement.microseconds(last.at.duration(to: now)) / 1e6
            let rate = Double(counts.finished - last.finished) / max(seconds, 0.001)
            last = (now, counts.finished)
            let outcomes = counts.outcomes.sorted { $0.value > $1.value }.map { "\($0.key) \($0.value)" }
            let line =
                String(
                    format: "%5.0f s  %d payments  %.0f/s  %d under way  p99 %.1f ms  ",
                    Measurement.microseconds(start.duration(to: now)) / 1e6, counts.finished, rate,
                    counts.started - counts.finished, Double(counts.p99) / 1000)
                + outcomes.joined(separator: ", ")
            Console.write(
                isTerminal ? "\r\u{1B}[K\(Console.error.shown(line))" : line + "\n", to: STDERR_FILENO)
        }
        if isTerminal { Console.write("\r\u{1B}[K", to: STDERR_FILENO) }
    }

    struct Report: Encodable {
        struct Latency: Encodable {
            var p50: Double
            var p90: Double
            var p99: Double
            var p999: Double
            var max: Double
        }
        var backend: String
        var terminals: Int
        var seconds: Double
        var payments: Int
        var paymentsPerSecond: Double
        var outcomes: [String: Int]
        /// Milliseconds from the card in hand to the receipt.
        var service: Latency
        /// Milliseconds from when the payment was due.
        var response: Latency
        /// Payments of the terminal with the fewest and of that with the most.
        var fewestPerTerminal: Int
        var mostPerTerminal: Int
        var books: SwarmBooks
        var agree: Bool
        var errors: [String]

        init(
            _ figures: SwarmTally.Figures, _ books: SwarmBooks, elapsed: Duration, terminals: Int,
            backend: String
        ) {
            self.backend = backend
            self.terminals = terminals
            seconds = Measurement.microseconds(elapsed) / 1e6
            payments = figures.finished
            paymentsPerSecond = Double(figures.finished) / max(seconds, 1e-6)
            outcomes = figures.outcomes
            func latency(_ histogram: some LatencySource) -> Latency {
                func milliseconds(_ percentile: Double) -> Double {
                    Double(histogram.value(percentile)) / 1000
                }
                return Latency(
                    p50: milliseconds(50), p90: milliseconds(90), p99: milliseconds(99),
                    p999: milliseconds(99.9),
                    max: milliseconds(100))
            }
            service = latency(figures.service)
            response = latency(figures.response)
            fewestPerTerminal = figures.byTerminal.min() ?? 0
            mostPerTerminal = figures.byTerminal.max() ?? 0
            self.books = books
            agree = books.agree
            errors = figures.errors
        }

        func print() {
            let console = Console.standard
            Console.print(
                String(
                    format: "%d payments of %d terminals in %.1f s: %.0f/s, against ", payments, terminals,
                    seconds, paymentsPerSecond)
                    + backend)
            Console.print(
                "outcomes  "
                    + outcomes.sorted { $0.value > $1.value }.map { "\($0.key) \($0.value)" }.joined(
                        separator: ", "))
            func row(_ name: String, _ latency: Latency) -> [String] {
                [name]
                    + [latency.p50, latency.p90, latency.p99, latency.p999, latency.max].map {
                        String(format: "%.2f", $0)
                    }
            }
            Console.print(
                console.table([
                    ["MILLISECONDS", "P50", "P90", "P99", "P99.9", "MAX"], row("service", service),
                    row("response", response),
                ]))
            Console.print("payments per terminal  \(fewestPerTerminal) to \(mostPerTerminal)")
            var rows = [["BOOKS", "APPROVED", "AMOUNT", "REVERSED"]]
            func side(_ name: String, _ side: SwarmBooks.Side) {
                rows.append([name, "\(side.approved)", "\(side.approvedAmount)", "\(side.reversed)"])
            }
            side("journal", books.journal)
            if let host = books.host { side("host", host) }
            Console.print(console.table(rows))
            if books.batches > 0 {
                Console.print("batches  \(books.batchesBalanced) of \(books.batches) balanced")
            }
            for error in errors { Console.print(console.styled(error, .yellow)) }
            if books.owed > 0 {
                Console.print(console.styled("\(books.owed) messages are still owed to the host", .red))
            }
            for difference in books.differences { Console.print(console.styled(difference, .red)) }
            if books.differenceCount > books.differences.count {
                Console.print("... \(books.differenceCount) differences in all")
            }
            Console.print(
                agree
                    ? console.styled("the books agree", .green)
                    : console.styled("the books do not agree", .red))
        }
    }
}
