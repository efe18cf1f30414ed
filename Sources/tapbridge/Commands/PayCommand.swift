import Acquiring
public import ArgumentParser
import Cards
import EMV
import Foundation
import Kernels
import Readers
public import Terminal
import Traces

struct PayCommand: MoneyCommand {
    static let configuration = CommandConfiguration(
        commandName: "pay",
        abstract: "Take one payment.",
        discussion: """
            With --card an emulated card or wallet is tapped on the emulated reader; a phone that asks to be \
            unlocked is unlocked, unless --locked is given. With --reader an attached PC/SC reader, or a libnfc \
            device (nfc:pn532_uart:/dev/ttyUSB0), waits for a real one. Without both the first contactless reader is taken; \
            where no reader is attached an emulated card, which is said.

            The file of --record is opened before the payment. What fails after it is a warning: result and exit status \
            are the payment's.

            What earlier runs left unfinished is resolved first, at this terminal and at all others of the journal.

            Examples:
              tapbridge pay 12.50 --card visa-debit
              tapbridge pay 64.00 --card google-pay-visa --apdus
              tapbridge pay 1.00 --reader ACS --record my-card.trace
              tapbridge pay 1.00 --reader remote:readers.example:7316/ACS
              tapbridge pay 20.00 --card alipay-wallet --json
              tapbridge pay 10.00 --card visa-credit --trouble silence
            """)

    @Argument(help: "Amount in the terminal's currency, such as 12.50.")
    var amount: String

    @Option(
        help: ArgumentHelp(
            "Emulated card: a built-in id (see `tapbridge cards`) or a profile file.", valueName: "id"))
    var card: String?

    @Option(
        help: ArgumentHelp(
            "PC/SC reader by a part of its name, nfc: and libnfc's connection string, or a reader of another machine: remote:host:port/name.",
            valueName: "name"))
    var reader: String?

    @Option(
        help: ArgumentHelp(
            "What the reader sends while it waits: standard, payment, or transit:TTTTTT with the agency's identifier, as phones expect it; +f polls for FeliCa as well.",
            valueName: "schedule"))
    var polling: String?

    @Option(help: "purchase, cash, cashback or refund.")
    var type: TransactionType = .purchase

    @Option(help: ArgumentHelp("Cashback part of the amount.", valueName: "amount"))
    var cashback: String?

    @Option(help: ArgumentHelp("Write a trace of the session.", valueName: "file"))
    var record: String?

    @Option(
        help: ArgumentHelp(
            "What goes wrong at the host, such as silence, garbage, \"decline 51\", \"slow 3s\", \"nth 2: lost\"; may be given several times.",
            valueName: "trouble"))
    var trouble: [String] = []

    @Option(
        help: ArgumentHelp(
            "What is entered where the card asks for the online PIN; \(TestPIN.pin) is every test card's. \"ask\" reads it from standard input, as is done with a real reader. \"none\" is a terminal without PIN pad.",
            valueName: "digits"))
    var pin: String?

    @Flag(help: "Show each command and answer, explained.")
    var apdus = false

    @Flag(help: "Nobody unlocks the phone.")
    var locked = false

    @Flag(help: "Use the emulated card as it left personalisation, and keep nothing of this tap.")
    var freshCard = false

    @Flag(help: "Only hold the amount: `tapbridge complete` names what is taken.")
    var preAuthorize = false

    @Flag(
        help:
            "Give the service at once and ask the host later, as transit gates do: `tapbridge forward` asks.")
    var `defer` = false

    @Flag(help: "Take an approval for a part of the amount.")
    var partial = false

    @Option(
        help: ArgumentHelp(
            "Names this payment for ever: asked for again with the same key, it is not taken again.",
            valueName: "key"))
    var key: String?

    @Option(help: ArgumentHelp("The payment that a refund gives back: its identifier.", valueName: "id"))
    var of: String?

