import Acquiring
import ArgumentParser
import Cards
import EMV
import Foundation
import HTTPBackend
import ISO8583Backend
import Issuing
import Journal
import Kernels
import ProfileFile
import Readers
import SmartCard
import Terminal
import Traces

/// Options of every command that runs a terminal.
struct TerminalOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Terminal profile (YAML); the built-in one by default.", valueName: "file"))
    var profile: String?

    @Option(help: ArgumentHelp("Journal file; in the user's state directory by default.", valueName: "file"))
    var journal: String?

    @Option(
        help: ArgumentHelp(
            "Acquirer file (YAML): authorize with its host over ISO 8583 or HTTP. By default that of the profile, else the built-in host.",
            valueName: "file"), completion: .file())
    var acquirer: String?

    /// A host outside of this program, and what ends its connections.
    struct OutsideHost {
        var backend: any AcquirerBackend
        var close: @Sendable () async -> Void

        /// The host's own messages take their numbers from the terminal's counter.
        func takeTraceNumbers(from journal: Journal, _ terminalID: String) {
            (backend as? any TraceNumberedBackend)?.takeTraceNumbers {
                try? await journal.drawTraceNumber(terminal: terminalID)
            }
        }
    }

    /// The host of the acquirer file; nil where none is given.
    func host(_ profile: TerminalProfile, quiet: Bool) throws -> OutsideHost? {
        try host(profile) { if !quiet { Console.printError($0) } }
    }

    /// - Parameter log: told how the connections fare.
    func host(_ profile: TerminalProfile, log: @escaping @Sendable (String) -> Void) throws -> OutsideHost? {
        guard let file = acquirer ?? profile.acquirerFile else { return nil }
        do {
            if try HTTPBackendSettings.isMeant(byFile: file) {
                let backend = try HTTPBackend(
                    .init(
                        settings: try HTTPBackendSettings(file: file),
                        answerTimeout: profile.timing.authorization))
                return OutsideHost(backend: backend) { await backend.close() }
            }
            let acquirer = try AcquirerFile(path: file)
            for problem in acquirer.interface.problems(profile) { log("\(problem)") }
            let backend = acquirer.backend(log: log)
            return OutsideHost(backend: backend) { await backend.close() }
        } catch {
            throw CommandFailure(.badInput, "\(error)")
        }
    }

    func loadProfile() throws -> TerminalProfile { try Self.loadProfile(profile) }

    /// The profile of a file, or the built-in one.
    static func loadProfile(_ path: String?) throws -> TerminalProfile {
        do {
            return try path.map { (path) throws(ProfileFileError) in try TerminalProfile(path: path) }
                ?? TerminalProfile.builtIn()
        } catch {
            throw CommandFailure(.badInput, "\(error)")
        }
    }

    var journalPath: String { journal ?? Journal.defaultPath }

    func openJournal() async throws -> Journal {
        do {
            return try await Journal.open(at: journalPath)
        } catch {
            throw CommandFailure(.journal, "\(error)")
        }
    }

    func openJournalForReading() throws -> Journal {
        do {
            return try Journal.openReadOnly(at: journalPath)
        } catch {
            throw CommandFailure(.journal, "\(error)")
        }
    }
}

extension HostInterface {
    /// What of a profile's texts this host's messages cannot say.
    func problems(_ profile: TerminalProfile) -> [TextProblem] {
        problems(
            terminalID: profile.terminalID, merchantID: profile.merchant.id,
            merchant: CardAcceptor(
                name: profile.merchant.name, city: profile.merchant.location,
                country: Int(profile.country.value)))
    }
}

/// Emulated cards with a memory: counters live in the state directory between runs.
enum CardShelf {
    static func statePath(_ id: String) throws -> String {
        let safe = id.map { $0.isLetter || $0.isNumber || $0 == "-" ? $0 : "_" }
        return try StateDirectory.make("cards") + "/" + String(safe) + ".json"
    }

