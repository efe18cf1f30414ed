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
    @Option(help: ArgumentHelp("PC/SC reader by a part of its name.", valueName: "name"))
    var reader: String?
    @Option(
        help: ArgumentHelp("What goes wrong at the host; may be given several times.", valueName: "trouble"))
    var trouble: [String] = []
    @Option(help: ArgumentHelp("Names this refund for ever: it is given once.", valueName: "key"))
    var key: String?
    @OptionGroup var terminal: TerminalOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        var words = [amount, "--type", "refund"]
        func add(_ option: String, _ value: String?) { if let value { words += ["\(option)=\(value)"] } }
        add("--of", of)
        add("--card", card)
        add("--reader", reader)
        add("--key", key)
        add("--profile", terminal.profile)
        add("--journal", terminal.journal)
        add("--acquirer", terminal.acquirer)
        for trouble in trouble { add("--trouble", trouble) }
        if output.json { words.append("--json") }
        try await PayCommand.parse(words).run()
    }
}
