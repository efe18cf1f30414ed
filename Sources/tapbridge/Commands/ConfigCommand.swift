import CommandSupport
import ArgumentParser
import Foundation
import ProfileFile
import TerminalService

struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Check and explain the daemon's configuration.",
        subcommands: [Check.self, Show.self, Schema.self, Token.self])

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Tell every mistake in a configuration, with file and line.",
            discussion: """
                Files that it names (profiles, acquirer file, certificate and key) are checked as well, and so are \
                the environment's TAPBRIDGE_... variables.

                Examples:
                  tapbridge config check tapbridge.yaml
                  tapbridge config check --set listen.port=80000
                """)
        @OptionGroup var settings: ConfigurationOptions
        @Argument(help: ArgumentHelp("Configuration file.", valueName: "file"), completion: .file())
        var path: String?
        @OptionGroup var output: OutputOptions

        struct Mistake: Encodable {
            var file: String
            var line: Int?
            var column: Int?
            var setting: String
            var reason: String
        }

        func run() throws {
            var settings = settings
            if let path { settings.config = path }
            let sources = settings.sources()
            let mistakes: [ProfileFileError]
            do throws(ConfigurationMistakes) {
                _ = try DaemonConfiguration(sources)
                mistakes = []
            } catch {
                mistakes = error.mistakes
            }
            if output.json {
                try Console.printJSON(
                    mistakes.map {
                        Mistake(
                            file: $0.file, line: $0.line, column: $0.column, setting: $0.path,
                            reason: $0.reason)
                    })
            } else if mistakes.isEmpty {
                Console.print("\(sources.file ?? "defaults and environment"): no mistakes")
            } else {
                for mistake in mistakes { Console.print("\(mistake)") }
                Console.printError("\(mistakes.count) mistake\(mistakes.count == 1 ? "" : "s")")
            }
            if !mistakes.isEmpty { throw ExitWithStatus(status: .badInput) }
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the annotated default configuration, or a table of all settings.",
            discussion: """
                Examples:
                  tapbridge config show > tapbridge.yaml
                  tapbridge config show --table
                """)
        @Flag(help: "A table of settings, environment variables and defaults.") var table = false

        func run() {
            guard table else {
                return Console.write(DaemonConfiguration.defaultText, to: STDOUT_FILENO)
            }
            Console.print(
                Console.standard.table(
                    [["SETTING", "ENVIRONMENT", "DEFAULT", "WHAT"]]
                        + ConfigurationSetting.all.map {
                            [$0.key, $0.variable, $0.defaultValue ?? "-", $0.about]
                        }))
        }
    }

    struct Schema: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the JSON Schema of the configuration, for editors.")
        func run() { Console.write(ConfigurationSetting.schema(), to: STDOUT_FILENO) }
    }

    struct Token: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a token for clients of the daemon.",
            discussion: """
                The token goes to the client, as `Authorization: Bearer TOKEN`; the daemon keeps its SHA-256 alone. It \
                is shown this once.

                Examples:
                  tapbridge config token till-software
                  tapbridge config token dashboard --role observer
                """)
        @Argument(help: ArgumentHelp("Whose token it is: for logs and limits.", valueName: "name")) var name:
            String
        @Option(help: "operator may do everything, observer look.") var role = TokenRole.operator
        @OptionGroup var output: OutputOptions

        struct Row: Encodable {
            var name: String
            var role: Role
            var token: String
            var sha256: String
        }

        func run() throws {
            guard !name.isEmpty, name.utf8.count <= 40,
                name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) }),
                !name.hasPrefix(".")
            else {
                throw CommandFailure(
                    .usage, "a name has 1 to 40 letters, digits, hyphens, underscores or dots")
            }
            let token = AccessToken.make()
            let known = AccessToken(name: name, role: role.role, hash: AccessToken.hash(of: token))
            if output.json {
                return try Console.printJSON(
                    Row(name: name, role: role.role, token: token, sha256: known.hashText))
            }
            Console.print("token, for the client:  \(token)")
            Console.print("for the configuration:")
            Console.print("tokens:")
            Console.print("  - {name: \(name), role: \(role.rawValue), sha256: \(known.hashText)}")
        }
    }
}

enum TokenRole: String, ExpressibleByArgument, CaseIterable {
    case observer, `operator`
    var role: Role { self == .operator ? .operator : .observer }
}

/// Options of commands that read the daemon's configuration.
struct ConfigurationOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Configuration file; $TAPBRIDGE_CONFIG, ~/.config/tapbridge/tapbridge.yaml or /etc/tapbridge/tapbridge.yaml by default, where it is there.",
            valueName: "file"), completion: .file())
    var config: String?
    @Option(
        help: ArgumentHelp(
            "Any setting of the configuration, such as listen.port=8080; may be repeated.",
            valueName: "setting=value"))
    var set: [String] = []

    /// - Parameter options: options that are settings as well.
    func sources(_ options: [ConfigurationSources.Flag] = []) -> ConfigurationSources {
        let environment = ProcessInfo.processInfo.environment
        let given = set.map { text in
            let end = text.firstIndex(of: "=") ?? text.endIndex
            return ConfigurationSources.Flag(
                String(text[..<end]), option: "--set \(text)", .text(String(text[end...].dropFirst())))
        }
        return ConfigurationSources(
            file: config ?? ConfigurationSources.standardFile(environment), environment: environment,
            flags: given + options)
    }
}
