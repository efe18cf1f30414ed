import ArgumentParser
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
                Console.print(
                    "\(file): terminal \(profile.terminalID), \(profile.configuration.combinations.count) combinations, \(profile.configuration.terminal.certificationAuthorityKeys.count) CA keys, digest \(profile.digest)"
                )
            } catch {
                throw CommandFailure(.badInput, "\(error)")
            }
        }
    }
}
