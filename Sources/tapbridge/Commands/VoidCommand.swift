import CommandSupport
import ArgumentParser
import Terminal

struct VoidCommand: MoneyCommand {
    static let configuration = CommandConfiguration(
        commandName: "void", abstract: "Take back a payment that is not settled yet.",
        discussion: """
            The reversal is written to the journal first and repeated until the host has acknowledged it.

            Example:
              tapbridge void txn_01k
            """)
    @Argument(help: "The payment's identifier, or the start of it.") var id: String
    @OptionGroup var options: DeskOptions

    func run() async throws {
        let change = try await Desk.open(options.terminal, troubles: options.trouble) {
            try await $0.desk.void(id)
        }
        try Desk.show(change, json: options.output.json)
    }
}
