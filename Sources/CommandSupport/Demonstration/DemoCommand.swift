internal import AcquirerSimulator
package import ArgumentParser
internal import CardReaders
internal import EMV
internal import Foundation
internal import Journal
internal import Terminal
internal import Traces

package struct DemoCommand: MoneyCommand {
    package static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Watch a terminal take payments from cards and phone wallets, without hardware.",
        discussion: """
            Emulated cards and wallets are tapped on the emulated reader of a terminal; the built-in simulator \
            authorizes. Each payment is journaled and recorded as a trace, and the traces are replayed. Ends \
            with status 2 where a payment does not end as it must. What was written stays in the state \
            directory until the next demonstration.

            Examples:
              tapbridge demo
              tapbridge demo --apdus | less -R
              tapbridge demo --only card-torn --apdus
              tapbridge demo --all --json
            """)

    @Flag(help: "Show each command and answer, explained.") package var apdus = false
    @Flag(help: "Leave each message on for its time, as a terminal in a shop does.") package var slow = false
    @Flag(help: "Also what the traces cover beyond the demonstration.") package var all = false
    @Flag(help: "Print each receipt.") package var receipts = false
    @Option(help: ArgumentHelp("Only these scenarios; may be given several times.", valueName: "scenario"))
    package var only: [String] = []
    @Option(
        help: ArgumentHelp(
            "Write the traces to this directory, with fixed times and unpredictable numbers.",
            valueName: "directory"))
    package var record: String?
    @OptionGroup package var output: OutputOptions

    package init() {}

    package func run() async throws {
        let begin = ContinuousClock.now
        let console = Console.standard
        let scenarios = try chosen()
        let directory = try StateDirectory.make("demo")
        let traces = record ?? directory + "/traces"
        let journalPath = directory + "/journal.sqlite"
        do {
            // Only the demonstration's own files.
            for name in try FileManager.default.contentsOfDirectory(atPath: directory)
            where name.hasPrefix("journal.sqlite") || name == "traces" {
                try FileManager.default.removeItem(atPath: directory + "/" + name)
            }
            try FileManager.default.createDirectory(atPath: traces, withIntermediateDirectories: true)
        } catch {
            throw CommandFailure(.journal, "\(directory) cannot be prepared: \(error.localizedDescription)")
        }
        let profile = try TerminalProfile.load(nil)
        let journal: Journal
        do { journal = try await Journal.open(at: journalPath) } catch {
            throw CommandFailure(.journal, "\(error)")
        }
        let world = try ScenarioWorld()

        var reports: [ScenarioReport] = []
        var afterwards = Afterwards()
        for (index, scenario) in scenarios.enumerated() {
            if !output.json {
                let money = Money(Amount(clamping: scenario.amount), profile.currency)
                let number = "\(index + 1)/\(scenarios.count)"
                Console.print(
                    "\n\(console.styled(number, .dim))  \(console.styled(scenario.title, .bold))  "
                        + "\(money)" + (scenario.type == .purchase ? "" : " (\(scenario.type.rawValue))"))
            }
            let printer = output.json ? nil : EventPrinter(console: console, showsCommands: apdus)
            let recorder = TraceRecorder(header: [Trace.Field("title", scenario.title)])
            var environment = TerminalEnvironment(
                observer: { printer?.print($0) }, holdsMessages: slow && !output.json)
            if record != nil { try Self.fix(&environment, number: index) }
            let file = try OutputFile(traces + "/" + scenario.id + ".trace")
            let result = try await Interruption.payment {
                [environment] () async throws -> PaymentResult in
                try await world.play(
                    scenario, profile: try scenario.terminalProfile(), journal: journal, recorder: recorder,
                    environment: environment)
            }
            await afterwards.attempt {
                try file.write(recorder.recorded.masked().description)
                if let text = scenario.profile, let name = scenario.profileFile {
                    try Self.write(text, to: traces + "/" + name)
                }
            }
            let report = ScenarioReport(
                scenario: scenario.id, asExpected: Self.isExpected(result, scenario),
                payment: PaymentReport(result))
            reports.append(report)
            if !output.json {
                Console.print("  \(result.headline(console))")
                if result.status != .approved, let reason = result.reason {
                    Console.print("    \(console.styled(reason, .dim))")
                }
                for line in Self.details(result) { Console.print("    \(console.styled(line, .dim))") }
                if !report.asExpected {
                    Console.print(
                        console.styled(
                            "    this payment had to end \(scenario.expected.rawValue)", .bold, .red))
                }
                if receipts, let receipt = result.receipt { Console.print("\n" + receipt.text()) }
            }
            if result.status == .cancelled {
                if output.json { try Console.printJSON(reports) }
                afterwards.tell()
                throw ExitWithStatus(status: .interrupted)
            }
        }

        // The whole terminal again, on the traces: same commands, same outcomes, signatures verify.
        var replayed = 0
        for scenario in scenarios {
            let file = traces + "/" + scenario.id + ".trace"
            let terminal = try scenario.terminalProfile()
            do {
                let text = try String(contentsOfFile: file, encoding: .utf8)
                let report = try await Replay.run(try Trace(parsing: text), profile: terminal)
                if let difference = report.difference {
                    Console.printError("\(file): \(difference)")
                } else {
                    replayed += 1
                }
            } catch {
                Console.printError("\(file): \(error)")
            }
        }
        afterwards.tell()
        let verification = try await CommandFailure.reading { try await journal.verify() }
        let isRight = reports.allSatisfy(\.asExpected) && replayed == scenarios.count && verification.isSound
        if output.json {
            try Console.printJSON(reports)
        } else {
            try await summary(
                journal, host: world.host, verification: verification, replayed: replayed,
                count: scenarios.count, took: begin.duration(to: .now), journalPath: journalPath,
                traces: traces)
        }
        if !isRight { throw ExitWithStatus(status: .different) }
    }

    private static func write(_ text: String, to path: String) throws {
        do { try text.write(toFile: path, atomically: true, encoding: .utf8) } catch {
            throw CommandFailure(.journal, "\(path) cannot be written: \(error.localizedDescription)")
        }
    }

    package struct ScenarioReport: Encodable {
        package var scenario: String
        package var asExpected: Bool
        package var payment: PaymentReport
    }

    private func chosen() throws -> [Scenario] {
        if !only.isEmpty {
            return try only.map { id in
                guard let found = Scenario.all.first(where: { $0.id == id }) else {
                    throw CommandFailure(
                        .usage,
                        "no scenario \(id); there are \(Scenario.all.map(\.id).joined(separator: ", "))")
                }
                return found
            }
        }
        return Scenario.all.filter { $0.isShown || all || record != nil }
    }

    private static func isExpected(_ result: PaymentResult, _ scenario: Scenario) -> Bool {
        result.status == scenario.expected && result.online == scenario.online
            && !result.reversalOutstanding
    }

    /// What an engineer wants to see of a payment, in a line or two.
    private static func details(_ result: PaymentResult) -> [String] {
        var lines: [String] = []
        if let instrument = result.instrument {
            var parts: [String] = []
            if let number = instrument.primaryAccountNumber {
                parts.append((instrument.isTokenized ? "token " : "card ") + number.masked)
            }
            if let label = instrument.applicationLabel { parts.append(label) }
            if let requestor = instrument.tokenRequestorID { parts.append("token requestor \(requestor)") }
            if result.cvm != .notApplicable { parts.append("CVM \(result.cvm.rawValue)") }
            lines.append(parts.joined(separator: ", "))
        }
        if let charge = result.response?.accountCharge {
            lines.append(
                "account charged \(Money(charge.amount, charge.currency)), rate \(charge.rate)")
        }
        return lines
    }

    /// Fixed date, time and unpredictable numbers, so that traces recorded again are the same.
    private static func fix(_ environment: inout TerminalEnvironment, number: Int) throws {
        guard let date = EMVDate(year: 2026, month: 11, day: 20) else {
            throw CommandFailure(.badInput, "no such date")
        }
        let counter = Counter(UInt32(number) &* 16)
        environment.now = { (date, 101500) }
        environment.unpredictableNumber = { counter.next() &* 0x9E37_79B9 ^ 0x5A5A_0F0F }
    }

    private func summary(
        _ journal: Journal, host: SimulatedAcquirer, verification: JournalVerification, replayed: Int,
        count: Int, took: Duration, journalPath: String, traces: String
    ) async throws {
        let console = Console.standard
        let records = try await CommandFailure.reading { try await journal.list(JournalFilter(), limit: 100) }
        Console.print("\n" + console.styled("Journal", .bold) + "  \(journalPath)")
        Console.print(console.table(Tables.transactions(records.reversed())))
        Console.print("\n" + console.styled("Issuer", .bold))
        Console.print(console.table(Tables.accounts(await host.issuer, onlyMoved: true)))
        let sound =
            verification.isSound
            ? "journal sound: \(verification.transactions) transactions, \(verification.changes) changes"
            : "journal damaged: \(verification.problems.joined(separator: "; "))"
        Console.print("\n\(sound)")
        Console.print("\(replayed) of \(count) traces replay the same  \(traces)")
        let seconds =
            Double(took.components.seconds) + Double(took.components.attoseconds) / 1e18
        Console.print(
            String(format: "%.1f s", seconds)
                + (Memory.peakMegabytes.map { String(format: ", peak memory %.1f MB", $0) } ?? ""))
        // The demonstration alone has no other commands.
        let isAlone = CommandLine.arguments.first?.hasSuffix("tapbridge-demo") == true
        if isAlone {
            Console.print("\nThe whole program:  make release, then .build/release/tapbridge")
        }
        Console.print(
            """
            \(isAlone ? "" : "\n")Go on:  tapbridge pay 12.50 --card apple-pay-visa --apdus
                    tapbridge journal show \(records.last?.id ?? "ID") --journal \(journalPath)
                    tapbridge replay \(traces)/*.trace
            """)
    }
}

/// What this process took of the machine's memory.
package enum Memory {
    /// Peak resident memory in megabytes (10^6 bytes); nil where the system does not tell.
    package static var peakMegabytes: Double? {
        guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
            let kilobytes = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first
        else { return nil }
        return Double(kilobytes).map { $0 * 1024 / 1e6 }
    }
}
