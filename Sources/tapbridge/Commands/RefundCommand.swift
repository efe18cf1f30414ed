import CommandSupport
import ArgumentParser
import Terminal

struct RefundCommand: MoneyCommand {
    static let configuration = CommandConfiguration(
        commandName: "refund", abstract: "Give money back to a card.",
        discussion: """
            With --of the payment that is given back is named: the refund is refused where more would be given back \
            than it took, or where another card is presented. A payment that is not settled yet is better taken \
            back with `tapbridge void`. Without it the card has to be named, with --card or --reader.

            Examples:
              tapbridge refund 12.50 --card visa-debit
              tapbridge refund 12.50 --of txn_01k --card visa-debit
            """)
    @Argument(help: "Amount in the terminal's currency, such as 12.50.") var amount: String
    @Option(help: ArgumentHelp("The payment that is given back: its identifier.", valueName: "id"))
    var of: String?
    @Option(help: ArgumentHelp("Emulated card: a built-in id or a profile file.", valueName: "id"))
    var card: String?
    @Option(
        help: ArgumentHelp(
            "PC/SC reader by a part of its name, nfc: and libnfc's connection string, or remote:host:port/name.",
            valueName: "name"))
    var reader: String?
    @Option(
        help: ArgumentHelp("What goes wrong at the host; may be given several times.", valueName: "trouble"))
    var trouble: [String] = []
    @Option(help: ArgumentHelp("Names this refund for ever: it is given once.", valueName: "key"))
    var key: String?
    @Option(help: ArgumentHelp("Write a trace of the session.", valueName: "file")) var record: String?
    @Option(
        help: ArgumentHelp(
            "What is entered where the card asks for the online PIN: digits, \"ask\" or \"none\", as with `tapbridge pay`.",
            valueName: "digits"))
    var pin: String?
    @Flag(help: "Show each command and answer, explained.") var apdus = false
    @OptionGroup var terminal: TerminalOptions
    @OptionGroup var remote: RemoteOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try await PaymentRun(
            amount: amount, type: .refund, card: card, reader: reader, record: record, troubles: trouble,
            pin: pin, showsCommands: apdus, key: key, original: of, profile: terminal.profile,
            journal: terminal.journal, acquirer: terminal.acquirer, remote: remote.access, json: output.json
        ).run()
    }
}
