import CommandSupport
import ArgumentParser
import Foundation

@main
struct Tapbridge: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tapbridge",
        abstract: "A contactless payment terminal for Linux: terminal emulator and card-reader bridge.",
        discussion: """
            A test and integration tool: not certified, test cards and test keys only.

            Examples:
              tapbridge demo
              tapbridge pay 12.50 --card visa-debit
              tapbridge decode 9F66043600C000

            Exit codes:
            \(ExitStatus.table.map { "  \($0.0.rawValue)\(String(repeating: " ", count: 5 - String($0.0.rawValue).count))\($0.1)" }.joined(separator: "\n"))
            """,
        version: "0.1.0",
        subcommands: [
            PayCommand.self, RefundCommand.self, VoidCommand.self, CompleteCommand.self, TipCommand.self,
            ForwardCommand.self, SettleCommand.self,
            CardsCommand.self, CardCommand.self, ReadersCommand.self, DoctorCommand.self,
            ServeCommand.self, SwarmCommand.self, ConfigCommand.self, ReplayCommand.self, DecodeCommand.self,
            ISOCommand.self,
            JournalCommand.self, HostCommand.self, ProfileCommand.self, ReaderCommand.self, CertsCommand.self,
            BenchCommand.self, DemoCommand.self,
        ])

    static func main() async { await Program.run(Tapbridge.self) }
}
