import CommandSupport
import ArgumentParser
import EMVDictionary
import Foundation
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
            } catch {
                throw CommandFailure(.badInput, "\(error)")
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
