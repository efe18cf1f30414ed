import CommandSupport
import ArgumentParser
import Terminal

struct CompleteCommand: MoneyCommand {
    static let configuration = CommandConfiguration(
        commandName: "complete", abstract: "Take an amount of what a pre-authorization holds.",
        discussion: """
            Examples:
              tapbridge pay 200.00 --card visa-credit --pre-authorize
              tapbridge complete txn_01k 143.20
            """)
    @Argument(help: "The pre-authorization's identifier, or the start of it.") var id: String
    @Argument(help: "What is taken, such as 12.50; the rest is let go.") var amount: String
    @OptionGroup var options: DeskOptions

    func run() async throws {
        let change = try await Desk.open(options.terminal, troubles: options.trouble) {
            try await $0.desk.complete(id, try Desk.amount(amount, $0.profile))
        }
        try Desk.show(change, json: options.output.json)
    }
}
