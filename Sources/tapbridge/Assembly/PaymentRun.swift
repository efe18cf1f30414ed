import AcquirerSimulator
import Acquiring
import ArgumentParser
import CardReaders
import Cards
import CommandSupport
import EMV
import EMVCryptography
import Foundation
import Journal
import Kernels
import Terminal
import Traces

/// One payment or refund from the command line, from opening reader, host and journal to the receipt.
struct PaymentRun: Sendable {
    /// In major units, such as 12.50.
    var amount: String
    var type: TransactionType = .purchase
    /// The cashback part of the amount.
    var cashback: String?
    /// An emulated card.
    var card: String?
    /// A reader's name.
    var reader: String?
    /// A polling schedule in words.
    var polling: String?
    /// The file of a trace.
    var record: String?
    /// Rules of what goes wrong at the built-in host.
    var troubles: [String] = []
    /// What is entered at the PIN pad: digits, "ask" or "none"; nil decides by the reader.
    var pin: String?
    /// Shows each command and response, explained.
    var showsCommands = false
    /// Nobody unlocks the phone.
    var isLocked = false
    /// The emulated card as it left personalisation; nothing of this tap is kept.
    var takesFreshCard = false
    var purpose: AuthorizationPurpose = .sale
    var acceptsPartialApproval = false
    /// The idempotency key.
    var key: String?
    /// The payment that a refund gives back: its identifier, or the start of it.
    var original: String?
    var profile: String?
    var journal: String?
    var acquirer: String?
    var remote = RemoteAccess()
    var json = false

    func run() async throws {
        let profile = try TerminalProfile.load(self.profile)
        guard let amount = Money.parse(self.amount, exponent: Int(profile.currencyExponent)) else {
            throw CommandFailure(
                .usage,
                "\"\(self.amount)\" is not an amount: write it as 12.50, with at most \(profile.currencyExponent) decimals"
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

        guard type != .refund || original != nil || card != nil || reader != nil else {
            throw CommandFailure(
                .usage,
                "whose money is it? Name the payment that is given back with --of, or the card with --card or --reader"
            )
        }
        let host = try Host.open(
            file: acquirer, profile: profile, troubles: troubles, keepsBooks: !takesFreshCard
        ) { [json] in if !json { Console.printError($0) } }
        let file = try record.map { try OutputFile($0) }

        var device: any CardReader
        var emulated: EmulatedCard?
        var chosen = card
        if reader == nil, card == nil { chosen = try await PCSC.emulatedCardInstead() }
        let journal = try await Journal.opened(at: self.journal)
        host.takeTraceNumbers(from: journal, terminalID: profile.terminalID)
        if let id = chosen {
            let tapped = try CardStore.take(id, fresh: takesFreshCard)
            tapped.ownerUnlocksWhenAsked = !isLocked
            let field = EmulatedReader()
            emulated = tapped
            field.present(tapped)
            device = field
            if !json {
                Console.print(Console.standard.styled("Tapping \(tapped.profile.title)", .dim))
            }
        } else {
            device = try await ReaderChoice.open(reader, remote)
            try await setPolling(device, profile)
            if !json {
                Console.print(Console.standard.styled("Reader \(device.information.name)", .dim))
            }
        }

        let trace = file.map { _ in TraceRecorder(header: [Trace.Field("title", title(emulated))]) }
        let printer = json ? nil : EventPrinter(console: .standard, showsCommands: showsCommands)
        let session: TerminalSession
        do {
            session = try TerminalAssembly(
                profile: profile, reader: device, backend: host.backend, journal: journal,
                environment: TerminalEnvironment(
                    observer: { printer?.print($0) }, holdsMessages: emulated == nil),
                pinEntry: try pinEntry(profile, isEmulated: emulated != nil), trace: trace
            ).terminal()
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure(.badInput, "\(error)")
        }
        try await Self.recover(session, quiet: json)

        var originalID: String?
        if let original {
            guard let record = try? await journal.show(original) else {
                throw CommandFailure(
                    .badInput, "no transaction, or more than one, is or begins with \(original)")
            }
            originalID = record.id
        }
        let request = PaymentRequest(
            amount: amount, amountOther: other, type: type,
            purpose: purpose, idempotencyKey: key, original: originalID,
            acceptsPartialApproval: acceptsPartialApproval)
        // What the host says out of time is written down, also while the payment waits for its reversal.
        let listening = Task { await session.forwarder.listen() }
        defer { listening.cancel() }
        let result = try await Interruption.payment { () async throws(TerminalError) in
            try await session.pay(request)
        }
        listening.cancel()
        await listening.value
        // The money has moved, or has not: nothing below changes what is told and how this ends.
        var afterwards = Afterwards()
        await device.close()
        // The file alone is the whole journal again.
        try? await journal.close()
        await afterwards.attempt { try await host.close() }
        if let emulated, !takesFreshCard { await afterwards.attempt { try CardStore.putBack(emulated) } }
        if let file, let trace {
            await afterwards.attempt {
                try file.write(trace.recorded.masked().description)
                Console.printError("trace written to \(file.path)")
            }
        }

        if json {
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

    private func pinEntry(
        _ profile: TerminalProfile, isEmulated: Bool
    ) throws -> TerminalAssembly.PINEntry {
        let isThereSomebody = isatty(STDIN_FILENO) == 1
        switch pin ?? (isEmulated ? TestPIN.pin : isThereSomebody ? "ask" : "none") {
        case "none": return .none
        case "ask":
            return .software(counter: try SimulatedHost.pinKeyCounter(profile)) { _ in await PINPrompt.ask() }
        case let digits:
            guard let entered = PIN(digits) else {
                throw CommandFailure(.usage, "a PIN has 4 to 12 digits")
            }
            return .software(counter: try SimulatedHost.pinKeyCounter(profile)) { _ in entered }
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
}