    @OptionGroup var terminal: TerminalOptions
    @OptionGroup var remote: RemoteOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let profile = try terminal.loadProfile()
        guard let amount = Money.parse(amount, exponent: Int(profile.currencyExponent)) else {
            throw CommandFailure(
                .usage,
                "\"\(amount)\" is not an amount: write it as 12.50, with at most \(profile.currencyExponent) decimals"
            )
        }
        var other = Amount.zero
        if let cashback {
            guard let parsed = Money.parse(cashback, exponent: Int(profile.currencyExponent)) else {
                throw CommandFailure(.usage, "\"\(cashback)\" is not an amount")
            }
            other = parsed
        }
        guard card == nil || reader == nil else {
            throw CommandFailure(.usage, "--card is for the emulated reader: leave out --reader")
        }

        guard !(preAuthorize && `defer`) else {
            throw CommandFailure(.usage, "a pre-authorization cannot be deferred")
        }
        guard type != .refund || of != nil || card != nil || reader != nil else {
            throw CommandFailure(
                .usage,
                "whose money is it? Name the payment that is given back with --of, or the card with --card or --reader"
            )
        }
        let host = try terminal.host(profile, quiet: output.json)
        if host != nil, !trouble.isEmpty {
            throw CommandFailure(
                .usage, "--trouble is for the built-in host: give it to `tapbridge host` instead")
        }
        let file = try record.map { try OutputFile($0) }

        var device: any CardReader
        var emulated: EmulatedCard?
        var chosen = card
        if reader == nil, card == nil { chosen = try await PCSC.emulatedCardInstead() }
        let journal = try await terminal.openJournal()
        host?.takeTraceNumbers(from: journal, profile.terminalID)
        if let id = chosen {
            let tapped = try CardShelf.take(id, fresh: freshCard)
            tapped.ownerUnlocksWhenAsked = !locked
            let field = EmulatedReader()
            emulated = tapped
            field.present(tapped)
            device = field
            if !output.json {
                Console.print(Console.standard.styled("Tapping \(tapped.profile.title)", .dim))
            }
        } else {
            device = try await ReaderChoice.open(reader, remote)
            try await setPolling(device, profile)
            if !output.json {
                Console.print(Console.standard.styled("Reader \(device.information.name)", .dim))
            }
        }

        let pinPad = try makePINPad(profile, isEmulated: emulated != nil)
        var recorder: SessionRecorder?
        if file != nil {
            let trace = TraceRecorder(header: [Trace.Field("title", title(emulated))])
            recorder = SessionRecorder(recorder: trace, profile: profile, hasPINPad: pinPad != nil)
            device = RecordingReader(device, recorder: trace)
        }
        let printer = output.json ? nil : EventPrinter(console: .standard, showsCommands: apdus)
        let environment = TerminalEnvironment(
            observer: { [recorder] event in
                recorder?.observe(event)
                printer?.print(event)
            }, holdsMessages: emulated == nil, pinPad: pinPad)
        let keepsBooks = !freshCard
        let simulator = try SimulatedHost.make(
            troubles: trouble, keepsBooks: keepsBooks, answerTimeout: profile.timing.authorization)
        let session = TerminalSession(
            profile: profile, reader: device, backend: host?.backend ?? simulator, journal: journal,
            environment: environment)
        try await Self.recover(session, quiet: output.json)

        var original: String?
        if let of {
            guard let record = try? await journal.show(of) else {
                throw CommandFailure(.badInput, "no transaction, or more than one, is or begins with \(of)")
            }
            original = record.id
        }
        let request = PaymentRequest(
            amount: amount, amountOther: other, type: type,
            purpose: preAuthorize ? .preAuthorization : `defer` ? .deferred : .sale, idempotencyKey: key,
            original: original, acceptsPartialApproval: partial)
        // What the host says out of time is written down, also while the payment waits for its reversal.
        let listening = Task { await session.forwarder.listen() }
        defer { listening.cancel() }
        let result = try await Self.interruptible { () async throws(TerminalError) in
            try await session.pay(request)
        }
        listening.cancel()
        await listening.value
        // The money has moved, or has not: nothing below changes what is told and how this ends.
        var afterwards = Afterwards()
        await device.close()
        // The file alone is the whole journal again.
        try? await journal.close()
        if let host {
            await host.close()
        } else if keepsBooks {
            await afterwards.attempt { try await SimulatedHost.keepBooks(of: simulator) }
        }
        if let emulated, !freshCard { await afterwards.attempt { try CardShelf.putBack(emulated) } }
        if let file, let recorder {
            await afterwards.attempt {
                try file.write(recorder.recorder.recorded.masked().description)
                Console.printError("trace written to \(file.path)")
            }
        }

