import CommandSupport
import Acquiring
import ArgumentParser
import EMV
import Foundation
import Journal
import Terminal

/// What commands need that work on payments already taken: journal, host, and what delivers to it.
struct Desk {
    let profile: TerminalProfile
    let journal: Journal
    let backend: any AcquirerBackend
    let forwarder: Forwarder

    var desk: PaymentDesk { PaymentDesk(journal: journal, forwarder: forwarder) }

    /// Opens all, runs `body`, and keeps the host's books.
    static func open<T>(
        _ terminal: TerminalOptions, troubles: [String], _ body: (Desk) async throws -> T
    ) async throws -> T {
        let profile = try terminal.loadProfile()
        let journal = try await terminal.openJournal()
        let host = try Host.open(
            file: terminal.acquirer, profile: profile, troubles: troubles, keepsBooks: true
        ) { Console.printError($0) }
        host.takeTraceNumbers(from: journal, terminalID: profile.terminalID)
        // Whatever was done is done: what fails here is a warning.
        func end() async {
            try? await journal.close()
            var afterwards = Afterwards()
            await afterwards.attempt { try await host.close() }
            afterwards.tell()
        }
        var policy = Forwarder.Policy()
        policy.answerTimeout = profile.timing.authorization
        let forwarder = Forwarder(
            terminalID: profile.terminalID, journal: journal, backend: host.backend, policy: policy)
        do {
            let result = try await body(
                Desk(profile: profile, journal: journal, backend: host.backend, forwarder: forwarder))
            await end()
            return result
        } catch {
            await end()
            switch error {
            case let error as JournalError: throw CommandFailure(.journal, "\(error)")
            case DeskError.journal(let error): throw CommandFailure(.journal, "\(error)")
            case DeskError.notPossible: throw CommandFailure(.notApproved, "\(error)")
            case let error as DeskError: throw CommandFailure(.badInput, "\(error)")
            case SettlementError.journal(let error): throw CommandFailure(.journal, "\(error)")
            case let error as SettlementError: throw CommandFailure(.outcomeUnknown, "\(error)")
            default: throw error
            }
        }
    }

    static func amount(_ text: String, _ profile: TerminalProfile) throws -> Amount {
        guard let amount = Money.parse(text, exponent: Int(profile.currencyExponent)) else {
            throw CommandFailure(
                .usage,
                "\"\(text)\" is not an amount: write it as 12.50, with at most \(profile.currencyExponent) decimals"
            )
        }
        return amount
    }

    /// Tells where a transaction stands after a command; ends with a status of its own where the host does not know yet.
    static func show(_ change: PaymentDesk.Change, json: Bool) throws {
        let record = change.record
        let isOwed = TransactionState.owed.contains(record.state)
        if json {
            try Console.printJSON(record)
        } else {
            let console = Console.standard
            let state =
                !isOwed
                ? console.styled(record.state.rawValue, .green)
                : console.styled(record.state.rawValue, .yellow)
            Console.print(
                "\(record.id)  \(Money(record.amountTaken, record.currency))  \(state)"
                    + (record.isParked ? "  set aside for a person" : "")
                    + (change.isRepeated ? "  done before: nothing was changed" : ""))
            if isOwed {
                Console.print("  the host does not know yet: `tapbridge forward` tries again")
            }
        }
        if isOwed {
            throw ExitWithStatus(status: .outcomeUnknown)
        }
    }
}

/// Options of commands that name a payment already taken.
struct DeskOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "What goes wrong at the host, such as \"reversal: silence\"; may be given several times.",
            valueName: "trouble"))
    var trouble: [String] = []
    @OptionGroup var terminal: TerminalOptions
    @OptionGroup var output: OutputOptions
}
