import CommandSupport
import ArgumentParser
import Terminal

struct TipCommand: MoneyCommand {
    static let configuration = CommandConfiguration(
        commandName: "tip", abstract: "Add a tip to a payment that is not settled yet.",
        discussion: """
            A second tip takes the place of the first.

            Example:
              tapbridge tip txn_01k 2.00
            """)
    @Argument(help: "The payment's identifier, or the start of it.") var id: String
    @Argument(help: "The tip, such as 2.00.") var amount: String
    @OptionGroup var options: DeskOptions

    func run() async throws {
        let change = try await Desk.open(options.terminal, troubles: options.trouble) {
            try await $0.desk.tip(id, try Desk.amount(amount, $0.profile))
        }
        try Desk.show(change, json: options.output.json)
    }
}
