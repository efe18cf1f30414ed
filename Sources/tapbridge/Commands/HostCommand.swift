import CommandSupport
import ArgumentParser
import EMV
import Foundation
import Issuing
import Terminal

struct HostCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "host", abstract: "Serve terminals as a simulated acquirer, or look into its books.",
        subcommands: [Serve.self, Accounts.self, Reset.self], defaultSubcommand: Serve.self)

    struct Accounts: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List accounts, balances and what is available.")
        @OptionGroup var output: OutputOptions

        struct Row: Encodable {
            var account: String
            var balance: Int64
            var available: UInt64
            var currency: String
        }

        static func rows(_ issuer: IssuerSimulator) -> [Row] {
            issuer.world.accounts.map {
                Row(
                    account: $0.id, balance: issuer.balance($0.id) ?? 0,
                    available: issuer.available($0.id) ?? 0, currency: $0.currency.description)
            }
        }

        func run() async throws {
            let issuer = try await SimulatedHost.make().issuer
            if output.json { return try Console.printJSON(Self.rows(issuer)) }
            Console.print(Console.standard.table(Tables.accounts(issuer)))
        }
    }

    struct Reset: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Begin new books: opening balances, no counter used.")
        func run() throws {
            try? FileManager.default.removeItem(atPath: try SimulatedHost.statePath())
            try? FileManager.default.removeItem(atPath: try SimulatedHost.batchesPath())
            Console.print("the simulated host begins new books")
        }
    }
}