    /// A card as it was left; fresh where it was never used or `fresh` says so.
    static func take(_ id: String, fresh: Bool = false) throws -> EmulatedCard {
        let profile: CardProfile
        do {
            profile = try CardLibrary.profile(id)
        } catch {
            throw CommandFailure(.badInput, "\(error)")
        }
        var state: CardState?
        if !fresh, let data = FileManager.default.contents(atPath: try statePath(profile.id)) {
            do {
                state = try JSONDecoder().decode(CardState.self, from: data)
            } catch {
                throw CommandFailure(
                    .badInput,
                    "the state of card \(profile.id) (\(try statePath(profile.id))) cannot be read: remove it or use --fresh-card"
                )
            }
        }
        do {
            return try EmulatedCard(profile: profile, state: state)
        } catch {
            throw CommandFailure(.badInput, "card \(profile.id): \(error)")
        }
    }

    static func putBack(_ card: EmulatedCard) throws { try keep(card.state, of: card.profile.id) }

    static func keep(_ state: CardState, of id: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        let path = try statePath(id)
        do {
            try encoder.encode(state).write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            throw CommandFailure(
                .journal,
                "the state of card \(id) cannot be kept in \(path): \(error.localizedDescription)"
            )
        }
    }
}

/// Shows a session's events to a person.
struct EventPrinter: Sendable {
    let console: Console
    let showsCommands: Bool
    let exchange = ExchangeExplanation()

    func print(_ event: TerminalEvent) {
        switch event {
        case .message(let message):
            // "Card read" is said by lights and sound alone where a kernel shows no text with it.
            guard !message.text.isEmpty || message.sound == .success else { return }
            Console.print("  \(lights(message.lights))  \(console.styled(message.text, .bold))")
        case .command(let command):
            if showsCommands {
                explain("> ", exchange.command(command.bytes, coloured: console.coloured))
            }
        case .response(let response, let microseconds):
            if showsCommands {
                explain(
                    "< ", exchange.response(response.bytes, coloured: console.coloured),
                    suffix: "  \(microseconds) us")
            }
        case .readerError(let error):
            Console.print("        \(console.styled("\(error)", .yellow))")
        case .cardActivated(let card):
            if showsCommands {
                Console.print("        card, ATR \(hex(card.answerToReset))")
            }
        case .outcome(let final):
            if showsCommands {
                let outcome = final.outcome
                Console.print(
                    "        outcome: \(console.styled(outcome.status.rawValue, .cyan)), CVM \(outcome.cvm.rawValue), start \(outcome.start?.rawValue ?? "N/A")"
                )
                explain("= ", outcome.encoded, kind: .tlv)
            }
        case .dataExchange(let signal):
            guard showsCommands else { return }
            if !signal.dataNeeded.isEmpty {
                let names = signal.dataNeeded.map { tag in
                    "\(tag) " + (DataDictionary.name(of: tag, in: .kernel2) ?? "")
                }
                Console.print("        the kernel needs \(names.joined(separator: ", "))")
            }
            if !signal.dataToSend.isEmpty {
                Console.print("        the kernel tells the terminal")
                explain("= ", signal.dataToSend.encoded(), kind: .tlv)
            }
        case .dataExchanged(let data):
            if showsCommands {
                Console.print("        the terminal answers")
                explain("= ", data.encoded(), kind: .tlv)
            }
        case .tornRecordsLeft(let records):
            Console.print(
                "        \(records.count) torn transaction\(records.count == 1 ? "" : "s") too old to be recovered"
            )
        case .kernelMemoryFailed(let reason):
            Console.print("        \(console.styled("torn transactions: \(reason)", .yellow))")
        case .refusedByMerchant(let reason):
            Console.print("        \(console.styled(reason, .yellow))")
        case .reversal(let reversal, let delivered):
            Console.print(
                "        reversal (\(reversal.reason.rawValue), transmission \(reversal.transmission)): "
                    + (delivered ? "acknowledged" : console.styled("not delivered yet", .yellow)))
        case .parked(let id, let reason):
            Console.print("        \(id) is \(console.styled("set aside for a person: \(reason)", .yellow))")
        case .authorizationFailed(let error):
            Console.print("        \(console.styled("\(error)", .yellow))")
        case .transaction, .fieldOff, .cardNotRemoved, .unpredictableNumber, .kernelMemory, .kernelState,
            .authorizationSent, .authorizationAnswered, .resolved, .finished:
            break
        }
    }

