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
            BenchGroup.self, DemoCommand.self,
        ])

    /// Maps our own errors to their exit statuses; usage errors stay ArgumentParser's.
    static func main() async {
        ProcessMemory.keepPrivate()
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try parseAsRoot()
            if command is any MoneyCommand { Console.outliveReader() }
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let failure as CommandFailure {
            Console.printError("\(Console.error.styled("error:", .bold, .red)) \(failure)")
            Foundation.exit(failure.status.rawValue)
        } catch let status as ExitWithStatus {
            Foundation.exit(status.status.rawValue)
        } catch {
            // Help, usage errors, and what some library threw, whose words may be anybody's.
            let code = exitCode(for: error)
            let message = fullMessage(for: error)
            if !message.isEmpty { code.isSuccess ? Console.print(message) : Console.printError(message) }
            Foundation.exit(code.rawValue)
        }
    }
}

/// Ends the program with a status and no further words.
struct ExitWithStatus: Error {
    let status: ExitStatus
}

/// `--json`, for commands that have it.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Print JSON for programs.")
    var json = false
}
