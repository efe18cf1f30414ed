import ArgumentParser
import CommandSupport
import EMVDictionary
import Foundation
import ISO8583
import ISO8583Backend
import ISO8583Dialects
import Terminal

struct ProfileCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "profile", abstract: "Print the built-in terminal profile, or check one.",
        discussion: """
            Examples:
              tapbridge profile show > my-terminal.yaml
              tapbridge profile check my-terminal.yaml
            """, subcommands: [Show.self, Check.self])

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Print the built-in terminal profile.")
        func run() throws { Console.write(TerminalProfile.builtInText, to: STDOUT_FILENO) }
    }

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Check a terminal profile.")
        @Argument(help: "YAML file.", completion: .file(extensions: ["yaml", "yml"])) var file: String
        @Option(
            help: ArgumentHelp(
                "Acquirer file whose host gets the terminal's texts; the profile's own by default.",
                valueName: "file"), completion: .file())
        var acquirer: String?
        func run() throws {
            do {
                let profile = try TerminalProfile(path: file)
                let currency =
                    CodeTable.currency(Int(profile.currency.value))?.alpha ?? "currency \(profile.currency)"
                Console.print(
                    "\(file): terminal \(profile.terminalID), amounts in \(currency) with \(profile.currencyExponent) decimals, \(profile.configuration.combinations.count) combinations, \(profile.configuration.terminal.certificationAuthorityKeys.count) CA keys, digest \(profile.digest)"
                )
                if profile.hasBuiltInLimits, profile.currency != (try TerminalProfile.builtIn()).currency {
                    Console.print(
                        "\(file): limits are the numbers of the built-in profile, taken as \(currency): \(Self.limits(profile)); for others give combinations"
                    )
                }
                try checkTexts(profile)
            } catch let failure as CommandFailure {
                throw failure
            } catch {
                throw CommandFailure(.badInput, "\(error)")
            }
        }

        /// What the host's messages cannot say of the merchant is an error; what they cut is told.
        private func checkTexts(_ profile: TerminalProfile) throws {
            var problems: [TextProblem] = []
            if let path = acquirer ?? profile.acquirerFile {
                problems = try Host.problems(file: path, profile: profile)
            } else {
                // Without a host: what hosts in ASCII can say.
                let dialect = try Dialect.builtIn("generic-ascii")
                problems = dialect.map { HostInterface(dialect: $0).problems(profile) } ?? []
            }
            for problem in problems where !problem.isRefused { Console.print("\(file): \(problem)") }
            let refused = problems.filter(\.isRefused)
            guard refused.isEmpty else {
                throw CommandFailure(.badInput, refused.map { "\(file): \($0)" }.joined(separator: "\n"))
            }
        }

        /// Those of the first combination, such as `transaction 500 JPY`.
        private static func limits(_ profile: TerminalProfile) -> String {
            let first = profile.configuration.combinations.first
            return [
                ("transaction", first?.contactlessTransactionLimit), ("floor", first?.contactlessFloorLimit),
                ("cvm-required", first?.cvmRequiredLimit),
            ].compactMap { name, limit in limit.map { "\(name) \(Money($0, profile.currency))" } }
                .joined(separator: ", ")
        }
    }
}