    private func lights(_ lights: CustomerMessage.Lights) -> String {
        if lights.alert { return console.styled("✖○○○", .red) }
        func symbol(_ light: CustomerMessage.Lights.Light) -> String {
            switch light {
            case .off: console.styled("○", .dim)
            case .on: console.styled("●", .green)
            case .blinking: console.styled("◐", .green)
            }
        }
        return symbol(lights.first) + String(repeating: symbol(lights.others), count: 3)
    }

    private func explain(_ mark: String, _ bytes: [UInt8], kind: EMVDecoder.Kind) {
        explain(mark, Explanation.text(bytes, kind: kind, coloured: console.coloured))
    }

    private func explain(_ mark: String, _ text: String, suffix: String = "") {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() where !line.isEmpty {
            Console.print(
                "      " + (index == 0 ? console.styled(mark, .blue) : "  ") + line
                    + (index == 0 ? console.styled(suffix, .dim) : ""))
        }
    }
}

extension PaymentResult {
    var exitStatus: ExitStatus {
        switch status {
        case .approved: .success
        case .declined, .tryAnotherInterface, .ended, .refusedByMerchant, .timedOut: .notApproved
        case .cancelled: .interrupted
        case .failed:
            reversalOutstanding || online == nil && outcome != nil
                ? .outcomeUnknown : .reader
        }
    }

    /// One line for a list.
    func headline(_ console: Console) -> String {
        switch status {
        case .approved:
            console.styled("✔ ", .bold, .green)
                + console.styled(online == true ? "approved online" : "approved offline", .green)
                + (response?.authorizationCode.map { ", authorization \($0)" } ?? "")
        case .declined:
            console.styled("✘ ", .bold, .red)
                + console.styled(online == true ? "declined by the host" : "declined", .red)
                + (response.map { ", code \($0.responseCode)" } ?? "")
        default:
            console.styled("– ", .bold, .yellow)
                + console.styled(status.rawValue.replacingOccurrences(of: "-", with: " "), .yellow)
        }
    }
}

/// A payment's result for programs.
struct PaymentReport: Encodable {
    var id: String
    var status: String
    var online: Bool?
    var amount: UInt64
    var currency: String
    var stan: UInt32
    var retrievalReference: String
    var card: String?
    var aid: String?
    var application: String?
    var kernel: String?
    var cvm: String
    var outcome: String?
    var responseCode: String?
    var authorizationCode: String?
    var accountCharge: AccountCharge?
    var tokenRequestor: String?
    var paymentAccountReference: String?
    var formFactor: String?
    var reversalOutstanding: Bool
    var reason: String?
    /// What failed after the payment, and changes nothing of it.
    var warnings: [String]?

    init(_ result: PaymentResult) {
        id = result.transactionID
        status = result.status.rawValue
        online = result.online
        amount = result.inputs.amount.minorUnits
        currency = result.inputs.currency.description
        stan = result.stan
        retrievalReference = result.retrievalReference
        card = result.instrument?.primaryAccountNumber?.masked
        aid = result.instrument.map { $0.applicationIdentifier.map { String(format: "%02X", $0) }.joined() }
        application = result.instrument?.applicationLabel
        kernel = result.outcome?.selected?.kernel.description
        cvm = result.cvm.rawValue
        outcome = result.outcome?.outcome.status.rawValue
        responseCode = result.response?.responseCode
        authorizationCode = result.response?.authorizationCode
        accountCharge = result.response?.accountCharge
        tokenRequestor = result.instrument?.tokenRequestorID
        paymentAccountReference = result.instrument?.paymentAccountReference
        formFactor = result.instrument?.formFactor.rawValue
        reversalOutstanding = result.reversalOutstanding
        reason = result.reason
    }
}