        if output.json {
            var report = PaymentReport(result)
            report.warnings = afterwards.warnings.isEmpty ? nil : afterwards.warnings
            try Console.printJSON(report)
        } else {
            Console.print("  \(result.headline(.standard))")
            if result.status != .approved, let reason = result.reason { Console.print("    \(reason)") }
            if result.outcome != nil, let receipt = result.receipt { Console.print("\n" + receipt.text()) }
        }
        afterwards.tell()
        if result.exitStatus != .success { throw ExitWithStatus(status: result.exitStatus) }
    }

    private func makePINPad(_ profile: TerminalProfile, isEmulated: Bool) throws -> PINPad? {
        let isThereSomebody = isatty(STDIN_FILENO) == 1
        switch pin ?? (isEmulated ? TestPIN.pin : isThereSomebody ? "ask" : "none") {
        case "none": return nil
        case "ask": return try SimulatedHost.pinPad(profile) { _ in await PINPrompt.ask() }
        case let digits:
            guard let entered = PIN(digits) else {
                throw CommandFailure(.usage, "a PIN has 4 to 12 digits")
            }
            return try SimulatedHost.pinPad(profile) { _ in entered }
        }
    }

    /// The option's schedule, or the profile's. A reader that cannot is an error where it was asked for here, and said
    /// where the profile has it for all readers.
    private func setPolling(_ reader: any CardReader, _ profile: TerminalProfile) async throws {
        var schedule = profile.polling
        if let polling {
            schedule = PollingSchedule(words: polling)
            guard schedule != nil else {
                throw CommandFailure(
                    .usage,
                    "\"\(polling)\" is no polling schedule: standard, payment, transit:030002 or transit:030002:7900000000"
                )
            }
        }
        guard let schedule else { return }
        do {
            try await reader.usePolling(schedule)
        } catch {
            guard polling == nil else { throw CommandFailure(.reader, "\(error)") }
            Console.printError(Console.error.styled("\(error)", .yellow))
        }
    }

    private func title(_ card: EmulatedCard?) -> String {
        "\(type.rawValue) \(amount), \(card?.profile.title ?? "card on \(reader ?? "a PC/SC reader")")"
    }

    /// Resolves what an earlier run left, at this terminal and at all others of the journal, and says so.
    static func recover(_ session: TerminalSession, quiet: Bool) async throws {
        do {
            for recovery in try await session.forwarder.recoverAll() {
                let text =
                    "earlier payment \(recovery.record.id) (\(recovery.record.state.rawValue)): \(recovery.action)"
                if !quiet || !recovery.resolved { Console.printError(Console.error.styled(text, .yellow)) }
            }
        } catch {
            throw CommandFailure(.journal, "\(error)")
        }
    }

    /// Runs a payment so that Ctrl-C cancels it properly.
    static func interruptible(
        _ body: @escaping @Sendable () async throws -> PaymentResult
    ) async throws -> PaymentResult {
        let task = Task { try await body() }
        do {
            return try await Interruption.cancelling(task) { try await task.value }
        } catch let error as TerminalError {
            switch error {
            case .journal: throw CommandFailure(.journal, "\(error)")
            case .rejected: throw CommandFailure(.notApproved, "\(error)")
            case .busy, .invalidRequest, .keyReused: throw CommandFailure(.usage, "\(error)")
            }
        }
    }
}

extension TransactionType: ExpressibleByArgument {}

/// Ctrl-C as the cancellation of a task.
enum Interruption {
    static func cancelling<Success: Sendable, Failure: Error, T>(
        _ task: Task<Success, Failure>, _ body: () async throws -> T
    ) async rethrows -> T {
        signal(SIGINT, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
        source.setEventHandler { task.cancel() }
        source.resume()
        defer { source.cancel() }
        return try await body()
    }
}
