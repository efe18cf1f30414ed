import AcquirerSimulator
public import ArgumentParser
import CardReaders
import Cards
import CommandSupport
import EMV
import EMVCryptography
import Foundation
import Kernels
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
        try await PaymentRun(
            amount: amount, type: type, cashback: cashback, card: card, reader: reader, polling: polling,
            record: record, troubles: trouble, pin: pin, showsCommands: apdus, isLocked: locked,
            takesFreshCard: freshCard,
            purpose: preAuthorize ? .preAuthorization : `defer` ? .deferred : .sale,
            acceptsPartialApproval: partial, key: key, original: of, profile: terminal.profile,
            journal: terminal.journal, acquirer: terminal.acquirer, remote: remote.access, json: output.json
        ).run()
    }

    func validate() throws {
        guard !(preAuthorize && `defer`) else {
            throw ValidationError("a pre-authorization cannot be deferred")
        }
    }
}

extension TransactionType: ExpressibleByArgument {}
