import CommandSupport
public import ArgumentParser
import EMV
import Foundation
public import Journal
import Terminal

struct JournalCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "journal", abstract: "List, show, export and verify the journal.",
        discussion: """
            Examples:
              tapbridge journal
              tapbridge journal list --state reversal-due
              tapbridge journal show txn_01k
              tapbridge journal receipt txn_01k
              tapbridge journal export --format csv > payments.csv
              tapbridge journal verify
              tapbridge journal batches
              tapbridge journal prune --older-than 400
            """,
        subcommands: [
            List.self, Show.self, ReceiptCopy.self, Export.self, Verify.self, Batches.self, Park.self,
            Resume.self, Prune.self,
        ], defaultSubcommand: List.self)

    struct Options: ParsableArguments {
        @Option(
            help: ArgumentHelp("Journal file; in the user's state directory by default.", valueName: "file"))
        var journal: String?

        func open() throws -> Journal {
            do {
                return try Journal.openReadOnly(at: journal ?? Journal.defaultPath)
            } catch {
                throw CommandFailure(.journal, "\(error)")
            }
        }
    }

    /// The transaction that an identifier, or the start of one, names.
    static func record(_ id: String, in journal: Journal) async throws -> TransactionRecord {
        try await CommandFailure.reading {
            guard let record = try await journal.show(id) else {
                throw CommandFailure(.badInput, "no transaction, or more than one, begins with \(id)")
            }
            return record
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List transactions, newest first.")
        @Option(help: "At most so many.") var limit = 50
        @Option(help: ArgumentHelp("Only this state; may be given several times.", valueName: "state"))
        var state: [TransactionState] = []
        @Option(help: "Only this terminal.") var terminal: String?
        @OptionGroup var options: Options
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let journal = try options.open()
            let records = try await CommandFailure.reading {
                try await journal.list(
                    JournalFilter(terminalID: terminal, states: state), limit: max(1, limit))
            }
            if output.json { return try Console.printJSON(records) }
            if records.isEmpty { return Console.print("no transactions") }
            Console.print(Console.standard.table(Tables.transactions(records)))
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show one transaction and its history.")
        @Argument(help: "Its identifier, or the start of it.") var id: String
        @OptionGroup var options: Options
        @OptionGroup var output: OutputOptions

        struct Report: Encodable {
            var transaction: TransactionRecord
            var history: [StateChange]
        }

        func run() async throws {
            let journal = try options.open()
            let record = try await JournalCommand.record(id, in: journal)
            let changes = try await CommandFailure.reading { try await journal.changes(of: record.id) }
            if output.json { return try Console.printJSON(Report(transaction: record, history: changes)) }
            let console = Console.standard
            Console.print(console.styled(record.id, .bold))
            for (name, value) in JournalExport.values(record) where name != "id" && !value.isEmpty {
                Console.print("  \(name)\(String(repeating: " ", count: max(1, 20 - name.count)))\(value)")
            }
            Console.print(console.styled("history", .bold))
            for change in changes {
                Console.print(
                    "  \(change.sequence)  \(Tables.time(change.at))  \(change.state.rawValue)"
                        + (change.detail.map { "  (\($0))" } ?? ""))
            }
        }
    }

    struct ReceiptCopy: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "receipt", abstract: "Print a copy of a payment's receipt, made from the journal.")
        @Argument(help: "The transaction's identifier, or the start of it.") var id: String
        @Option(
            help: ArgumentHelp(
                "Terminal profile (YAML) with the merchant's name and place; the built-in one by default.",
                valueName: "file"), completion: .file())
        var profile: String?
        @OptionGroup var options: Options

        func run() async throws {
            let record = try await JournalCommand.record(id, in: try options.open())
            let profile = try TerminalProfile.load(profile)
            guard
                let copy = Receipt(
                    copyOf: record, profile: profile.merchant.id == record.merchantID ? profile : nil)
            else { throw CommandFailure(.notApproved, "transaction \(record.id) is still under way") }
            Console.print(copy.text())
        }
    }

    struct Export: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write all transactions, masked and oldest first, to standard output.")
        @Option(help: "json (one array) or csv.") var format: JournalExport.Format = .json
        @OptionGroup var options: Options

        func run() async throws {
            let journal = try options.open()
            try await CommandFailure.reading {
                _ = try await journal.export(as: format) { data in
                    Console.write(String(decoding: data, as: UTF8.self), to: STDOUT_FILENO)
                }
            }
        }
    }

    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check that the journal is whole and unaltered.")
        @OptionGroup var options: Options
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let journal = try options.open()
            let verification = try await CommandFailure.reading { try await journal.verify() }
            if output.json {
                try Console.printJSON(verification)
            } else {
                Console.print(
                    "\(verification.transactions) transactions, \(verification.changes) changes: "
                        + (verification.isSound
                            ? Console.standard.styled("sound", .green)
                            : Console.standard.styled("\(verification.problems.count) problems", .bold, .red))
                )
                for problem in verification.problems { Console.print("  \(problem)") }
            }
            if !verification.isSound { throw ExitWithStatus(status: .different) }
        }
    }

    struct Batches: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List batches, newest first; `tapbridge settle --report` prints one.")
        @Option(help: "At most so many.") var limit = 50
        @Option(help: "Only this terminal.") var terminal: String?
        @OptionGroup var options: Options
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let journal = try options.open()
            let batches = try await CommandFailure.reading {
                try await journal.batches(terminal: terminal, limit: max(1, limit))
            }
            if output.json { return try Console.printJSON(batches) }
            if batches.isEmpty { return Console.print("no batches") }
            Console.print(
                Console.standard.table(
                    [["BATCH", "TERMINAL", "TIME (UTC)", "SALES", "AMOUNT", "REFUNDS", "AMOUNT", "STATE"]]
                        + batches.map { batch in
                            func money(_ units: UInt64) -> String {
                                Money(Amount(clamping: units), batch.currency).description
                            }
                            return [
                                String(batch.batch), batch.terminalID, Tables.time(batch.closingAt),
                                String(batch.sums.debits), money(batch.sums.debitAmount),
                                String(batch.sums.credits), money(batch.sums.creditAmount),
                                batch.state.rawValue,
                            ]
                        }))
        }
    }

    /// Opens for writing, changes, closes.
    static func writing<T>(_ options: Options, _ body: (Journal) async throws -> T) async throws -> T {
        try await CommandFailure.reading {
            let journal = try await Journal.open(at: options.journal ?? Journal.defaultPath)
            let result = try await body(journal)
            try await journal.close()
            return result
        }
    }

    static func find(_ id: String, _ journal: Journal) async throws -> TransactionRecord {
        guard let record = try await journal.show(id) else {
            throw CommandFailure(.badInput, "no transaction, or more than one, begins with \(id)")
        }
        return record
    }

    struct Park: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Set aside what a transaction owes to the host: it is not delivered until it is resumed.")
        @Argument(help: "Its identifier, or the start of it.") var id: String
        @Option(help: "Why, for the history.") var reason = "by hand"
        @OptionGroup var options: Options

        func run() async throws {
            try await JournalCommand.writing(options) { journal in
                let record = try await JournalCommand.find(id, journal)
                try await journal.parked(record.id, reason: reason)
                Console.print("\(record.id) is set aside")
            }
        }
    }

    struct Resume: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take up again what was set aside; `tapbridge forward` delivers it.")
        @Argument(help: "Its identifier, or the start of it.") var id: String
        @Option(help: "Why, for the history.") var reason = "by hand"
        @OptionGroup var options: Options

        func run() async throws {
            try await JournalCommand.writing(options) { journal in
                let record = try await JournalCommand.find(id, journal)
                try await journal.resumed(record.id, reason: reason)
                Console.print("\(record.id) is owed again")
            }
        }
    }

    struct Prune: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete old transactions that are settled, declined, reversed or cancelled.",
            discussion: """
                From the oldest on, as far as all are final: the chain of changes is cut at its beginning, and the cut \
                is vouched for with the journal's key. A terminal profile's `retention-days` does the same at \
                each settlement.
                """)
        @Option(help: ArgumentHelp("Those last changed so many days ago.", valueName: "days"))
        var olderThan: Int
        @OptionGroup var options: Options
        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard (0...36_500).contains(olderThan) else {
                throw ValidationError("--older-than is 0 to 36500 days")
            }
        }

        func run() async throws {
            let done = try await JournalCommand.writing(options) { journal in
                try await journal.prune(before: Date(timeIntervalSinceNow: -86_400 * Double(olderThan)))
            }
            if output.json { return try Console.printJSON(done) }
            Console.print("\(done.transactions) transactions deleted")
            if let id = done.stoppedAt { Console.print("  stopped at \(id), which is not final yet") }
        }
    }
}

extension TransactionState: ExpressibleByArgument {}
extension JournalExport.Format: ExpressibleByArgument {}
